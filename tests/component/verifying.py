"""Verifies the envelopes of `envelopes`: as signatures of a gate, or by any trust policy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from imagegate.notation.identities import parse_identities
from imagegate.notation.revocation import RevocationQuery, Revoked
from imagegate.notation.trust_policy import (
    Check,
    FailureAction,
    Level,
    SignatureVerification,
    StoreName,
    StoreType,
    TrustPolicy,
)
from imagegate.notation.trust_store import TrustStore
from imagegate.notation.verifier import Verified, verify, verify_envelope
from imagegate.oci.image import Descriptor
from tests.component.envelopes import (
    IDENTITY,
    NOW,
    SUBJECT,
    Certificate,
    Draft,
    chain_of,
    good_root,
    protected_header,
    root_thumbprint,
)

CA = StoreName(StoreType.CA, "acme")
AUTHORITY = StoreName(StoreType.SIGNING_AUTHORITY, "aws")
TSA = StoreName(StoreType.TSA, "clock")


def verify_gate(
    envelope: bytes,
    *,
    subject: Descriptor = SUBJECT,
    root: str = "",
    identity: str = IDENTITY,
    at: datetime = NOW,
    revoked: Revoked | None = None,
) -> Verified:
    """Verify as the pipeline does: by thumbprints of roots and one signing profile."""
    trusted = frozenset({root or good_root(), "0" * 64})
    return verify_envelope(
        envelope, subject, trusted_roots=trusted, identity=identity, at=at, revoked=revoked
    )


def verify_chain(certificates: Sequence[Certificate], **protected: Any) -> Verified:
    chain = chain_of(*certificates)
    draft = Draft(chain=chain, key=certificates[0].key, protected=protected_header() | protected)
    return verify_gate(draft.envelope(), root=root_thumbprint(chain))


def nothing_revoked(_: RevocationQuery) -> Sequence[str]:
    return ()


def policy_of(
    level: Level = Level.STRICT,
    *,
    override: dict[Check, FailureAction] | None = None,
    stores: Sequence[StoreName] = (CA, AUTHORITY),
    identities: Sequence[str] = (IDENTITY,),
    only_after_certificate_expiry: bool = False,
) -> TrustPolicy:
    verification = SignatureVerification(level, override or {}, only_after_certificate_expiry)
    return TrustPolicy("test", ("*",), verification, tuple(stores), parse_identities(identities))


def verify_by(
    policy: TrustPolicy,
    envelope: bytes,
    *,
    trusted: Sequence[str] = (),
    at: datetime = NOW,
    revoked: Revoked | None = nothing_revoked,
) -> Verified:
    """Verify with a trust policy; every store of it has the roots with the thumbprints `trusted`."""
    store = TrustStore(frozenset(trusted or (good_root(),)))
    stores = dict.fromkeys(policy.stores, store)
    return verify(envelope, SUBJECT, policy, stores, at=at, revoked=revoked)
