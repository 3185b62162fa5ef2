"""Approve or reject one held attempt. An approved image goes on in another attempt, which judges it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from imagegate.errors import ImageNotFoundError, RecordNotFoundError, RejectedInputError
from imagegate.grants.approval import (
    Approval,
    ApprovalRequest,
    ApprovalStatus,
    Choice,
    approval_status,
    find_replacement,
)
from imagegate.grants.results import ApprovalResult
from imagegate.notices.approval import notice as approval_notice
from imagegate.policy.approval_terms import TAG, Person
from imagegate.ports.ledger import Pushers, RecordedReleases
from imagegate.ports.pending import HeldReleases, Notices
from imagegate.release.release import Release, ReleaseId, StartReason
from imagegate.workflow.pending_approval import pending_request

if TYPE_CHECKING:
    from imagegate.ports.executions import Starter
    from imagegate.ports.grants import WritableGrants
    from imagegate.ports.images import Images
    from imagegate.ports.records import Records
    from imagegate.ports.services import Notifications, People

_PARTICIPLES = {Choice.APPROVE: "approved", Choice.REJECT: "rejected"}


class ApprovalRefusedError(RejectedInputError):
    """This person may not decide this, or not any longer. The message says why."""


class ApprovalLedger(RecordedReleases, HeldReleases, Notices, Pushers, Protocol):
    """The parts of the ledger that `DecideApproval` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideApproval:
    grants: WritableGrants
    ledger: ApprovalLedger
    records: Records
    images: Images
    starter: Starter
    people: People
    notifications: Notifications

    def run(self, id_: ReleaseId, by: str, choice: Choice, reason: str, now: datetime) -> ApprovalResult:
        """Record the decision of `by` (an ARN or a mail address) and carry it out.

        A repeated call finishes a call that was killed. Raises `ApprovalRefusedError`, or `RecordNotFoundError` if the
        attempt does not wait for an approval.
        """
        now = now.replace(microsecond=0)
        release = self.ledger.get(id_)
        request = self._request(release)
        if fault := request.fault(self._person(by, request), reason, now):
            raise ApprovalRefusedError(f"{release.image}: {fault}")
        one = Approval(id_, request.stage, request.policy, choice, by, now, reason)
        if not self.grants.decide(one):
            self._check_same(one)
        decided = tuple(self.grants.approvals(id_))
        result = ApprovalResult(request, approval_status(request, decided, now), decided)
        self._carry_out(release, result)
        return result

    def _request(self, release: Release) -> ApprovalRequest:
        """Return the approval request. Raises an error if the attempt does not wait, is revoked, or not the latest."""
        if release.revoked:
            raise ApprovalRefusedError(
                f"{release.image}: its signature was {release.revoked}; push another image"
            )
        request = pending_request(release, self.records.policy(release.policy), self.ledger)
        if request is None:
            raise RecordNotFoundError(f"{release.id} does not wait for an approval: imagegate list --waiting")
        other = find_replacement(release, self.ledger.history(release.image).attempts)
        if other is not None:
            raise ApprovalRefusedError(
                f"{release.image}: attempt {other.attempt} has begun since; decide about that"
            )
        if not self._tags(release):
            raise ApprovalRefusedError(f"{release.image}: another image has its tags by now")
        return request

    def _tags(self, release: Release) -> frozenset[str]:
        try:
            return release.tags & self.images.facts(release.image).tags
        except ImageNotFoundError:
            return frozenset()

    def _person(self, by: str, request: ApprovalRequest) -> Person:
        """Return the person, with their IAM tags if an approver is named by tag."""
        asks = any(approver.startswith(TAG) for approver in request.terms.approvers)
        return Person(by, self.people.tags(by) if asks else {})

    def _check_same(self, one: Approval) -> None:
        known = next((other for other in self.grants.approvals(one.release) if other.by == one.by), None)
        if known is None or known.choice is not one.choice:
            earlier = _PARTICIPLES[known.choice] if known else "decided"
            again = f"to request approval again: imagegate release {one.release.image}"
            raise ApprovalRefusedError(f"{one.release.image}: you have {earlier} it already; {again}")

    def _carry_out(self, release: Release, result: ApprovalResult) -> None:
        if result.status is ApprovalStatus.APPROVED:
            self.starter.request(release.image, sorted(release.tags), StartReason.APPROVED)
        elif result.status is ApprovalStatus.REJECTED:
            self._reject(release, result)
        else:
            return
        self.ledger.stop_holding(release.id)

    def _reject(self, release: Release, result: ApprovalResult) -> None:
        """Record and announce the rejection once. A call that is killed may announce it twice."""
        by = next(one for one in result.decided if one.choice is Choice.REJECT)
        notice = f"{release.key} rejected"
        if self.ledger.is_noted(notice):
            return
        self.ledger.record(
            release.id, detail=f"rejected by {by.by}" + (f": {by.reason}" if by.reason else "")
        )
        self.notifications.publish(approval_notice.rejected(release, result.request, by))
        self.ledger.note(notice)
