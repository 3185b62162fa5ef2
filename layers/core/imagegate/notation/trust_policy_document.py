"""The reader of trust policy documents for OCI artifacts, version 1.0.

Source: notaryproject "trust-store-trust-policy" (OCI Trust Policy, Trust Policy Constraints). Stricter than the
official client: unknown properties, duplicate keys, and `skip` for all images are refused.
"""

from __future__ import annotations

import re
from typing import Any

from imagegate.errors import TrustPolicyError
from imagegate.notation.identities import parse_identities
from imagegate.notation.trust_policy import (
    EVERYWHERE,
    Check,
    FailureAction,
    Level,
    SignatureVerification,
    StoreName,
    StoreType,
    TrustPolicy,
    TrustPolicyDocument,
    is_scope,
)
from imagegate.strict_json import SIGNED_DEPTH, is_texts, read_object, require_keys, shown

_MAX_DOCUMENT = 1024 * 1024
_VERSION = "1.0"
_STORE = re.compile(r"([a-zA-Z]+):([a-zA-Z0-9_.-]{1,255})", re.ASCII)
_DOCUMENT = frozenset({"version", "trustPolicies"})
_POLICY = frozenset({"name", "registryScopes", "signatureVerification"})
_TRUSTED = frozenset({"trustStores", "trustedIdentities"})
_OVERRIDES: dict[Check, frozenset[FailureAction]] = {
    Check.AUTHENTICITY: frozenset({FailureAction.ENFORCE, FailureAction.LOG}),
    Check.AUTHENTIC_TIMESTAMP: frozenset({FailureAction.ENFORCE, FailureAction.LOG}),
    Check.EXPIRY: frozenset({FailureAction.ENFORCE, FailureAction.LOG}),
    Check.REVOCATION: frozenset(FailureAction),
}


def parse_trust_policy(content: bytes) -> TrustPolicyDocument:
    """Parse a document. Raises `TrustPolicyError`, which names the policy at fault."""
    if len(content) > _MAX_DOCUMENT:
        raise TrustPolicyError(f"the trust policy has {len(content)} bytes; at most {_MAX_DOCUMENT} are read")
    document = read_object(content, "the trust policy", TrustPolicyError, depth=SIGNED_DEPTH)
    require_keys(document, _DOCUMENT, "the trust policy", TrustPolicyError)
    if document["version"] != _VERSION:
        raise TrustPolicyError(f"version {shown(document['version'])} is not understood, only {_VERSION}")
    entries = document["trustPolicies"]
    if not isinstance(entries, list) or not entries:
        raise TrustPolicyError("trustPolicies is not a list with at least one policy")
    policies = tuple(_policy(entry) for entry in entries)
    _check_unique([policy.name for policy in policies], "the policy name")
    _check_unique([scope for policy in policies for scope in policy.scopes], "the scope")
    return TrustPolicyDocument(policies)


def _check_unique(texts: list[str], label: str) -> None:
    seen: set[str] = set()
    for text in texts:
        if text in seen:
            raise TrustPolicyError(f"{label} {shown(text)} is there twice")
        seen.add(text)


def _policy(entry: Any) -> TrustPolicy:
    require_keys(entry, _POLICY, "a trust policy", TrustPolicyError, _TRUSTED)
    name = entry["name"]
    if not isinstance(name, str) or not name:
        raise TrustPolicyError("a trust policy has no name")
    try:
        return _named(name, entry)
    except TrustPolicyError as error:
        raise TrustPolicyError(f"trust policy {shown(name)}: {error}") from error


def _named(name: str, entry: dict[str, Any]) -> TrustPolicy:
    scopes = _scopes(entry["registryScopes"])
    verification = _verification(entry["signatureVerification"])
    trusted = [entry.get(key, []) for key in sorted(_TRUSTED)]
    if not all(is_texts(texts) for texts in trusted):
        raise TrustPolicyError("trustStores and trustedIdentities are lists of texts")
    stores, identities = trusted
    if verification.level is Level.SKIP:
        if stores or identities or EVERYWHERE in scopes:
            raise TrustPolicyError(
                "a policy of the level skip has no stores and no identities, and must name its images"
            )
        return TrustPolicy(name, scopes, verification)
    if not stores or not identities:
        raise TrustPolicyError("trustStores and trustedIdentities must name at least one each")
    return TrustPolicy(
        name, scopes, verification, tuple(_store(text) for text in stores), parse_identities(identities)
    )


def _scopes(value: Any) -> tuple[str, ...]:
    if not is_texts(value) or not value:
        raise TrustPolicyError("registryScopes is not a list with at least one repository")
    if value == [EVERYWHERE]:
        return (EVERYWHERE,)
    for scope in value:
        if not is_scope(scope):
            raise TrustPolicyError(
                f"not a scope: {shown(scope)}; write registry.example/team/app in full, or * alone"
            )
    return tuple(value)


def _verification(value: Any) -> SignatureVerification:
    name = "signatureVerification"
    optional = frozenset({"override", "verifyTimestamp"})
    require_keys(value, frozenset({"level"}), name, TrustPolicyError, optional)
    if value["level"] not in tuple(Level):
        raise TrustPolicyError(f"the level {shown(value['level'])} is none of {', '.join(Level)}")
    timestamps = value.get("verifyTimestamp", "always")
    if timestamps not in ("always", "afterCertExpiry"):
        raise TrustPolicyError(f"verifyTimestamp {shown(timestamps)} is neither always nor afterCertExpiry")
    level = Level(value["level"])
    override = _override(value.get("override", {}))
    if override and level is Level.SKIP:
        raise TrustPolicyError("the level skip cannot be overridden")
    return SignatureVerification(level, override, timestamps == "afterCertExpiry")


def _override(value: Any) -> dict[Check, FailureAction]:
    if not isinstance(value, dict):
        raise TrustPolicyError("override is not an object")
    override: dict[Check, FailureAction] = {}
    for check, action in value.items():
        if check not in tuple(_OVERRIDES) or action not in tuple(_OVERRIDES[Check(check)]):
            raise TrustPolicyError(f"{shown(check)} cannot be overridden by {shown(action)}")
        override[Check(check)] = FailureAction(action)
    return override


def _store(text: str) -> StoreName:
    match = _STORE.fullmatch(text)
    if match is None or match[1] not in tuple(StoreType):
        raise TrustPolicyError(
            f"not a trust store: {shown(text)}; write ca:name, signingAuthority:name or tsa:name"
        )
    return StoreName(StoreType(match[1]), match[2])
