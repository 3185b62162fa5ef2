"""Waive: a person grants or withdraws a waiver. The waiver keeps their name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from imagegate.errors import RecordNotFoundError, RejectedInputError
from imagegate.gate.verdict import VerdictOutcome
from imagegate.grants.results import WaiverResult
from imagegate.policy.policy import Policy, Scanner
from imagegate.ports.pending import Notices
from imagegate.release.release import Release, StartReason
from imagegate.workflow.examination.freed import FindFreed, ReleaseHistory, considered

# Each takes about a tenth of a second, and a person waits for the answer.
_MOST_AT_ONCE = 300

if TYPE_CHECKING:
    from imagegate.findings.finding import Versions
    from imagegate.policy.waiver import Waiver
    from imagegate.ports.executions import Starter
    from imagegate.ports.grants import WritableGrants
    from imagegate.ports.records import Records


class WaiverRefusedError(RejectedInputError):
    """The waiver would never count. The message says why."""


class WaiverLedger(ReleaseHistory, Notices, Protocol):
    """The parts of the ledger that `GrantWaiver` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantWaiver:
    grants: WritableGrants
    ledger: WaiverLedger
    records: Records
    starter: Starter
    policy: Policy
    versions: Versions

    def waive(self, waiver: Waiver, by: str, now: datetime) -> WaiverResult:
        """Grant the waiver, and request another attempt of each release that would pass with it.

        Raises `WaiverRefusedError`.
        """
        now = now.replace(microsecond=0)
        granted = replace(waiver, granted_at=now, granted_by=by)
        self._check(granted, now)
        known = self._known(granted)
        if known is None and not self.grants.grant(granted):
            # Its ID exists: it was requested twice within one second, or granted and withdrawn within it.
            known = self._known(granted)
            if known is None:
                raise WaiverRefusedError(
                    f"the waiver of {waiver.subject} was withdrawn this second: request it again"
                )
        # Also for a waiver that was granted before: the first call may have been killed here.
        result = self._effect(known or granted, now, is_new=known is None)
        for release in result.freed:
            self.starter.request(release.image, sorted(release.tags), StartReason.NEW_WAIVER)
        if result.is_all:
            self.ledger.note(considered(result.waiver.id))
        return result

    def withdraw(self, waiver_id: str, by: str, now: datetime) -> Waiver:
        """Withdraw the waiver. Raises `RecordNotFoundError` if there is none with this ID."""
        waiver = self.grants.withdraw(waiver_id, now, by)
        if waiver is None:
            raise RecordNotFoundError(f"there is no waiver {waiver_id}: imagegate decide list shows them")
        return waiver

    def _check(self, waiver: Waiver, now: datetime) -> None:
        fault = waiver.fault(now, self.policy.waiver_terms)
        if fault is None and waiver.until_fix and self.policy.scanner is Scanner.BASIC:
            fault = "ends with a fix, and basic scanning does not say whether there is one"
        if fault is not None:
            raise WaiverRefusedError(f"the waiver of {waiver.subject} would never count: it {fault}")

    def _known(self, waiver: Waiver) -> Waiver | None:
        """Return the same waiver if it was granted before and not withdrawn, or None."""
        for other in self.grants.waivers():
            alike = replace(waiver, granted_at=other.granted_at, granted_by=other.granted_by)
            if alike == other:
                return other
        return None

    def _effect(self, waiver: Waiver, now: datetime, *, is_new: bool) -> WaiverResult:
        """Judge the newest blocked releases that the waiver covers again; the reconciler goes on with older ones."""

        def is_about(release: Release) -> bool:
            digests = (release.image.digest, *release.platforms)
            return waiver.covers_image(release.image.repository, digests)

        find = FindFreed(ledger=self.ledger, records=self.records, versions=self.versions)
        waivers, freed, left = self.grants.waivers(), list[Release](), list[tuple[Release, str]]()
        about = filter(is_about, find.blocked(now))
        for release in islice(about, _MOST_AT_ONCE):
            result = find.judge_again(release, self.policy, waivers, now)
            if result and result.verdict.outcome is VerdictOutcome.PASS:
                freed.append(release)
            elif result and waiver.id in {one.id for one in result.used_waivers}:
                left.append((release, result.verdict.blocking[0].message))
        is_all = next(about, None) is None
        return WaiverResult(waiver, is_new, tuple(freed), tuple(left), is_all)
