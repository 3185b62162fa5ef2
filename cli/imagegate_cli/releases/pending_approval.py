"""The approvals that a held image waits for, and the decisions so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imagegate.errors import ImageGateError
from imagegate.grants.approval import Approval, ApprovalRequest, ApprovalStatus, Choice, approval_status
from imagegate.release.release import Outcome, Release
from imagegate_cli.decisions.parameters import name_of
from imagegate_cli.faults import NotFoundError
from imagegate_cli.stack import Stack


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """A request for approval and its decisions, the oldest first."""

    request: ApprovalRequest
    decided: Sequence[Approval]
    standing: ApprovalStatus

    def as_json(self) -> dict[str, Any]:
        return {
            **self.request.as_json(),
            "standing": str(self.standing),
            "decided": [one.as_json() for one in self.decided],
        }

    def __str__(self) -> str:
        """Return `1 of 2 approvals for production (ann), until 2026-11-28 08:01 UTC`."""
        approving, rejecting = (
            [name_of(one.by) for one in self.decided if one.choice is choice] for choice in Choice
        )
        terms, into = self.request.terms, self.request.stage
        if rejecting:
            return f"rejected by {rejecting[0]}: it stays out of {into}"
        names = f" ({', '.join(approving)})" if approving else ""
        ends = f"{self.request.expires_at:%Y-%m-%d %H:%M} UTC"
        number = len(self.request.approving(self.decided))
        return f"{number} of {terms.quorum} approvals for {into}{names}, until {ends}"


def pending_approval(stack: Stack, release: Release, now: datetime) -> PendingApproval | None:
    """Return the pending approval, or None if there is none or it cannot be read."""
    if release.outcome is not Outcome.HELD:
        return None
    from botocore.exceptions import ClientError

    from imagegate.workflow.pending_approval import pending_request

    try:
        request = pending_request(release, stack.records.policy(release.policy), stack.ledger)
        decided = sorted(stack.grants.approvals(release.id), key=lambda one: one.at) if request else ()
    except (ClientError, ImageGateError, NotFoundError):
        return None
    return PendingApproval(request, decided, approval_status(request, decided, now)) if request else None
