"""The scheduled clean-up: plans every repository once a day, and takes what the policy lets it take.

Rules: one run at a time, within its time; the next one goes on where it ended. A stage is only planned unless its
policy says `scheduled: apply` and the stack permits it. One message has the result of a day; the same result is not
sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from imagegate.cleanup.plan import CleanupPlan, CleanupRun
from imagegate.cleanup.savings import Savings
from imagegate.errors import RetryableError
from imagegate.notices.governance.cleanup import scheduled_cleanup
from imagegate.oci.image import Digest
from imagegate.policy.cleanup import CleanupSchedule
from imagegate.workflow.cleanup.protection import CleanupRefusedError

if TYPE_CHECKING:
    from imagegate.ports.pending import Turns
    from imagegate.ports.services import Notifications
    from imagegate.workflow.cleanup.parts import CleanupParts
    from imagegate.workflow.cleanup.plan import PlanCleanup

_WORK = "cleanup"
_TURN_LASTS = timedelta(minutes=16)  # longer than the time limit of a function
_MOST_PLANS = 500  # repositories with something to do, in one day: their plans are in the notes of the turn


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledCleanup:
    """Works in turns. `may_apply`: the stack permits that images are taken."""

    parts: CleanupParts
    turns: Turns
    notifications: Notifications
    may_apply: bool

    def run(self, now: datetime, has_time: Callable[[], bool]) -> dict[str, Any] | None:
        """Go on with the clean-up of today. Return its notes, or None if another run is under way."""
        turn = self.turns.take_turn(_WORK, now, _TURN_LASTS)
        if turn is None:
            return None
        notes, today = dict(turn.notes), f"{now:%Y-%m-%d} {self.parts.policy.digest}"
        if notes.get("pass") != today:
            kept = {"sent": notes["sent"]} if "sent" in notes else {}
            notes = {"pass": today, "after": "", "rows": {}, "plans": {}, "refused": [], **kept}
        if notes["after"] is not None:
            notes["after"] = self._go_on(notes, now, has_time, lambda: self.turns.note_progress(turn, notes))
            if notes["after"] is None:
                self._announce(notes, now)
        self.turns.end_turn(turn, notes)
        return notes

    def _go_on(
        self, notes: dict[str, Any], now: datetime, has_time: Callable[[], bool], keep: Callable[[], None]
    ) -> str | None:
        """Plan what comes after the last repository; return the last one that is done, or None if all are."""
        after: str = notes["after"]
        names = [
            name for name in sorted(self.parts.images.repositories()) if name > after and self._rules(name)
        ]
        if not names:
            return None
        try:
            planning = self.parts.planning(now)
        except CleanupRefusedError as refusal:
            notes["refused"].append(str(refusal))
            return None
        killed = notes.pop("trying", "")
        for name in names:
            if not has_time() or len(notes["plans"]) >= _MOST_PLANS:
                return None if len(notes["plans"]) >= _MOST_PLANS else after
            if name == killed:  # a run was killed there: the others are not kept waiting
                notes["refused"].append(
                    f"{name}: it takes longer than a function runs: imagegate cleanup plan"
                )
            else:
                notes["trying"] = name
                keep()
                if not self._clean(name, planning, notes, now, has_time):
                    del notes["trying"]
                    return after
                del notes["trying"]
            after = notes["after"] = name
        return None

    def _rules(self, name: str) -> bool:
        stage = self.parts.policy.stage_of(name)
        return stage is not None and bool(stage.cleanup.rules)

    def _clean(
        self,
        name: str,
        planning: PlanCleanup,
        notes: dict[str, Any],
        now: datetime,
        has_time: Callable[[], bool],
    ) -> bool:
        """Plan one repository, and apply the plan if that is permitted. Return False if it was stopped half-way."""
        try:
            plan = planning.plan(name, now)
            if plan is None or not plan.steps:
                return True
            digest = self.parts.records.put_cleanup(plan.as_record())
            stage = self.parts.policy.stage_of(name)
            if self.may_apply and stage and stage.cleanup.scheduled is CleanupSchedule.APPLY:
                return self._apply(digest, plan, notes, now, has_time)
            notes["plans"][name] = str(digest)
            _count(notes, name, plan.savings, str(plan.savings))
        except (CleanupRefusedError, RetryableError) as refusal:
            notes["refused"].append(str(refusal))
        return True

    def _apply(
        self,
        digest: Digest,
        plan: CleanupPlan,
        notes: dict[str, Any],
        now: datetime,
        has_time: Callable[[], bool],
    ) -> bool:
        done = self.parts.applying(now).apply(digest, plan, now, lambda: not has_time())
        words = f"{len(done.deleted)} deleted, {len(done.archived)} archived, {len(done.failed)} left; plan {digest}"
        _count(notes, plan.repository, plan.savings, words)
        return not done.is_stopped

    def _announce(self, notes: dict[str, Any], now: datetime) -> None:
        """Send the result of the day, if there is one, and it is not the one that was sent last."""
        rows, refused = notes["rows"], notes["refused"]
        result = str(Digest.of(repr((sorted(rows.items()), sorted(refused))).encode()))
        if not (rows or refused) or notes.get("sent") == result:
            return
        plans = {name: Digest.parse(digest) for name, digest in notes["plans"].items()}
        run = None
        if plans:
            registry = self.parts.images.registry
            run = self.parts.records.put_cleanup(CleanupRun(registry, now, plans).as_record())
        total = Savings(**notes.get("total", {}))
        self.notifications.publish(scheduled_cleanup(rows, refused, total, run, now, planned=len(plans)))
        notes["sent"] = result


def _count(notes: dict[str, Any], name: str, savings: Savings, text: str) -> None:
    notes["rows"][name] = text
    notes["total"] = asdict(Savings(**notes.get("total", {})) + savings)
