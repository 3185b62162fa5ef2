"""Approval: people let an image into its next stage, or keep it out; each by name, for a reason, once.

Rules: an approval is about one attempt, one stage and one policy; whoever brought the image may not let it in; one
rejection keeps it out; what nobody decides in time stays out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Self

from imagegate.domain.canonical import parse_timestamp, timestamp
from imagegate.domain.errors import RejectedInputError
from imagegate.domain.image import Digest, ImageRef
from imagegate.domain.release import ReleaseId

# `tag:team=platform`: whoever has this tag on their user or role.
TAG = "tag:"
# Who decides by a link from a mail has no ARN, and is written `mailto:ann@example.com`.
MAIL = "mailto:"
# IAM user guide, "IAM identifiers": what STS calls the session of a role.
_SESSION = re.compile(r"arn:(?P<partition>[^:]+):sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.+")


class Choice(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class Standing(StrEnum):
    """What the decisions come to so far."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """What a stage asks for before an image comes in. No `approvers`: whoever may call `decide`."""

    approvers: tuple[str, ...] = ()  # ARNs of users and roles, also as globs; or `tag:KEY=VALUE`
    quorum: int = 1
    expires: timedelta = timedelta(days=7)
    needs_reason: bool = False
    by_mail: tuple[str, ...] = ()  # addresses that get a link to decide with, beside the approvers


@dataclass(frozen=True, slots=True)
class Person:
    """Who decides, as IAM has authenticated them. `tags`: of their user or role."""

    arn: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The ARN itself; of the session of a role also the role's."""
        session = _SESSION.fullmatch(self.arn)
        if session is None:
            return (self.arn,)
        role = f"arn:{session['partition']}:iam::{session['account']}:role/{session['role']}"
        return (self.arn, role)

    def is_one_of(self, approvers: Iterable[str]) -> bool:
        """Whether one of these ARNs, globs and tags means this person."""
        return any(self._is(approver) for approver in approvers)

    def _is(self, approver: str) -> bool:
        if approver.startswith(TAG):
            key, _, value = approver.removeprefix(TAG).partition("=")
            return self.tags.get(key) == value
        return any(fnmatchcase(name, approver) for name in self.names)


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

    def fault(self, person: Person, reason: str, now: datetime) -> str | None:
        """Why this person may not decide now; None: they may."""
        if now >= self.expires_at:
            return f"the time to decide ended on {self.expires_at:%Y-%m-%d %H:%M} UTC"
        if set(person.names) & {name for arn in self.brought_by for name in Person(arn).names}:
            return "whoever brought the image does not decide about it"
        if not self._is_approver(person):
            return f"{person.arn} is none of the approvers of {self.stage}"
        if self.terms.needs_reason and not reason.strip():
            return f"{self.stage} asks for a reason"
        return None

    def _is_approver(self, person: Person) -> bool:
        """By IAM, whoever may call `decide` where nobody is named; by mail only who is."""
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


def standing(request: ApprovalRequest, decided: Iterable[Approval], now: datetime) -> Standing:
    """What was decided in time by those who may; each person counts once."""
    counting = [one for one in decided if _counts(request, one)]
    if any(one.choice is Choice.REJECT for one in counting):
        return Standing.REJECTED
    if len({one.by for one in counting}) >= request.terms.quorum:
        return Standing.APPROVED
    return Standing.EXPIRED if now >= request.expires_at else Standing.WAITING


def _counts(request: ApprovalRequest, one: Approval) -> bool:
    """Tags are not looked at again: `decide` has, and it alone writes approvals."""
    is_about = (one.release, one.stage, one.policy) == (request.release, request.stage, request.policy)
    return is_about and request.asked_at <= one.at < request.expires_at
