"""Announce: close the release exactly once, tell everybody at least once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from imagegate.domain.announcement import announce
from imagegate.domain.errors import RetryableError
from imagegate.domain.release import Outcome, Release, ReleaseId
from imagegate.ports import Ledger, Notifications

# Tags that come while a release is being closed make it look again.
_RACES = 5


class Then(StrEnum):
    """Where the state machine goes next."""

    END = "END"
    PROMOTE = "PROMOTE"  # a tag came while the others were promoted


class CloseContentionError(RetryableError):
    """Tags kept coming while the release was being closed."""


@dataclass(frozen=True, slots=True)
class Announced:
    route: Then
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Ending:
    """How a release ends. `tags`: those that the outcome covers; None: whatever tags the release has."""

    outcome: Outcome
    tags: frozenset[str] | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AnnounceRelease:
    ledger: Ledger
    notifications: Notifications

    def run(self, id_: ReleaseId, ending: Ending, now: datetime) -> Announced:
        release = self._close(id_, ending, now)
        if release is None:
            return Announced(Then.PROMOTE, ending.outcome)
        outcome = release.outcome or ending.outcome
        if release.message_id is None:
            message_id = self.notifications.publish(announce(release, outcome))
            self.ledger.announced(id_, message_id)
        return Announced(Then.END, outcome)

    def _close(self, id_: ReleaseId, ending: Ending, now: datetime) -> Release | None:
        """The closed release; None when it has a tag that nobody has looked at yet."""
        for _ in range(_RACES):
            release = self.ledger.get(id_)
            if release.outcome is not None:
                return release
            tags = release.tags if ending.tags is None else ending.tags
            if self.ledger.close(id_, ending.outcome, tags, now, ending.detail):
                return self.ledger.get(id_)
            if ending.tags is not None:
                return None
        raise CloseContentionError(f"{id_}: tags keep coming while it is being closed")
