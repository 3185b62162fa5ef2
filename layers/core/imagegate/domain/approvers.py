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
_SESSION = re.compile(r"arn:(?P<partition>[^:]+):sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.+")


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
