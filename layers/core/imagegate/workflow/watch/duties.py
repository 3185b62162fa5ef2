"""Time-bound duties of the reconciler: scans to wake for, approvals that expire, grants that end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from imagegate.errors import ImageNotFoundError, RejectedInputError
from imagegate.findings.scan import Readiness, ScanStatus
from imagegate.grants.approval import ApprovalStatus, approval_request, approval_status
from imagegate.notices.approval import notice as approval_notice
from imagegate.notices.grant_notice import glass_ended, glass_ending
from imagegate.notices.notice import waiver_ending
from imagegate.ports.ledger import RecordedReleases
from imagegate.ports.pending import HeldReleases, Notices, RepeatedRequests, ScanTokens
from imagegate.release.release import ReleaseId, StartReason, WaitingScan

if TYPE_CHECKING:
    from imagegate.grants.break_glass import BreakGlass
    from imagegate.notices.message import Message
    from imagegate.oci.image import ImageRef
    from imagegate.policy.policy import Policy
    from imagegate.policy.waiver import Waiver
    from imagegate.ports.grants import Grants
    from imagegate.ports.records import Records
    from imagegate.ports.services import Notifications
    from imagegate.workflow.await_scan import ScanCompleted
    from imagegate.workflow.watch.sweep import Sweep

T = TypeVar("T")
# If more waivers end at once, the daily digest has them: Amazon SNS suspends an address that gets too many mails.
_MOST_MAILS = 5


class DutiesLedger(ScanTokens, HeldReleases, RepeatedRequests, RecordedReleases, Notices, Protocol):
    """The parts of the ledger that `Duties` uses."""


@dataclass(frozen=True, slots=True)
class DutiesDone:
    """The releases that were woken, and the ends of grants that were announced."""

    woken: int
    warned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Duties:
    ledger: DutiesLedger
    completed: ScanCompleted
    grants: Grants
    records: Records
    notifications: Notifications
    policy: Policy

    def run(
        self, sweep: Sweep, notes: dict[str, Any], waivers: Sequence[Waiver], now: datetime, until: float
    ) -> DutiesDone:
        """Do all duties. A list that takes longer than the time is continued where `notes` say that it ended."""
        ledger, all_waivers = self.ledger, [*self.policy.waivers, *waivers]
        is_loud = sum(waiver.is_ending(now) for waiver in all_waivers) <= _MOST_MAILS
        warned = sweep.each(
            "waivers",
            lambda: all_waivers,
            partial(self._warn, now=now, is_loud=is_loud),
            until=until,
            name=lambda waiver: waiver.id,
        )
        glass = sweep.each(
            "break-glass",
            self.grants.broken_glass,
            partial(self._remind, now=now),
            until=until,
            name=lambda glass: glass.id,
        )
        sweep.each("what was promoted", ledger.requested_again, self._request_again, until=until)
        expire = partial(self._expire, now=now)
        _go_on(sweep, notes, "what is held", ledger.held, expire, until)
        woken = _go_on(sweep, notes, "what waits", ledger.all_tokens, self._wake, until, _scan_name)
        return DutiesDone(woken, warned.done + glass.done)

    def _request_again(self, image: ImageRef) -> None:
        """Request a release of an image that was promoted to a repository where it had been refused."""
        ledger = self.ledger
        latest = ledger.latest(image)
        if latest is not None:
            self.completed.starter.request(image, sorted(latest.tags), StartReason.PROMOTED)
        ledger.forget_request(image)

    def _expire(self, held: ReleaseId, now: datetime) -> None:
        """Announce an approval that ends soon or has expired, once; forget a held release that has moved on."""
        ledger = self.ledger
        latest = ledger.latest(held.image)
        is_latest = latest is not None and latest.attempt == held.attempt
        release = latest if latest and is_latest else ledger.get(held)
        request = approval_request(release, self.records.policy(release.policy))
        if request is None or not is_latest:
            return ledger.stop_holding(held)
        if now < request.expires_at:
            if request.is_ending(now):
                self._announce_once(
                    f"{held} approval ending", lambda: approval_notice.ending(release, request)
                )
            return None
        if approval_status(request, self.grants.approvals(held), now) is ApprovalStatus.EXPIRED:
            ledger.record(held, detail=f"nobody approved it for {request.stage} in time")
            self.notifications.publish(approval_notice.expired(release, request))
        return ledger.stop_holding(held)

    def _warn(self, waiver: Waiver, now: datetime, *, is_loud: bool) -> bool:
        """Announce the end of a waiver once, in its last days, if it still counts."""
        if not waiver.is_ending(now) or waiver.fault(now, self.policy.waiver_terms):
            return False
        return self._announce_once(
            f"{waiver.id} ending", partial(waiver_ending, waiver, now, is_loud=is_loud)
        )

    def _remind(self, glass: BreakGlass, now: datetime) -> bool:
        """Announce that a break-glass ends soon, and that it has ended."""
        is_over = glass.withdrawn_at is None and glass.ends_at <= now
        if not (is_over or glass.is_ending(now)):
            return False
        end, message = ("ended", glass_ended) if is_over else ("ending", glass_ending)
        return self._announce_once(f"{glass.id} {end}", partial(message, glass))

    def _announce_once(self, notice: str, message: Callable[[], Message]) -> bool:
        if self.ledger.is_noted(notice):
            return False
        self.notifications.publish(message())
        self.ledger.note(notice)
        return True

    def _wake(self, scan: WaitingScan) -> bool:
        """Wake a release whose scans are over. Start a scan of an open release that has not started."""
        status = self._status(scan.image)
        if status is None or status.is_final:
            return self.completed.wake_if_complete(scan)
        if status.readiness is Readiness.NOT_STARTED:
            latest = self.ledger.latest(scan.release.image)
            if latest is not None and latest.is_open:
                self._start_scan(scan.image)
        return False

    def _status(self, image: ImageRef) -> ScanStatus | None:
        try:
            return self.completed.scans.status(image)
        except ImageNotFoundError:
            return None

    def _start_scan(self, image: ImageRef) -> None:
        """Start a scan, even if scans start by themselves: it may have been lost."""
        try:
            self.completed.scans.start(image)
        except RejectedInputError:
            return  # the release will time out and report it


def _scan_name(scan: WaitingScan) -> str:
    return f"{scan.release}, {scan.image.digest.short}"


def _go_on(
    sweep: Sweep,
    notes: dict[str, Any],
    what: str,
    listed: Callable[[], Iterable[T]],
    act: Callable[[T], int | None],
    until: float,
    name: Callable[[T], str] = str,
) -> int:
    """Handle a list, beginning behind the item where the last run ended, and return the sum of the results."""
    after = notes.pop(what, "")
    items = sorted(sweep.listed(what, listed), key=lambda item: (name(item) <= after, name(item)))
    swept = sweep.each(what, lambda: items, act, until=until, name=name)
    if not swept.is_whole:
        notes[what] = name(swept.last) if swept.last is not None else after
    return swept.done
