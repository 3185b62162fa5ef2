"""Reconcile: on a schedule, find what no event announced. ECR sends events on a best-effort basis.

A run ends well within the time limit of its function, and the next one goes on where it ended (ADR 37). Duties that
have a time come first, then releases that may pass now, then the walk over the repositories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from imagegate.baseline.drift import SettingsCall
from imagegate.canonical_json import parse_timestamp
from imagegate.errors import RejectedInputError, RetryableError
from imagegate.notices.notice import not_reconciled
from imagegate.oci.image import ImageRef
from imagegate.ports.pending import Turns
from imagegate.workflow.settings.drift import is_compared
from imagegate.workflow.stopped import StoppedLedger
from imagegate.workflow.watch.canary import CanaryImages, PushCanary
from imagegate.workflow.watch.deleted import AnnounceDeletion, DeletionLedger
from imagegate.workflow.watch.digest import DigestLedger, SendDigest, SendSummary
from imagegate.workflow.watch.duties import Duties, DutiesLedger
from imagegate.workflow.watch.freeing import FreeBlocked, FreeingLedger
from imagegate.workflow.watch.lost import FindLost, LostLedger
from imagegate.workflow.watch.sweep import Sweep, Workers

if TYPE_CHECKING:
    from imagegate.findings.finding import Versions
    from imagegate.policy.policy import Policy
    from imagegate.policy.waiver import Waiver
    from imagegate.ports.grants import Grants
    from imagegate.ports.records import Records
    from imagegate.ports.services import Notifications
    from imagegate.release.release import ReleaseId
    from imagegate.workflow.await_scan import ScanCompleted
    from imagegate.workflow.settings.drift import WatchSettings
    from imagegate.workflow.stopped import ResumeStopped

_WORK = "reconcile"
# Longer than the time limit of the function, so that a run that was killed is over for certain.
_TURN_LASTS = timedelta(seconds=130)
# The seconds of a run after which each part begins nothing more.
DUTIES_UNTIL, FREEING_UNTIL, WALK_UNTIL, SETTINGS_UNTIL = 15.0, 25.0, 40.0, 55.0
# A fault that may pass is announced if it lasts.
_PASSES_WITHIN = timedelta(hours=1)
_PASSING_KEPT = 100


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The numbers of what was done.

    `resumed`: releases whose execution had ended without an outcome. `faults`: what could not be reconciled, and why.
    `passing`: the same of faults that may pass; the next run tries again. `is_over`: whether all repositories have
    been looked at since the pass began. `stored_bytes`: the sizes of all images, once an hour. `canary_seconds`: for
    how long no canary has arrived, if there is one.
    """

    woken: int = 0
    started: int = 0
    warned: int = 0
    freed: int = 0
    gone: int = 0
    resumed: int = 0
    drifts: int = 0
    faults: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()
    is_over: bool = False
    stored_bytes: int | None = None
    canary_seconds: int | None = None


