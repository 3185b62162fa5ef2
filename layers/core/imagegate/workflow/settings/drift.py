"""Watches for drift: compares settings with the baseline after a recorded call, and all of them once a day.

Rules: each difference is announced once, however often it is seen; when it is gone, it is forgotten. A call of the
gate itself, and a call after which a setting is as the baseline says, are no news. If the policy says so, settings are
put back; a setting that cannot be put back is announced with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from imagegate.baseline.drift import SettingDrift, SettingsCall, SubjectDrift, find_drift
from imagegate.baseline.registry import REGISTRY
from imagegate.baseline.section import DriftReaction
from imagegate.errors import RejectedInputError, ThrottledError
from imagegate.notices.governance.drift import settings_differ
from imagegate.workflow.settings.compare import AT_ONCE, CompareSettings

if TYPE_CHECKING:
    from imagegate.baseline.plan import FoundRepository, SettingsPlan
    from imagegate.oci.image import Digest
    from imagegate.ports.ledger import KnownDrifts
    from imagegate.ports.services import Notifications

_NOTES = "settings"


class TimedRun(Protocol):
    """A run: what it could not do, and why; and the seconds since its begin."""

    faults: dict[str, Exception]

    @property
    def elapsed(self) -> Callable[[], float]: ...


def is_compared(notes: Mapping[str, Any], policy: Digest, now: datetime) -> bool:
    """Say whether today's pass is over, by the notes that runs leave."""
    noted = notes.get(_NOTES, {})
    return noted.get("pass") == _pass(policy, now) and noted.get("after") is None


def _pass(policy: Digest, now: datetime) -> str:
    return f"{now:%Y-%m-%d} {policy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    compare: CompareSettings
    ledger: KnownDrifts
    notifications: Notifications

    def on_call(self, call: SettingsCall, now: datetime) -> bool:
        """Compare what a call has changed. Return True if a message was sent."""
        if self.compare.baseline.is_empty or call.is_by(self.compare.registry.gate_roles):
            return False
        known = self.ledger.known_drifts([call.subject]).get(call.subject, frozenset())
        drifts = self._look(call.subject, self.compare.plan(call.subject), known, call)
        self._announce(drifts, now, call)
        return bool(drifts)

    def run(self, run: TimedRun, notes: dict[str, Any], now: datetime, until: float) -> int:
        """Go on with the pass of today until so many seconds of the run have passed. Return what was announced.

        Another policy begins another pass. A repository that cannot be read is a fault of the run, and is read
        again tomorrow.
        """
        today = _pass(self.compare.policy.digest, now)
        noted = notes.get(_NOTES, {})
        after: str | None = noted.get("after", "") if noted.get("pass") == today else ""
        drifts: list[SubjectDrift] = []
        if after is not None:
            try:
                after = self._go_on(run, after, until, drifts)
            except Exception as fault:  # noqa: BLE001 - the reconciler goes on, and reports every fault
                run.faults["the baseline"] = fault
            self._announce(drifts, now, None)
        notes[_NOTES] = {"pass": today, "after": after}
        return sum(len(drift.settings) for drift in drifts)

    def _go_on(self, run: TimedRun, after: str, until: float, drifts: list[SubjectDrift]) -> str | None:
        """Compare what comes after this name; return the last one that is done, or None if all are."""
        if self.compare.baseline.is_empty:
            return None
        left = [name for name in (REGISTRY, *self.compare.covered()) if name > after]
        for start in range(0, len(left), AT_ONCE):
            some = left[start : start + AT_ONCE]
            known = self.ledger.known_drifts(some)
            described = dict(self.compare.described([name for name in some if name != REGISTRY]))
            for subject in some:
                if run.elapsed() >= until:
                    return after
                try:
                    plan = self._plan(subject, described)
                    drifts += self._look(subject, plan, known.get(subject, frozenset()), None)
                except ThrottledError as fault:
                    run.faults["the baseline"] = fault
                    return after
                except Exception as fault:  # noqa: BLE001 - the others are still compared
                    run.faults[f"settings of {subject}"] = fault
                after = subject
        return None

    def _plan(self, subject: str, described: dict[str, FoundRepository | None]) -> SettingsPlan | None:
        if subject == REGISTRY:
            return self.compare.plan(subject)
        return self.compare.plan_described(subject, described[subject])

    def _look(
        self, subject: str, plan: SettingsPlan | None, known: Collection[str], call: SettingsCall | None
    ) -> list[SubjectDrift]:
        """Return what is to be announced of one subject. Put it back if the policy says so; forget what is gone."""
        found, drifts, fault = find_drift(plan) if plan else (), list[SubjectDrift](), ""
        if plan and plan.changes and found and self._restores(subject):
            left, fault = self._restore(plan, found)
            gone = tuple(one for one in found if one not in left)
            drifts += [SubjectDrift(subject, gone, is_restored=True)] if gone else []
            found = left
        still_known = frozenset(known) & {one.known_as for one in found}
        if still_known != frozenset(known):
            self.ledger.keep_drifts(subject, still_known)
        fresh = tuple(
            one
            for one in found
            if one.known_as not in known and (call is None or call.may_change(one.setting))
        )
        return [*drifts, SubjectDrift(subject, fresh, fault=fault, known=still_known)] if fresh else drifts

    def _restores(self, subject: str) -> bool:
        """Say whether settings are put back. Those of the registry are documents that others share."""
        return self.compare.baseline.drift is DriftReaction.RESTORE and subject != REGISTRY

    def _restore(
        self, plan: SettingsPlan, found: tuple[SettingDrift, ...]
    ) -> tuple[tuple[SettingDrift, ...], str]:
        """Put settings back. Return what still differs, and why it was not put back."""
        try:
            left = self.compare.apply(plan)
        except RejectedInputError as fault:
            return found, str(fault)
        return find_drift(left) if left else (), ""

    def _announce(self, drifts: Sequence[SubjectDrift], now: datetime, call: SettingsCall | None) -> None:
        """Send one message, and remember then what it was about: a run that is killed between sends it again."""
        if not drifts:
            return
        self.notifications.publish(settings_differ(drifts, call, now))
        for drift in drifts:
            if not drift.is_restored:
                names = {one.known_as for one in drift.settings}
                self.ledger.keep_drifts(drift.subject, drift.known | names)
