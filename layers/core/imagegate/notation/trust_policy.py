"""Trust policies: for which images which identities and trust stores count, and what becomes of a failed check.

Source: notaryproject "trust-store-trust-policy". Holds what was read and checked by `notation_policy_document`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from imagegate.errors import TrustPolicyError
from imagegate.notation.identities import Identity
from imagegate.strict_json import shown

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
    """What becomes of a check that fails. SKIP: it is not made."""

    ENFORCE = "enforce"
    LOG = "log"
    SKIP = "skip"


class Level(StrEnum):
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
    """`tsa` stores are for countersignatures, which are not verified here: see `notation.verify`."""

    CA = "ca"
    SIGNING_AUTHORITY = "signingAuthority"
    TSA = "tsa"


@dataclass(frozen=True, slots=True)
class StoreName:
    """`{type}:{name}`."""

    type: StoreType
    name: str

    def __str__(self) -> str:
        return f"{self.type}:{self.name}"


@dataclass(frozen=True, slots=True)
class SignatureVerification:
    """`only_after_certificate_expiry`: `verifyTimestamp` is `afterCertExpiry`."""

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
        """The policy for a fully qualified repository (`registry.example/team/app`), or `TrustPolicyError`.

        The one that names it; otherwise the one for all.
        """
        if not is_scope(repository):
            raise TrustPolicyError(f"not a fully qualified repository: {shown(repository)}")
        by_scope = {scope: policy for policy in self.policies for scope in policy.scopes}
        policy = by_scope.get(repository) or by_scope.get(EVERYWHERE)
        if policy is None:
            raise TrustPolicyError(f"no trust policy applies to {repository}")
        return policy


def is_scope(text: str) -> bool:
    """A registry and a repository, complete, and nothing else."""
    return len(text) <= _MAX_SCOPE and _SCOPE.fullmatch(text) is not None