class ReconcilerLedger(
    DeletionLedger, DigestLedger, DutiesLedger, FreeingLedger, LostLedger, StoppedLedger, Turns, Protocol
):
    """The parts of the ledger that `Reconcile` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """One run at a time. `stopwatch` begins to measure the seconds of a run. `canary`: its repository, or empty."""

    images: CanaryImages
    ledger: ReconcilerLedger
    completed: ScanCompleted
    stopped: ResumeStopped
    grants: Grants
    records: Records
    notifications: Notifications
    policy: Policy
    installed_at: datetime
    versions: Versions
    workers: Workers
    stopwatch: Callable[[], Callable[[], float]]
    canary: str = ""
    settings: Callable[[], WatchSettings] | None = None

    def run(self, now: datetime) -> Reconciled | None:
        """Do what is due, as far as the time of one run goes. Return None if another run is under way.

        A fault of one item stops nothing else. Faults that last are announced once a day.
        """
        turn = self.ledger.take_turn(_WORK, now, _TURN_LASTS)
        if turn is None:
            return None
        sweep, notes = Sweep(self.workers, self.stopwatch()), dict(turn.notes)
        reconciled = self._reconcile(sweep, notes, now, partial(self.ledger.note_progress, turn, notes))
        lasting, passing = _sort_faults(sweep.faults, notes, now)
        self.ledger.end_turn(turn, notes)
        self._announce(lasting, now)
        return replace(reconciled, faults=_lines(lasting), passing=_lines(passing))

    @property
    def deletions(self) -> AnnounceDeletion:
        return AnnounceDeletion(
            images=self.images,
            ledger=self.ledger,
            notifications=self.notifications,
            policy=self.policy,
        )

    def on_event(self, about: ImageRef | ReleaseId | SettingsCall, now: datetime) -> bool:
        """Handle a deleted image, a changed setting, or the end of an execution. Return whether it needed that."""
        if isinstance(about, SettingsCall):
            return self.settings is not None and self.settings().on_call(about, now)
        if isinstance(about, ImageRef):
            return self.deletions.on_deleted(about, now)
        return self.stopped.on_stopped(about, now)

    def _reconcile(
        self, sweep: Sweep, notes: dict[str, Any], now: datetime, keep_notes: Callable[[], None]
    ) -> Reconciled:
        waivers = sweep.listed("waivers", self.grants.waivers)
        duties = self._duties().run(sweep, notes, waivers, now, DUTIES_UNTIL)
        resumed = self.stopped.look(sweep, now, DUTIES_UNTIL)
        self._send_summary(sweep, now)
        self._send_digest(sweep, [*self.policy.waivers, *waivers], now)
        freed = 0
        if "waivers" not in sweep.faults:  # a policy is considered only once, so not without the waivers
            freed = self._freeing().run(sweep, notes, waivers, now, FREEING_UNTIL)
        canary = self._push_canary(sweep, notes, now)
        lost = self._lost().run(sweep, notes, now, WALK_UNTIL, keep_notes)
        drifts = self._watch_settings(sweep, notes, now)
        return Reconciled(
            woken=duties.woken,
            started=lost.started,
            warned=duties.warned,
            freed=freed,
            gone=lost.gone,
            resumed=resumed,
            drifts=drifts,
            is_over=lost.is_over,
            stored_bytes=lost.stored_bytes,
            canary_seconds=canary,
        )

    def _push_canary(self, sweep: Sweep, notes: dict[str, Any], now: datetime) -> int | None:
        """Push today's canary, and return for how many seconds none has arrived, or None if nobody can tell."""
        if not self.canary:
            return None
        canary = PushCanary(
            images=self.images, ledger=self.ledger, policy=self.policy, repository=self.canary
        )
        pushed = sweep.each(
            "canary", lambda: [self.canary], lambda _: canary.run(notes, now), until=WALK_UNTIL
        )
        return pushed.done if pushed.is_whole and self.canary not in sweep.faults else None

    def _watch_settings(self, sweep: Sweep, notes: dict[str, Any], now: datetime) -> int:
        """Go on with today's comparison. The baseline is read only if there is something to compare."""
        if self.settings is None or is_compared(notes, self.policy.digest, now):
            return 0
        try:
            return self.settings().run(sweep, notes, now, SETTINGS_UNTIL)
        except (RejectedInputError, RetryableError) as fault:
            sweep.faults["the baseline"] = fault
            return 0

    def _announce(self, lasting: Mapping[str, str], now: datetime) -> None:
        """Announce each fault once a day."""
        ledger, day = self.ledger, f"not reconciled on {now:%Y-%m-%d}"
        known = ledger.noted([f"{what} {day}" for what in lasting])
        fresh = {what: why for what, why in lasting.items() if f"{what} {day}" not in known}
        if fresh:
            self.notifications.publish(not_reconciled(fresh, now))
        for what in fresh:
            ledger.note(f"{what} {day}")

    def _send_summary(self, sweep: Sweep, now: datetime) -> None:
        summary = SendSummary(self.ledger, self.notifications, self.policy)
        sweep.each(
            "mails for a summary",
            lambda: [mails] if (mails := summary.due(now)) else [],
            partial(summary.send, now=now),
            until=FREEING_UNTIL,
            name=lambda _: "summary of mails",
        )

    def _send_digest(self, sweep: Sweep, waivers: Sequence[Waiver], now: datetime) -> None:
        digest = SendDigest(
            ledger=self.ledger,
            grants=self.grants,
            records=self.records,
            notifications=self.notifications,
            policy=self.policy,
            installed_at=self.installed_at,
        )
        send = partial(digest.send, waivers=waivers, now=now)
        sweep.each(
            "daily digest",
            lambda: [days] if (days := digest.due(now)) else [],
            send,
            until=FREEING_UNTIL,
            name=lambda days: f"digest of {days[-1]}",
        )

    def _duties(self) -> Duties:
        return Duties(
            ledger=self.ledger,
            completed=self.completed,
            grants=self.grants,
            records=self.records,
            notifications=self.notifications,
            policy=self.policy,
        )

    def _freeing(self) -> FreeBlocked:
        return FreeBlocked(
            ledger=self.ledger,
            records=self.records,
            starter=self.completed.starter,
            policy=self.policy,
            versions=self.versions,
        )

    def _lost(self) -> FindLost:
        return FindLost(
            images=self.images,
            ledger=self.ledger,
            starter=self.completed.starter,
            deletions=self.deletions,
            policy=self.policy,
            installed_at=self.installed_at,
        )


def _sort_faults(
    faults: Mapping[str, Exception], notes: dict[str, Any], now: datetime
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the causes of the lasting faults and of the passing ones, and note since when these have been there."""
    since = notes.pop("passing", {})
    begins = {
        what: since.get(what, now.isoformat())
        for what, why in faults.items()
        if isinstance(why, RetryableError)
    }
    if begins:
        notes["passing"] = dict(list(begins.items())[:_PASSING_KEPT])
    short = {what for what, begin in begins.items() if now - parse_timestamp(begin) < _PASSES_WITHIN}
    causes = {what: f"{type(why).__name__}: {why}" for what, why in faults.items()}
    return (
        {what: why for what, why in causes.items() if what not in short},
        {what: why for what, why in causes.items() if what in short},
    )


def _lines(causes: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{what}: {why}" for what, why in causes.items())
