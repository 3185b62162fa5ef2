"""Reconcile: on a schedule, find what no event announced. ECR sends events on a best-effort basis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar
from zlib import crc32

from imagegate.errors import RejectedInputError, RetryableError
from imagegate.findings.scan import Readiness
from imagegate.grants.approval import ApprovalStatus, approval_request, approval_status
from imagegate.notices import approval_notice
from imagegate.notices.grant_notice import glass_ended, glass_ending
from imagegate.notices.notice import not_reconciled, waiver_ending
from imagegate.ports.ledger import HeldReleases, IgnoredImages, RecordedReleases, RepeatedRequests, ScanTokens
from imagegate.release.release import EcrImage, ReleaseId, StartReason, WaitingScan
from imagegate.workflow.examination.freed import FindFreed
from imagegate.workflow.watch.deleted import AnnounceDeletion, DeletionLedger

if TYPE_CHECKING:
    from imagegate.findings.finding import Versions
    from imagegate.grants.break_glass import BreakGlass
    from imagegate.oci.image import ImageRef
    from imagegate.policy.policy import Policy
    from imagegate.policy.waiver import Waiver
    from imagegate.ports.grants import Grants
    from imagegate.ports.images import Images
    from imagegate.ports.records import Records
    from imagegate.ports.services import Notifications
    from imagegate.workflow.await_scan import ScanCompleted

T = TypeVar("T")
# EventBridge tries to deliver an event for a day.
_LOOKS_BACK = timedelta(days=1)


class ReconcileError(RetryableError):
    """Something could not be reconciled for now. Everything else was."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The numbers of what was done. `faults`: what could not be reconciled, and why."""

    woken: int
    started: int
    warned: int = 0
    freed: int = 0
    gone: int = 0
    faults: tuple[str, ...] = ()


@dataclass(slots=True)
class Sweep:
    """Goes through lists. A fault of one item does not stop the others."""

    faults: dict[str, Exception] = field(default_factory=dict)

    def each(
        self,
        what: str,
        listed: Callable[[], Iterable[T]],
        act: Callable[[T], int | None],
        name: Callable[[T], object] = str,
    ) -> int:
        """Call `act` with each item, and return the sum of its results. `what` names the list if it cannot be read."""
        done = 0
        for item in self.listed(what, listed):
            try:
                done += act(item) or 0
            except Exception as fault:  # noqa: BLE001 - the others are still done, and every fault is reported
                self.faults[str(name(item))] = fault
        return done

    def listed(self, what: str, listed: Callable[[], Iterable[T]]) -> list[T]:
        """Return the items of a list, as far as they can be read."""
        result: list[T] = []
        try:
            items = iter(listed())
        except Exception as fault:  # noqa: BLE001 - as above
            self.faults[what] = fault
            return result
        while True:
            try:
                result.append(next(items))
            except StopIteration:
                return result
            except Exception as fault:  # noqa: BLE001 - as above; an iterator that is broken off ends
                self.faults[what] = fault


