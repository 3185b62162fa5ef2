"""Approval terms: who may let an image into a stage, and on which conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase

# `tag:team=platform`: everybody who has this tag on their user or role.
TAG = "tag:"
# A person who decides by a link in a mail has no ARN, and is written `mailto:ann@example.com`.
MAIL = "mailto:"
# IAM user guide, "IAM identifiers": the ARN of a role's session.
_SESSION = re.compile(
    r"arn:(?P<partition>[^:]+):sts::(?P<account>[0-9]{12}):assumed-role/(?P<role>[^/]+)/(?P<name>[^/]+)"
)
_USER = re.compile(r"arn:[^:]+:iam::[0-9]{12}:user/.+")
# IAM Identity Center user guide, "Permission sets": the names of their roles. Their sessions are named after the user.
_OF_IDENTITY_CENTER = re.compile(r"AWSReservedSSO_.+_[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """The conditions of a stage for an image to enter. Without `approvers`, everybody with the power to approve may."""

    approvers: tuple[str, ...] = ()  # ARNs of users and roles, also as globs; or `tag:KEY=VALUE`
    quorum: int = 1
    expires: timedelta = timedelta(days=7)
    needs_reason: bool = False
    by_mail: tuple[str, ...] = ()  # addresses that get a link to decide by, in addition to the approvers
    named_sessions: tuple[
        str, ...
    ] = ()  # ARNs of roles, also as globs: their sessions are named after people


@dataclass(frozen=True, slots=True)
class Person:
    """A person who decides, as IAM has authenticated them. `tags`: of their user or role."""

    arn: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The ARN, and for the session of a role also the ARN of the role."""
        session = _SESSION.fullmatch(self.arn)
        if session is None:
            return (self.arn,)
        role = f"arn:{session['partition']}:iam::{session['account']}:role/{session['role']}"
        return (self.arn, role)

    def key(self, named_sessions: Iterable[str] = ()) -> str:
        """Return a key that is the same for all names of one person, as far as that can be known.

        The key of a user is the ARN. Sessions of Identity Center, sessions of a role in `named_sessions`, and addresses
        are named after a person, whatever the role. All other sessions of a role have one key, because the caller
        chooses the name of the session.
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
        """True for a user, a session of a role, or an address; False for the root user and federated users."""
        forms = _USER, _SESSION
        return self.arn.startswith(MAIL) or any(form.fullmatch(self.arn) for form in forms)

    def is_one_of(self, approvers: Iterable[str]) -> bool:
        """Return True if one of these ARNs, globs and tags matches this person."""
        return any(self._is(approver) for approver in approvers)

    def _is(self, approver: str) -> bool:
        if approver.startswith(TAG):
            key, _, value = approver.removeprefix(TAG).partition("=")
            return self.tags.get(key) == value
        return any(fnmatchcase(name, approver) for name in self.names)


def matches_one_person(approver: str, named_sessions: Iterable[str]) -> bool:
    """Return True if an entry of `approvers` or `by_mail` can match only one person."""
    if approver.startswith(TAG) or "*" in approver or "?" in approver:
        return False
    name = approver.rpartition("/")[2]
    is_role = ":role/" in approver
    named = any(fnmatchcase(approver, pattern) for pattern in named_sessions)
    return not (is_role and (named or _OF_IDENTITY_CENTER.fullmatch(name)))
