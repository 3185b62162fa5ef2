"""Decide: what gives power. A waiver is granted, or withdrawn, by a person whose name is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from imagegate.domain.decision import Decision
from imagegate.domain.errors import RecordNotFoundError, RejectedInputError
from imagegate.domain.image import ImageRef
from imagegate.domain.judging import Versions
from imagegate.domain.policy import Policy, Scanner
from imagegate.domain.release import Outcome, Release, StartReason
from imagegate.domain.verdict import VerdictOutcome
from imagegate.domain.waiver import Waiver
from imagegate.ports import Ledger, Records, Starter, WritableGrants
from imagegate.steps.replay import Replay

# What was blocked longer ago is released by hand, or by its next push.
_LOOKS_BACK = timedelta(days=30)
_LOOKED_AT = 300


class WaiverRefusedError(RejectedInputError):
    """Such a waiver would never count; the message says why."""


@dataclass(frozen=True, slots=True)
class Granted:
    waiver: Waiver
    is_new: bool
    freed: tuple[Release, ...] = ()  # what is judged again, because it would pass now


@dataclass(frozen=True, slots=True)
class Decide:
    grants: WritableGrants
    ledger: Ledger
    records: Records
    starter: Starter
    policy: Policy
    versions: Versions

    def waive(self, waiver: Waiver, by: str, now: datetime) -> Granted:
        """Grant it, and begin another attempt of what it would free. Raises `WaiverRefusedError`."""
        now = now.replace(microsecond=0)
        granted = replace(waiver, granted_at=now, granted_by=by)
        self._check(granted, now)
        known = self._known(granted)
        if known is None:
            self.grants.grant(granted)
        # Also of one that was granted before: the first call may have been killed here.
        freed = tuple(self._freed(known or granted, now))
        for release in freed:
            self.starter.request(release.image, sorted(release.tags), StartReason.NEW_WAIVER)
        return Granted(known or granted, known is None, freed)

    def withdraw(self, waiver_id: str, by: str, now: datetime) -> Waiver:
        """Raise `RecordNotFoundError` when there is no such waiver."""
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
        """The same one, if it was granted before and still stands."""
        for other in self.grants.waivers():
            alike = replace(waiver, granted_at=other.granted_at, granted_by=other.granted_by)
            if alike == other:
                return other
        return None

    def _freed(self, waiver: Waiver, now: datetime) -> Iterator[Release]:
        """The blocked releases that it is about and that would pass now, each image once."""
        seen: set[ImageRef] = set()
        replay = Replay(self.records, self.versions)
        waivers = self.grants.waivers()
        for release in self.ledger.recent(_LOOKED_AT, now):
            if release.image in seen or now - release.started_at > _LOOKS_BACK:
                continue
            seen.add(release.image)
            digests = (release.image.digest, *release.platforms)
            is_about = waiver.covers_image(release.image.repository, digests)
            if release.outcome is not Outcome.BLOCKED or release.decision is None or not is_about:
                continue
            if self._would_pass(replay, release, waivers, now):
                yield release

    def _would_pass(self, replay: Replay, release: Release, waivers: list[Waiver], now: datetime) -> bool:
        stage = self.policy.stage_of(release.image.repository)
        if stage is None or release.decision is None:
            return False
        try:
            decision = Decision.decode(self.records.decision(release.decision))
            found = replay.run(decision, self.policy, stage, waivers, now)
        except RecordNotFoundError:
            return False
        return found.verdict.outcome is VerdictOutcome.PASS