class ReconcilerLedger(
    DeletionLedger, ScanTokens, HeldReleases, RepeatedRequests, IgnoredImages, RecordedReleases, Protocol
):
    """The parts of the ledger that `Reconcile` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    images: Images
    ledger: ReconcilerLedger
    completed: ScanCompleted
    grants: Grants
    records: Records
    notifications: Notifications
    policy: Policy
    installed_at: datetime
    versions: Versions

    def run(self, now: datetime) -> Reconciled:
        """Wake releases whose scan has ended, request those without an event, retry those that a new policy passes.

        Also announce ending waivers, expired approvals and deleted images. Raises `ReconcileError` for faults that may
        pass with the next call; all other faults are announced once a day.
        """
        sweep, ledger, since = Sweep(), self.ledger, max(self.installed_at, now - _LOOKS_BACK)
        woken = sweep.each("what waits", ledger.all_tokens, self._wake, lambda scan: scan.release)
        started, repositories = 0, sweep.listed("repositories", self.images.repositories)
        ours = [repository for repository in repositories if self.policy.stage_of(repository)]
        for repository in ours:
            pushed = partial(self.images.pushed_since, repository, since)
            started += sweep.each(repository, pushed, self._start_lost, lambda facts: facts.image)
        due = [repository for repository in ours if _is_due(repository, now)]
        gone = sweep.each("what is current", lambda: due, partial(self.deletions.look, now=now))
        sweep.each("what was promoted", ledger.requested_again, self._ask_again)
        sweep.each("what is held", ledger.held, partial(self._expire, now=now))
        waivers = sweep.listed("waivers", self.grants.waivers)
        every = [*self.policy.waivers, *waivers]
        warned = sweep.each("waivers", lambda: every, partial(self._warn, now=now), lambda waiver: waiver.id)
        broken = self.grants.broken_glass
        warned += sweep.each("break-glass", broken, partial(self._remind, now=now), lambda glass: glass.id)
        freed = 0
        if "waivers" not in sweep.faults:  # a policy is considered only once, so not without the waivers
            free = partial(self._free_by_policy, waivers, now)
            freed = sweep.each("policies", lambda: [self.policy], free, lambda policy: policy.digest)
        faults = self._report(sweep.faults, now)
        return Reconciled(woken, started, warned, freed, gone, faults)

    @property
    def deletions(self) -> AnnounceDeletion:
        return AnnounceDeletion(
            images=self.images,
            ledger=self.ledger,
            notifications=self.notifications,
            policy=self.policy,
        )

    def _ask_again(self, image: ImageRef) -> None:
        """Request a release of an image that was promoted to a repository where it had been refused."""
        ledger = self.ledger
        latest = ledger.latest(image)
        if latest is not None:
            self.completed.starter.request(image, sorted(latest.tags), StartReason.PROMOTED)
        ledger.forget_request(image)

    def _report(self, faults: Mapping[str, Exception], now: datetime) -> tuple[str, ...]:
        """Announce lasting faults once a day and return them. Raises `ReconcileError` for faults that may pass."""
        passing = [f"{what}: {why}" for what, why in faults.items() if isinstance(why, RetryableError)]
        lasting = {
            what: f"{type(why).__name__}: {why}"
            for what, why in faults.items()
            if not isinstance(why, RetryableError)
        }
        ledger, notice = self.ledger, f"not reconciled on {now:%Y-%m-%d}"
        fresh = {what: why for what, why in lasting.items() if not ledger.is_noted(f"{what} {notice}")}
        if fresh:
            self.notifications.publish(not_reconciled(fresh, now))
        for what in fresh:
            ledger.note(f"{what} {notice}")
        if passing:
            raise ReconcileError("; ".join(passing))
        return tuple(f"{what}: {why}" for what, why in lasting.items())

    def _expire(self, held: ReleaseId, now: datetime) -> None:
        """Announce an expired approval once; forget a held release that has moved on."""
        ledger = self.ledger
        release = ledger.get(held)
        latest = ledger.latest(held.image)
        request = approval_request(release, self.records.policy(release.policy))
        if request is None or latest is None or latest.attempt != held.attempt:
            return ledger.stop_holding(held)
        if now < request.expires_at:
            return None
        if approval_status(request, self.grants.approvals(held), now) is ApprovalStatus.EXPIRED:
            ledger.record(held, detail=f"nobody approved it for {request.stage} in time")
            self.notifications.publish(approval_notice.expired(release, request))
        return ledger.stop_holding(held)

    def _warn(self, waiver: Waiver, now: datetime) -> bool:
        """Announce the end of a waiver once, in its last days, if it still counts."""
        if not waiver.is_ending(now) or waiver.fault(now, self.policy.waiver_terms):
            return False
        notice = f"{waiver.id} ending"
        if self.ledger.is_noted(notice):
            return False
        self.notifications.publish(waiver_ending(waiver, now))
        self.ledger.note(notice)
        return True

    def _remind(self, glass: BreakGlass, now: datetime) -> bool:
        """Announce that a break-glass ends soon, and that it has ended."""
        is_over = glass.withdrawn_at is None and glass.ends_at <= now
        if not (is_over or glass.is_ending(now)):
            return False
        notice = f"{glass.id} {'ended' if is_over else 'ending'}"
        if self.ledger.is_noted(notice):
            return False
        self.notifications.publish(glass_ended(glass) if is_over else glass_ending(glass))
        self.ledger.note(notice)
        return True

    def _free_by_policy(self, waivers: Sequence[Waiver], now: datetime, _policy: Policy) -> int:
        """Request the releases that another policy blocked and this one would pass; once per policy."""
        ledger, notice = self.ledger, f"{self.policy.digest} considered"
        if ledger.is_noted(notice):
            return 0
        find = FindFreed(ledger=ledger, records=self.records, versions=self.versions)
        freed = list(find.run(self.policy, waivers, now, lambda it: it.policy != self.policy.digest))
        for release in freed:
            self.completed.starter.request(release.image, sorted(release.tags), StartReason.NEW_POLICY)
        ledger.note(notice)
        return len(freed)

    def _wake(self, scan: WaitingScan) -> bool:
        if self.completed.wake_if_complete(scan):
            return True
        release = self.ledger.latest(scan.release.image)
        if release is not None and release.is_open:
            self._start_scan(scan.image)
        return False

    def _start_scan(self, image: ImageRef) -> None:
        """Start a scan that has not started, even if scans start by themselves: it may have been lost."""
        scans = self.completed.scans
        if scans.status(image).readiness is Readiness.NOT_STARTED:
            try:
                scans.start(image)
            except RejectedInputError:
                return  # the release will time out and report it

    def _start_lost(self, facts: EcrImage) -> bool:
        """Request a release of an image that has none, unless the ledger says why it was ignored."""
        # Its event may still come: two requests for the same start are one start.
        if self.ledger.latest(facts.image) is not None:
            return False
        ignored = self.ledger.ignored(facts.image)
        if ignored is not None and ignored.settles(facts, self.policy.digest):
            return False
        self.completed.starter.request(facts.image, sorted(facts.tags), StartReason.PUSH)
        return True


def _is_due(repository: str, now: datetime) -> bool:
    """Say whether it is the repository's turn: once an hour, each in its own five minutes."""
    return crc32(repository.encode()) % 12 == now.minute // 5
