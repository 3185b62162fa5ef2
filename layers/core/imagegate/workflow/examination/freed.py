"""Find the blocked releases that would pass now, with other waivers or with another policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from imagegate.errors import RejectedInputError
from imagegate.gate.decision_record import Decision
from imagegate.ports.ledger import ReleaseLists, Releases
from imagegate.release.release import Outcome, Release
from imagegate.workflow.examination.replay import Replay

if TYPE_CHECKING:
    from imagegate.findings.finding import Versions
    from imagegate.gate.evaluation import EvaluationResult
    from imagegate.oci.image import Digest
    from imagegate.policy.policy import Policy
    from imagegate.policy.waiver import Waiver
    from imagegate.ports.records import StoredRecords

# Older releases start again only by hand, or with the next push.
LOOKS_BACK = timedelta(days=30)


def considered(name: str) -> str:
    """Return the notice that all blocked releases were judged again because of a waiver or a policy."""
    return f"{name} considered"


class ReleaseHistory(Releases, ReleaseLists, Protocol):
    """The parts of the ledger that `FindFreed` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindFreed:
    ledger: ReleaseHistory
    records: StoredRecords
    versions: Versions

    def blocked(self, now: datetime, until: datetime | None = None) -> Iterator[Release]:
        """Yield the blocked attempts that began in the last 30 days, newest first, from those of `until` on."""
        return self.ledger.recent(now - LOOKS_BACK, until or now, outcome=Outcome.BLOCKED)

    def judge_again(
        self, release: Release, policy: Policy, waivers: Sequence[Waiver], now: datetime
    ) -> EvaluationResult | None:
        """Return what the verdict of a blocked attempt would be now.

        Return None if a later attempt has begun, if no stage has the image, or if its findings were not kept.
        """
        latest = self.ledger.latest(release.image)
        if latest is None or latest.attempt != release.attempt or latest.decision is None:
            return None
        return self._judge(latest, latest.decision, policy, waivers, now)

    def _judge(
        self, release: Release, digest: Digest, policy: Policy, waivers: Sequence[Waiver], now: datetime
    ) -> EvaluationResult | None:
        """Return the result, or None if no stage has the image, or if it was judged before findings were kept."""
        stage = policy.stage_of(release.image.repository)
        if stage is None:
            return None
        try:
            decision = Decision.decode(self.records.decision(digest))
            return Replay(self.records, self.versions).run(decision, policy, stage, waivers, now)
        except RejectedInputError:
            return None  # the next push is judged again
