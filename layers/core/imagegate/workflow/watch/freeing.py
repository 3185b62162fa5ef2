"""Judges blocked releases again, once for each policy and each waiver, over as many runs as that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from imagegate.canonical_json import parse_timestamp
from imagegate.errors import RetryableError
from imagegate.gate.verdict import VerdictOutcome
from imagegate.ports.pending import Notices
from imagegate.release.release import Release, StartReason
from imagegate.workflow.examination.freed import FindFreed, ReleaseHistory, considered

if TYPE_CHECKING:
    from imagegate.findings.finding import Versions
    from imagegate.policy.policy import Policy
    from imagegate.policy.waiver import Waiver
    from imagegate.ports.executions import Starter
    from imagegate.ports.records import Records
    from imagegate.workflow.watch.sweep import Sweep

_NOTES = "freeing"


class FreeingLedger(ReleaseHistory, Notices, Protocol):
    """The parts of the ledger that `FreeBlocked` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeBlocked:
    ledger: FreeingLedger
    records: Records
    starter: Starter
    policy: Policy
    versions: Versions

    def run(
        self, sweep: Sweep, notes: dict[str, Any], waivers: Sequence[Waiver], now: datetime, until: float
    ) -> int:
        """Request the blocked releases that would pass now, and return their number.

        The releases that began in the last 30 days are judged again once because of a policy or a waiver.
        """
        work = notes.pop(_NOTES, None) or {"reasons": self._new_reasons(waivers, now)}
        if not work["reasons"]:
            return 0
        find = FindFreed(ledger=self.ledger, records=self.records, versions=self.versions)
        before = parse_timestamp(work["before"]) if "before" in work else now
        free = partial(self._free, find, set(work["reasons"]), waivers, now)
        faults = len(sweep.faults)
        swept = sweep.each("what was blocked", lambda: find.blocked(now, before), free, until=until)
        work["again"] = work.get("again", False) or _any_passing(sweep, faults)
        if not swept.is_whole:
            # Times have microseconds: no two releases share one, for all that anybody will see.
            at = swept.last.started_at - timedelta(microseconds=1) if swept.last else before
            notes[_NOTES] = {**work, "before": at.isoformat()}
        elif work["again"]:
            notes[_NOTES] = {"reasons": work["reasons"]}
        else:
            for reason in work["reasons"]:
                self.ledger.note(considered(reason))
        return swept.done

    def _new_reasons(self, waivers: Sequence[Waiver], now: datetime) -> list[str]:
        """Return the policy's digest and the IDs of the waivers that count, as far as they are not considered yet."""
        counting = [waiver.id for waiver in waivers if waiver.fault(now, self.policy.waiver_terms) is None]
        names = [str(self.policy.digest), *counting]
        known = self.ledger.noted([considered(name) for name in names])
        return [name for name in names if considered(name) not in known]

    def _free(
        self, find: FindFreed, reasons: set[str], waivers: Sequence[Waiver], now: datetime, release: Release
    ) -> bool:
        reason = self._reason(release, reasons, waivers)
        result = find.judge_again(release, self.policy, waivers, now) if reason else None
        if reason is None or result is None or result.verdict.outcome is not VerdictOutcome.PASS:
            return False
        self.starter.request(release.image, sorted(release.tags), reason)
        return True

    def _reason(self, release: Release, reasons: set[str], waivers: Sequence[Waiver]) -> StartReason | None:
        """Return why the release is judged again, or None if it is not."""
        policy, digests = self.policy.digest, (release.image.digest, *release.platforms)
        if str(policy) in reasons and release.policy != policy:
            return StartReason.NEW_POLICY
        about = (waiver for waiver in waivers if waiver.id in reasons)
        is_waived = any(waiver.covers_image(release.image.repository, digests) for waiver in about)
        return StartReason.NEW_WAIVER if is_waived else None


def _any_passing(sweep: Sweep, earlier: int) -> bool:
    return any(isinstance(fault, RetryableError) for fault in list(sweep.faults.values())[earlier:])
