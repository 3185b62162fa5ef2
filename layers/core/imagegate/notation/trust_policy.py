"""Trust policies: the identities and trust stores that images need, and the consequence of a failed check.

Source: notaryproject "trust-store-trust-policy". `trust_policy_document` reads and checks the document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from imagegate.errors import TrustPolicyError
from imagegate.strict_json import shown

if TYPE_CHECKING:
    from imagegate.notation.identities import Identity

EVERYWHERE = "*"
# distribution/reference: a registry, and a repository in it; no scheme, no tag, no digest.
_HOST = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,62})(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,62})){0,16}(?::\d{1,5})?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_SCOPE = re.compile(rf"{_HOST}/{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_MAX_SCOPE = 512


class Check(StrEnum):
    """The validations of a signature, named as in `override`."""

    INTEGRITY = "integrity"
    AUTHENTICITY = "authenticity"
    AUTHENTIC_TIMESTAMP = "authenticTimestamp"
    EXPIRY = "expiry"
    REVOCATION = "revocation"


class FailureAction(StrEnum):
    """The consequence of a failed check. SKIP: the check is not made."""

    ENFORCE = "enforce"
    LOG = "log"
    SKIP = "skip"


class Level(StrEnum):
    """The verification level: a preset of failure actions."""

    STRICT = "strict"
    PERMISSIVE = "permissive"
    AUDIT = "audit"
    SKIP = "skip"


_ENFORCED: Mapping[Level, frozenset[Check]] = {
    Level.STRICT: frozenset(Check),
    Level.PERMISSIVE: frozenset({Check.INTEGRITY, Check.AUTHENTICITY}),
    Level.AUDIT: frozenset({Check.INTEGRITY}),
    Level.SKIP: frozenset(),
}


class StoreType(StrEnum):
    """The type of a trust store. `tsa` stores are for countersignatures, which imagegate does not verify."""

    CA = "ca"
    SIGNING_AUTHORITY = "signingAuthority"
    TSA = "tsa"


@dataclass(frozen=True, slots=True)
class StoreName:
    """The name of a trust store, written `{type}:{name}`."""

    type: StoreType
    name: str

    def __str__(self) -> str:
        return f"{self.type}:{self.name}"


@dataclass(frozen=True, slots=True)
class SignatureVerification:
    """The level and its overrides. `only_after_certificate_expiry`: `verifyTimestamp` is `afterCertExpiry`."""

    level: Level
    override: Mapping[Check, FailureAction] = field(default_factory=dict)
    only_after_certificate_expiry: bool = False

    def action(self, check: Check) -> FailureAction:
        if self.level is Level.SKIP:
            return FailureAction.SKIP
        usual = FailureAction.ENFORCE if check in _ENFORCED[self.level] else FailureAction.LOG
        return self.override.get(check, usual)


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """One statement of a trust policy document."""

    name: str
    scopes: tuple[str, ...]
    verification: SignatureVerification
    stores: tuple[StoreName, ...] = ()
    identities: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True)
class TrustPolicyDocument:
    policies: tuple[TrustPolicy, ...]

    def select(self, repository: str) -> TrustPolicy:
        """Return the policy that names the repository, else the one for all. Raises `TrustPolicyError` if none does.

        `repository`: fully qualified, such as `registry.example/team/app`.
        """
        if not is_scope(repository):
            raise TrustPolicyError(f"not a fully qualified repository: {shown(repository)}")
        by_scope = {scope: policy for policy in self.policies for scope in policy.scopes}
        policy = by_scope.get(repository) or by_scope.get(EVERYWHERE)
        if policy is None:
            raise TrustPolicyError(f"no trust policy applies to {repository}")
        return policy


def is_scope(text: str) -> bool:
    """Return True for a registry and a full repository name, without tag or digest."""
    return len(text) <= _MAX_SCOPE and _SCOPE.fullmatch(text) is not None
