"""Reconcile: on a schedule, find what no event announced. Events of ECR are best effort."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from imagegate.domain import approval_notice
from imagegate.domain.approval import Standing, request_of, standing
from imagegate.domain.break_glass import BreakGlass
from imagegate.domain.errors import ImageGateError, RejectedInputError
from imagegate.domain.grant_notice import glass_ended, glass_ending
from imagegate.domain.image import ImageRef
from imagegate.domain.judging import Versions
from imagegate.domain.notice import waiver_ending
from imagegate.domain.policy import Policy
from imagegate.domain.release import Facts, ReleaseId, StartReason, WaitingScan
from imagegate.domain.scan import Readiness
from imagegate.domain.waiver import Waiver
from imagegate.ports import Grants, Images, Notifications, Records
from imagegate.steps.await_scan import ScanCompleted
from imagegate.steps.freed import FindFreed

# Events that come at all come within a day: EventBridge gives up after that.
_LOOKS_BACK = timedelta(days=1)


class ReconcileError(ImageGateError):
    """Something could not be looked at; everything else was."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    woken: int
    started: int
    warned: int = 0
    freed: int = 0


@dataclass(frozen=True, slots=True)
class Reconcile:
    images: Images
    completed: ScanCompleted
    grants: Grants
    records: Records
    notifications: Notifications
    policy: Policy
    installed_at: datetime
    versions: Versions

    def run(self, now: datetime) -> Reconciled:
        """Wake who waits for a scan that is over; ask for a release of what was pushed and never started.

        Also tell of waivers that end, and try again what a new policy would let pass.
        """
        faults: list[str] = []
        woken = sum(self._tried(faults, scan) for scan in list(self.completed.ledger.all_waiting()))
        started = 0
        for repository in filter(self.policy.stage_of, self.images.repositories()):
            try:
                started += self._start_lost(repository, now)
            except ImageGateError as error:
                faults.append(f"{repository}: {error}")
        for image in list(self.completed.ledger.asked_again()):
            try:
                self._ask_again(image)
            except ImageGateError as error:
                faults.append(f"{image}: {error}")
        for held in list(self.completed.ledger.held()):
            try:
                self._expire(held, now)
            except ImageGateError as error:
                faults.append(f"{held}: {error}")
        try:
            waivers = self.grants.waivers()
            warned = sum(self._warned(waiver, now) for waiver in [*self.policy.waivers, *waivers])
            warned += sum(self._reminded(glass, now) for glass in self.grants.broken_glass())
            freed = self._free_by_policy(waivers, now)
        except ImageGateError as error:
            faults.append(f"waivers: {error}")
        if faults:
            raise ReconcileError("; ".join(faults))
        return Reconciled(woken, started, warned, freed)

    def _ask_again(self, image: ImageRef) -> None:
        """Ask for a release of what was promoted to where it had been refused."""
        ledger = self.completed.ledger
        latest = ledger.latest(image)
        if latest is not None:
            self.completed.starter.request(image, sorted(latest.tags), StartReason.PROMOTED)
        ledger.forget_asking(image)

    def _expire(self, held: ReleaseId, now: datetime) -> None:
        """What nobody has let in in time is told, once; what goes on otherwise is not looked at again."""
        ledger = self.completed.ledger
        release = ledger.get(held)
        latest = ledger.latest(held.image)
        request = request_of(release, self.records.policy(release.policy))
        if request is None or latest is None or latest.attempt != held.attempt:
            return ledger.unhold(held)
        if now < request.expires_at:
            return None
        if standing(request, self.grants.approvals(held), now) is Standing.EXPIRED:
            ledger.record(held, detail=f"nobody let it into {request.stage} in time")
            self.notifications.publish(approval_notice.expired(release, request))
        return ledger.unhold(held)

    def _warned(self, waiver: Waiver, now: datetime) -> bool:
        """Once for each waiver, in its last days, where it still counts."""
        if not waiver.is_ending(now) or waiver.fault(now, self.policy.waiver_terms):
            return False
        notice = f"{waiver.id} ending"
        if self.completed.ledger.is_noted(notice):
            return False
        self.notifications.publish(waiver_ending(waiver, now))
        self.completed.ledger.note(notice)
        return True

    def _reminded(self, glass: BreakGlass, now: datetime) -> bool:
        """Shortly before it ends, and once it has ended by itself."""
        is_over = glass.withdrawn_at is None and glass.ends_at <= now
        if not (is_over or glass.is_ending(now)):
            return False
        notice = f"{glass.id} {'ended' if is_over else 'ending'}"
        if self.completed.ledger.is_noted(notice):
            return False
        self.notifications.publish(glass_ended(glass) if is_over else glass_ending(glass))
        self.completed.ledger.note(notice)
        return True

    def _free_by_policy(self, waivers: list[Waiver], now: datetime) -> int:
        """Once for each policy: what was blocked under another one, and would pass under this one."""
        ledger, notice = self.completed.ledger, f"{self.policy.digest} considered"
        if ledger.is_noted(notice):
            return 0
        find = FindFreed(ledger, self.records, self.versions)
        freed = list(find.run(self.policy, waivers, now, lambda it: it.policy != self.policy.digest))
        for release in freed:
            self.completed.starter.request(release.image, sorted(release.tags), StartReason.NEW_POLICY)
        ledger.note(notice)
        return len(freed)

    def _tried(self, faults: list[str], scan: WaitingScan) -> bool:
        """One that cannot be looked at does not hide the others."""
        try:
            return self._look(scan)
        except ImageGateError as error:
            faults.append(f"{scan.release}: {error}")
            return False

    def _look(self, scan: WaitingScan) -> bool:
        if self.completed.wake_if_complete(scan):
            return True
        release = self.completed.ledger.latest(scan.release.image)
        if release is not None and release.is_open:
            self._start_scan(scan.image)
        return False

    def _start_scan(self, image: ImageRef) -> None:
        """Also where scans come by themselves: this one may have been lost, or never begun."""
        scans = self.completed.scans
        if scans.status(image).readiness is Readiness.NOT_STARTED:
            try:
                scans.start(image)
            except RejectedInputError:
                return  # the time-out of the release says so

    def _start_lost(self, repository: str, now: datetime) -> int:
        lost = list(self._lost(repository, now))
        for facts in lost:
            self.completed.starter.request(facts.image, sorted(facts.tags), StartReason.PUSH)
        return len(lost)

    def _lost(self, repository: str, now: datetime) -> Iterator[Facts]:
        since = max(self.installed_at, now - _LOOKS_BACK)
        for facts in self.images.pushed_since(repository, since):
            # Its event may be merely on its way: a start that is asked for twice is one start.
            if self.completed.ledger.latest(facts.image) is None:
                yield facts
