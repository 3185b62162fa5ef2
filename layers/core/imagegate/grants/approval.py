"""Approval: people let an image into its next stage, or reject it; each by name, for a reason, once.

Rules: an approval is about one attempt, one stage and one policy. A quorum counts people, not names. A person who
pushed, ordered or adopted the image does not decide about it. One rejection keeps the image out; so does a request that
expires.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from imagegate.canonical_json import parse_timestamp, timestamp
from imagegate.errors import RejectedInputError
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.approval_terms import MAIL, ApprovalTerms, Person
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason

if TYPE_CHECKING:
    from imagegate.policy.policy import Policy


_LAST_DAY = timedelta(days=1)


class Choice(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class ApprovalStatus(StrEnum):
    """The status of an approval request, given the decisions so far."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A held attempt that waits for approval: the stage it enters, the terms, and who brought the image."""

    release: ReleaseId
    stage: str  # the stage that the image enters
    policy: Digest
    terms: ApprovalTerms
    requested_at: datetime
    brought_by: tuple[str, ...] = ()  # ARNs of those who pushed, ordered or adopted it

    @property
    def expires_at(self) -> datetime:
        return self.requested_at + self.terms.expires

    def is_ending(self, now: datetime) -> bool:
        """Return True on the last day of a request that had time for longer."""
        is_long = self.terms.expires > 2 * _LAST_DAY
        return is_long and self.expires_at - _LAST_DAY <= now < self.expires_at

    def as_json(self) -> dict[str, Any]:
        """Return what a program needs to request a decision from people."""
        return {
            "into": self.stage,
            "attempt": self.release.attempt,
            "quorum": self.terms.quorum,
            "approvers": [*self.terms.approvers, *self.terms.by_mail],
            "expires": timestamp(self.expires_at),
        }

    def fault(self, person: Person, reason: str, now: datetime) -> str | None:
        """Return why this person may not decide now, or None if they may."""
        if now >= self.expires_at:
            return f"the time to decide ended on {self.expires_at:%Y-%m-%d %H:%M} UTC"
        if not person.is_a_person:
            return f"{person.arn} is no user, and no session of a role: nobody knows who that is"
        if self.key(person.arn) in self.bringers:
            who = person.arn.removeprefix(MAIL)
            return f"whoever brought the image does not decide about it, and {who} did: ask somebody else"
        if not self._is_approver(person):
            return f"{person.arn} is none of the approvers of {self.stage}"
        if self.terms.needs_reason and not reason.strip():
            return f"{self.stage} requires a reason: add --reason TEXT, or fill in the field of the page"
        return None

    def key(self, arn: str) -> str:
        """Return the person behind an ARN or an address, as this stage counts people."""
        return Person(arn).key(self.terms.named_sessions)

    @property
    def bringers(self) -> frozenset[str]:
        return frozenset(map(self.key, self.brought_by))

    def approving(self, decided: Iterable[Approval]) -> frozenset[str]:
        """Return the people whose approvals count."""
        counting = (one for one in decided if one.choice is Choice.APPROVE and _counts(self, one))
        return frozenset(self.key(one.by) for one in counting) - self.bringers

    def _is_approver(self, person: Person) -> bool:
        """Check the lists of the policy. IAM: any caller of `decide` unless approvers are listed. Mail: listed only."""
        if person.arn.startswith(MAIL):
            return person.arn.removeprefix(MAIL) in self.terms.by_mail
        return not self.terms.approvers or person.is_one_of(self.terms.approvers)


@dataclass(frozen=True, slots=True)
class Approval:
    """The decision of one person."""

    release: ReleaseId
    stage: str  # the stage that the image enters
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
        """Read the output of `as_json`. Raises `RejectedInputError` for anything else."""
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
    """Return the status, given the decisions. Only decisions made in time count, and each person counts once."""
    decided = list(decided)
    if any(one.choice is Choice.REJECT and _counts(request, one) for one in decided):
        return ApprovalStatus.REJECTED
    if len(request.approving(decided)) >= request.terms.quorum:
        return ApprovalStatus.APPROVED
    return ApprovalStatus.EXPIRED if now >= request.expires_at else ApprovalStatus.WAITING


def _counts(request: ApprovalRequest, one: Approval) -> bool:
    """Return True if the decision is about this request, and was made in time.

    Whether the person is an approver by a tag is not checked again: `decide` has, and it alone writes approvals.
    """
    is_about = (one.release, one.stage, one.policy) == (request.release, request.stage, request.policy)
    return is_about and one.at < request.expires_at


def approval_request(release: Release, policy: Policy) -> ApprovalRequest | None:
    """Return the request that a held attempt waits for, or None if it waits for none.

    `policy`: the one that the attempt was judged by.
    """
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


def find_held_attempt(release: Release, attempts: Sequence[Release]) -> Release | None:
    """Return the held attempt that this one continues after an approval, or None. `attempts`: newest first."""
    goes_on = (StartReason.APPROVED, StartReason.LOST_EXECUTION)
    at: Release | None = release
    while at is not None and at.reason in goes_on:
        number = at.attempt
        at = next((one for one in attempts if one.attempt < number), None)
    return at if at is not None and at.attempt < release.attempt and at.outcome is Outcome.HELD else None


def find_replacement(release: Release, attempts: Sequence[Release]) -> Release | None:
    """Return the newest held attempt that has replaced this one, else the newest later attempt, or None.

    Attempts that continue this one after its approval do not replace it. `attempts`: newest first.
    """
    later = [one for one in attempts if one.attempt > release.attempt]
    others = [one for one in later if _held_number(one, attempts) != release.attempt]
    return next((one for one in others if one.outcome is Outcome.HELD), next(iter(others), None))


def _held_number(release: Release, attempts: Sequence[Release]) -> int | None:
    held = find_held_attempt(release, attempts)
    return held.attempt if held else None


def name_of(arn: str) -> str:
    """Return the name of a user, or of a role's session: ann for `arn:aws:sts::1:assumed-role/Admin/ann`."""
    return arn.rpartition(":")[2].rpartition("/")[2] or arn
