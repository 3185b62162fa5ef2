"""Who may let images into a stage, and how that is asked: what a policy says of approvals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase

# `tag:team=platform`: whoever has this tag on their user or role.
TAG = "tag:"
# Who decides by a link from a mail has no ARN, and is written `mailto:ann@example.com`.
MAIL = "mailto:"
# IAM user guide, "IAM identifiers": what STS calls the session of a role.
_SESSION = re.compile(
    r"arn:(?P<partition>[^:]+):sts::(?P<account>[0-9]{12}):assumed-role/(?P<role>[^/]+)/(?P<name>[^/]+)"
)
_USER = re.compile(r"arn:[^:]+:iam::[0-9]{12}:user/.+")
# IAM Identity Center user guide, "Permission sets": their roles. The session is named after the user, by the service.
_OF_IDENTITY_CENTER = re.compile(r"AWSReservedSSO_.+_[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """What a stage asks for before an image comes in. No `approvers`: whoever has the power to approve."""

    approvers: tuple[str, ...] = ()  # ARNs of users and roles, also as globs; or `tag:KEY=VALUE`
    quorum: int = 1
    expires: timedelta = timedelta(days=7)
    needs_reason: bool = False
    by_mail: tuple[str, ...] = ()  # addresses that get a link to decide with, beside the approvers
    named_sessions: tuple[
        str, ...
    ] = ()  # ARNs of roles, also as globs, whose sessions are named after people


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

    def key(self, named_sessions: Iterable[str] = ()) -> str:
        """The same for all that this person can call themselves, as far as that can be known.

        A user is their ARN. Sessions of Identity Center, of a role of `named_sessions`, and addresses are called after
        a person, whatever the role. All other sessions of one role are one: who takes it chooses the name.
        """
        if self.arn.startswith(MAIL):
            return f"person:{self.arn.removeprefix(MAIL).lower()}"
        session = _SESSION.fullmatch(self.arn)
        if session is None:
            return self.arn
        role = self.names[-1]
        named = any(fnmatchcase(role, pattern) for pattern in named_sessions)
        if named or _OF_IDENTITY_CENTER.fullmatch(session["role"]):
            return f"person:{session['name'].lower()}"
        return role

    @property
    def is_a_person(self) -> bool:
        """Whether this is a user, a session of a role, or an address; the root and federated users are nobody."""
        forms = _USER, _SESSION
        return self.arn.startswith(MAIL) or any(form.fullmatch(self.arn) for form in forms)

    def is_one_of(self, approvers: Iterable[str]) -> bool:
        """Whether one of these ARNs, globs and tags means this person."""
        return any(self._is(approver) for approver in approvers)

    def _is(self, approver: str) -> bool:
        if approver.startswith(TAG):
            key, _, value = approver.removeprefix(TAG).partition("=")
            return self.tags.get(key) == value
        return any(fnmatchcase(name, approver) for name in self.names)


def stands_for_one(approver: str, named_sessions: Iterable[str]) -> bool:
    """Whether an entry of `approvers` or `by_mail` can come to no more than one person."""
    if approver.startswith(TAG) or "*" in approver or "?" in approver:
        return False
    name = approver.rpartition("/")[2]
    is_role = ":role/" in approver
    named = any(fnmatchcase(approver, pattern) for pattern in named_sessions)
    return not (is_role and (named or _OF_IDENTITY_CENTER.fullmatch(name)))
