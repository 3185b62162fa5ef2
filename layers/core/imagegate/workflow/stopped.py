"""Stopped: a release whose execution ended without closing it goes on in another attempt, once; then it ends as failed.

An execution ends so if somebody stops it, if it times out, or if it fails outside of what its states catch.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from imagegate.errors import RecordNotFoundError, RejectedInputError
from imagegate.ports.ledger import ReleaseAttempts
from imagegate.ports.pending import OpenReleases
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate.release.start import TAKEN_OVER

if TYPE_CHECKING:
    from imagegate.ports.executions import RunningExecutions, Starter
    from imagegate.workflow.announce import AnnounceRelease
    from imagegate.workflow.watch.sweep import Sweep

_FAULT = (
    "LostExecution: two executions of this release ended without an outcome: they were stopped, timed out, or failed "
    "outside of their steps"
)
# A start that failed is repeated for some minutes; until then, an attempt without an execution is none of ours.
_STARTS_WITHIN = timedelta(minutes=15)


class NotAnnouncedError(RejectedInputError):
    """An execution that was stopped after it had noted an ending, and before it announced it."""


class StoppedLedger(OpenReleases, ReleaseAttempts, Protocol):
    """The parts of the ledger that `ResumeStopped` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeStopped:
    """Believes no event: it only says where to look."""

    ledger: StoppedLedger
    executions: RunningExecutions
    starter: Starter
    announcing: AnnounceRelease

    def on_stopped(self, id_: ReleaseId, now: datetime) -> bool:
        """Handle the end of an execution, as an event names it. Return whether something was left to do.

        Raises `NotAnnouncedError` if only a new attempt can announce how it ended.
        """
        try:
            release = self.ledger.get(id_)
        except RecordNotFoundError:
            return False
        return self._resume(release, now)

    def look(self, sweep: Sweep, now: datetime, until: float) -> int:
        """Find the open attempts of which no execution runs. Return how many there were."""
        opened = sweep.listed("open releases", self.ledger.open_releases)
        old = [one for one in opened if now - one.started_at >= _STARTS_WITHIN]
        running = set(sweep.listed("running executions", self.executions.running) if old else ())
        if "running executions" in sweep.faults:
            return 0
        stopped = [one for one in old if one.execution_name not in running]
        return sweep.each(
            "stopped releases",
            lambda: stopped,
            lambda release: self._resume(release, now),
            until=until,
            name=lambda release: release.id,
        ).done

    def _resume(self, release: Release, now: datetime) -> bool:
        latest = self.ledger.latest(release.image)
        if latest is None or self.executions.is_running(release.execution_name):
            return False
        if latest.attempt != release.attempt:
            return self._close_replaced(release, now)
        if latest.is_open and latest.reason is not StartReason.LOST_EXECUTION:
            self.starter.request(latest.image, sorted(latest.tags), StartReason.LOST_EXECUTION)
            return True
        if latest.message_id is not None:
            return False
        if latest.outcome not in (None, Outcome.FAILED):
            raise NotAnnouncedError(
                f"{latest.id} ended as {latest.outcome}, but was stopped before that was announced: "
                f"imagegate release {latest.image} does it in another attempt"
            )
        self.announcing.run(latest.id, Outcome.FAILED, _FAULT, now)
        return True

    def _close_replaced(self, release: Release, now: datetime) -> bool:
        """Close an attempt that another one has replaced: the function that began that one was killed."""
        if not release.is_open:
            return False
        return self.ledger.close(release.id, Outcome.FAILED, None, now, TAKEN_OVER) is not None
