"""The looks at a scan: whether the findings are complete and at rest, or another look has to decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imagegate.canonical_json import timestamp
from imagegate.errors import FindingsChangedError
from imagegate.findings.scan import Readiness, WaitOutcome

if TYPE_CHECKING:
    from imagegate.gate.evaluation import PlatformScanReader
    from imagegate.oci.image import Digest
    from imagegate.release.release import Release


@dataclass(frozen=True, slots=True)
class Wait:
    """The end of the wait for a scan."""

    ended: WaitOutcome = WaitOutcome.READY
    why: str = ""


@dataclass(frozen=True, slots=True)
class NotYet:
    """Too early to judge, and why."""

    why: str
    is_over: bool = False  # the scan has ended, and another look in a while will decide
    # The platforms without findings, which a second look has to confirm.
    clean_since: Mapping[Digest, datetime] = field(default_factory=dict)


@dataclass
class Looks:
    """The platforms of one look whose findings may still change."""

    release: Release
    is_late: bool  # the time for the scan is over
    now: datetime
    pause: timedelta
    restarted: list[PlatformScanReader] = field(default_factory=list)
    changing: list[PlatformScanReader] = field(default_factory=list)
    clean_since: dict[Digest, datetime] = field(default_factory=dict)

    def check(self, reader: PlatformScanReader, wait: Wait) -> PlatformScanReader:
        """Note whether the findings are stable, and return the reader."""
        status = reader.status
        if wait.ended is WaitOutcome.READY and not status.is_final:
            self.restarted.append(reader)
        elif status.readiness is Readiness.READY and not reader.is_settled:
            self.changing.append(reader)
        elif since := status.first_seen_clean(self.release.clean_since.get(status.image), self.now):
            self.clean_since[status.image] = since
            reader.status = replace(status, clean_since=timestamp(since))
        return reader

    def not_yet(self) -> NotYet | None:
        """Return why it is too early, or None if the findings count. When the time is over, incomplete ones count, too.

        An incomplete list never passes. Raises `FindingsChangedError`.
        """
        if self.restarted:
            return NotYet("its scan has started again")
        if self.changing and not self.is_late:
            return NotYet(
                "the list of findings is not complete yet", is_over=True, clean_since=self.clean_since
            )
        if any(reader.is_complete for reader in self.changing):
            raise FindingsChangedError(
                f"{self.release.image}: its scan changes with every read of its findings"
            )
        if any(self.now - since < self.pause for since in self.clean_since.values()):
            why = "there are no findings so far, which a second look has to confirm"
            return NotYet(why, is_over=True, clean_since=self.clean_since)
        return None
