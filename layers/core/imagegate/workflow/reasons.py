"""The reason of a requested release. The grants, the ledger or the policy have to prove it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from imagegate.errors import RejectedInputError
from imagegate.grants.approval import ApprovalStatus, approval_status
from imagegate.grants.break_glass import active_break_glass as breaks_glass
from imagegate.ports.ledger import Pushers, Releases
from imagegate.release.order import newest_order
from imagegate.release.release import Release, StartReason
from imagegate.release.start import Ignore, Push
from imagegate.workflow.pending_approval import pending_request

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.policy.policy import Policy
    from imagegate.ports.grants import Grants
    from imagegate.ports.records import Records
    from imagegate.workflow.start import StartRelease

_BY_HAND = (StartReason.OPERATOR, StartReason.ADOPTED)
# A reason that only `start_release` itself finds; no request may give it.
_INTERNAL = StartReason.NEW_TAG


@dataclass(frozen=True, slots=True)
class Pusher:
    """The ARN of the principal who pushed an image, as CloudTrail recorded it."""

    image: ImageRef
    arn: str


@dataclass(frozen=True, slots=True)
class RequestedRelease:
    """A request of one of our functions. It proves nothing: its reason is looked up."""

    image: ImageRef
    tags: tuple[str, ...]
    reason: StartReason


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOnEvent:
    """Starts a release for a push, or for a request whose reason is proven; notes who pushed an image."""

    start: StartRelease
    grants: Grants

    def run(self, event: Push | Pusher | RequestedRelease, now: datetime) -> Release | Ignore:
        """Return the release, or why there is none. Raises `RejectedInputError` for a reason that nobody can give."""
        match event:
            case Push():
                return self.start.on_push(event, now)
            case Pusher():
                return self.start.on_pushed_by(event.image, event.arn)
            case RequestedRelease():
                return self._on_request(event, now)

    def _on_request(self, request: RequestedRelease, now: datetime) -> Release | Ignore:
        check = CheckReason(
            grants=self.grants,
            ledger=self.start.ledger,
            records=self.start.records,
            policy=self.start.policy,
        )
        proven = check.run(request.image, request.tags, request.reason, now)
        if isinstance(proven, Ignore):
            return proven
        return self.start.on_request(request.image, proven.tags, proven.reason, now, proven.by)


@dataclass(frozen=True, slots=True)
class Proven:
    """A proven reason, its tags, and the person who requested the release (empty if nobody did)."""

    reason: StartReason
    tags: frozenset[str]
    by: str = ""


class ReasonLedger(Releases, Pushers, Protocol):
    """The parts of the ledger that `CheckReason` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReason:
    grants: Grants
    ledger: ReasonLedger
    records: Records
    policy: Policy

    def run(
        self, image: ImageRef, tags: Iterable[str], reason: StartReason, now: datetime
    ) -> Proven | Ignore:
        """Return the proven reason, or why the request is ignored.

        Raises `RejectedInputError` for a reason that no request may give.
        """
        if reason is _INTERNAL:
            raise RejectedInputError(f"{image}: a release cannot be requested for the reason {reason}")
        latest = self.ledger.latest(image)
        if reason in _BY_HAND:
            return self._check_order(image, reason, latest, now)
        if reason is StartReason.PUSH:  # ECR says what there is
            return Proven(reason, frozenset(tags))
        if latest is None:
            return Ignore(f"the image has no attempt, so it cannot go on for the reason {reason}")
        # An open attempt is joined: its first start may have been killed, or its execution is lost.
        if latest.is_open or self._holds(latest, reason, now):
            return Proven(reason, latest.tags)
        return Ignore(f"nothing proves the reason {reason}")

    def _check_order(
        self, image: ImageRef, reason: StartReason, latest: Release | None, now: datetime
    ) -> Proven | Ignore:
        order = newest_order(self.grants.orders(image), reason)
        if order is None or not order.counts(latest, now):
            return Ignore("nobody has requested it by hand")
        return Proven(reason, order.tags, order.by)

    def _holds(self, latest: Release, reason: StartReason, now: datetime) -> bool:
        if reason is StartReason.APPROVED:
            return self._is_approved(latest, now)
        if reason is StartReason.BREAK_GLASS:
            return breaks_glass(self.grants.broken_glass(), latest.image, now) is not None
        if reason is StartReason.NEW_WAIVER:
            return self._is_waived(latest, now)
        if reason is StartReason.NEW_POLICY:
            return latest.policy != self.policy.digest
        # `StartRelease` checks whether the attempt lacked a scan or a promotion.
        return reason in (StartReason.LATE_SCAN, StartReason.PROMOTED)

    def _is_approved(self, latest: Release, now: datetime) -> bool:
        request = pending_request(latest, self.records.policy(latest.policy), self.ledger)
        if request is None:
            return False
        return approval_status(request, self.grants.approvals(latest.id), now) is ApprovalStatus.APPROVED

    def _is_waived(self, latest: Release, now: datetime) -> bool:
        digests = (latest.image.digest, *latest.platforms)
        return any(
            waiver.fault(now, self.policy.waiver_terms) is None
            and waiver.covers_image(latest.image.repository, digests)
            for waiver in self.grants.waivers()
        )
