"""Approval: people let an image into its next stage, or keep it out; each by name, for a reason, once.

Rules: an approval is about one attempt, one stage and one policy; people are counted, not names; whoever brought the
image may not let it in; one rejection keeps it out; what nobody decides in time stays out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from imagegate.canonical_json import parse_timestamp, timestamp
from imagegate.errors import RejectedInputError
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.approval_terms import MAIL, ApprovalTerms, Person
from imagegate.policy.policy import Policy
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason


class Choice(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class ApprovalStatus(StrEnum):
    """What the decisions come to so far."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """What waits: which attempt wants into which stage, under which terms, and who brought the image."""

    release: ReleaseId
    stage: str  # that is entered
    policy: Digest
    terms: ApprovalTerms
    asked_at: datetime
    brought_by: tuple[str, ...] = ()  # ARNs

    @property
    def expires_at(self) -> datetime:
        return self.asked_at + self.terms.expires

    def as_json(self) -> dict[str, Any]:
        """For machines that ask people."""
        return {
            "into": self.stage,
            "attempt": self.release.attempt,
            "quorum": self.terms.quorum,
            "approvers": [*self.terms.approvers, *self.terms.by_mail],
            "expires": timestamp(self.expires_at),
        }

    def fault(self, person: Person, reason: str, now: datetime) -> str | None:
        """Why this person may not decide now; None: they may."""
        if now >= self.expires_at:
            return f"the time to decide ended on {self.expires_at:%Y-%m-%d %H:%M} UTC"
        if not person.is_a_person:
            return f"{person.arn} is no user, and no session of a role: nobody knows who that is"
        if self.key(person.arn) in self.bringers:
            return "whoever brought the image does not decide about it"
        if not self._is_approver(person):
            return f"{person.arn} is none of the approvers of {self.stage}"
        if self.terms.needs_reason and not reason.strip():
            return f"{self.stage} asks for a reason"
        return None

    def key(self, arn: str) -> str:
        """The person behind an ARN or an address, as this stage counts people."""
        return Person(arn).key(self.terms.named_sessions)

    @property
    def bringers(self) -> frozenset[str]:
        return frozenset(map(self.key, self.brought_by))

    def approving(self, decided: Iterable[Approval]) -> frozenset[str]:
        """The people whose approvals count."""
        counting = (one for one in decided if one.choice is Choice.APPROVE and _counts(self, one))
        return frozenset(self.key(one.by) for one in counting) - self.bringers

    def _is_approver(self, person: Person) -> bool:
        """By IAM, whoever has the power to approve where nobody is named; by mail only who is."""
        if person.arn.startswith(MAIL):
            return person.arn.removeprefix(MAIL) in self.terms.by_mail
        return not self.terms.approvers or person.is_one_of(self.terms.approvers)


@dataclass(frozen=True, slots=True)
class Approval:
    """What one person decided."""

    release: ReleaseId
    stage: str  # that is entered
    policy: Digest
    choice: Choice
    by: str  # ARN
    at: datetime
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "repository": self.release.image.repository,
            "digest": str(self.release.image.digest),
            "attempt": self.release.attempt,
            "stage": self.stage,
            "policy": str(self.policy),
            "choice": str(self.choice),
            "by": self.by,
            "at": timestamp(self.at),
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, raw: Any) -> Self:
        """Read what `as_json` wrote. Raises `RejectedInputError`."""
        try:
            image = ImageRef.of(raw["repository"], raw["digest"])
            return cls(
                release=ReleaseId(image, int(raw["attempt"])),
                stage=raw["stage"],
                policy=Digest.parse(raw["policy"]),
                choice=Choice(raw["choice"]),
                by=raw["by"],
                at=parse_timestamp(raw["at"]),
                reason=raw["reason"],
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RejectedInputError(f"not an approval: {error!r}") from error


def approval_status(request: ApprovalRequest, decided: Iterable[Approval], now: datetime) -> ApprovalStatus:
    """What was decided in time by those who may; each person counts once."""
    decided = list(decided)
    if any(one.choice is Choice.REJECT and _counts(request, one) for one in decided):
        return ApprovalStatus.REJECTED
    if len(request.approving(decided)) >= request.terms.quorum:
        return ApprovalStatus.APPROVED
    return ApprovalStatus.EXPIRED if now >= request.expires_at else ApprovalStatus.WAITING


def _counts(request: ApprovalRequest, one: Approval) -> bool:
    """Tags are not looked at again: `decide` has, and it alone writes approvals."""
    is_about = (one.release, one.stage, one.policy) == (request.release, request.stage, request.policy)
    return is_about and one.at < request.expires_at


def request_of(release: Release, policy: Policy) -> ApprovalRequest | None:
    """What a held attempt waits for, under the policy that it was judged by; None: for nothing."""
    stage = policy.stage_of(release.image.repository)
    following = policy.next_stage(stage) if stage else None
    if release.outcome is not Outcome.HELD or release.closed_at is None:
        return None
    if following is None or following.approval is None:
        return None
    brought_by = (release.started_by,) if release.started_by else ()
    return ApprovalRequest(
        release.id, following.name, release.policy, following.approval, release.closed_at, brought_by
    )


def held_before(release: Release, attempts: Sequence[Release]) -> Release | None:
    """The held attempt that this one goes on with, because it was approved; `attempts`: newest first."""
    goes_on = (StartReason.APPROVED, StartReason.LOST_EXECUTION)
    at: Release | None = release
    while at is not None and at.reason in goes_on:
        number = at.attempt
        at = next((one for one in attempts if one.attempt < number), None)
    return at if at is not None and at.attempt < release.attempt and at.outcome is Outcome.HELD else None
