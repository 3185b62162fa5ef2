"""Genuine signatures, the forgeries that are made from them, and the verifiers that judge them.

A forgery differs from something genuine in a way that must be refused. Harmless differences are not made: space between
the parts of a JSON document, and the twin (r, n - s) that every ECDSA signature has.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from imagegate.errors import VerificationError
from imagegate.evidence.signature_manifest import THUMBPRINTS
from imagegate.notation.certificates import thumbprint
from imagegate.notation.revocation import Revoked
from imagegate.notation.trust_policy import TrustPolicy, TrustPolicyDocument
from imagegate.notation.trust_store import TrustStore
from imagegate.notation.verifier import Verifier, verify
from imagegate.oci.image import Descriptor, Digest
from tests.component.envelopes import (
    LEAF,
    LOWER,
    NOW,
    ROOT,
    SUBJECT,
    UPPER,
    Certificate,
    Draft,
    Key,
    chain_of,
    compact,
    plain_header,
    protected_header,
)
from tests.component.verifying import AUTHORITY, CA, nothing_revoked, policy_of

ACME = (
    (NameOID.COUNTRY_NAME, "US"),
    (NameOID.STATE_OR_PROVINCE_NAME, "WA"),
    (NameOID.ORGANIZATION_NAME, "acme"),
)
GATE = policy_of(stores=[AUTHORITY])
USER = policy_of(stores=[CA], identities=["x509.subject: C=US, ST=WA, O=acme"])
_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "RSA-2048": "PS256", "RSA-3072": "PS384"}


class Outcome(StrEnum):
    REFUSED = "refused"
    ACCEPTED = "accepted"
    CRASHED = "crashed"


@dataclass(frozen=True)
class Evidence:
    """A signature as somebody finds it beside an image. Without `manifest` only the envelope is judged."""

    envelope: bytes
    policy: TrustPolicy
    trusted: frozenset[str]
    subject: Descriptor = SUBJECT
    at: datetime = NOW
    revoked: Revoked | None = nothing_revoked
    media_type: str = "application/jose+json"
    manifest: bytes | None = None

    def judge(self) -> tuple[Outcome, float, Exception | None]:
        """Verify the evidence; return the outcome, the seconds of processor time, and the unexpected exception."""
        began = time.process_time()
        try:
            self._verify()
        except VerificationError as error:
            return Outcome.REFUSED, time.process_time() - began, error
        except Exception as error:  # noqa: BLE001 - that is what is counted
            return Outcome.CRASHED, time.process_time() - began, error
        return Outcome.ACCEPTED, time.process_time() - began, None

    def _verify(self) -> None:
        stores = dict.fromkeys(self.policy.stores, TrustStore(self.trusted))
        if self.manifest is None:
            verify(
                self.envelope,
                self.subject,
                self.policy,
                stores,
                at=self.at,
                revoked=self.revoked,
                media_type=self.media_type,
            )
            return
        verifier = Verifier(TrustPolicyDocument((self.policy,)), stores, self.revoked)
        verifier.verify(
            "registry.example/x", self.subject, self.manifest, lambda _: self.envelope, at=self.at
        )


@dataclass(frozen=True)
class Genuine:
    """A signer and everything that its forgeries start from."""

    chain: Sequence[x509.Certificate]
    key: Key
    header: Mapping[str, Any]
    policy: TrustPolicy
    trusted: frozenset[str] = field(default_factory=frozenset)

    def draft(self, **changes: Any) -> Draft:
        return replace(Draft(chain=self.chain, key=self.key, protected=dict(self.header)), **changes)

    def evidence(self, envelope: bytes, **changes: Any) -> Evidence:
        return replace(Evidence(envelope, self.policy, self.trusted), **changes)

    def signed(self, **changes: Any) -> Evidence:
        return self.evidence(self.draft(**changes).envelope())

    @property
    def is_gate(self) -> bool:
        return self.policy is GATE


def genuine_of(certificates: Sequence[Certificate], policy: TrustPolicy = GATE) -> Genuine:
    chain = chain_of(*certificates)
    header = protected_header() if policy is GATE else plain_header()
    leaf = certificates[0]
    header["alg"] = _ALGORITHMS.get(leaf.kind, "ES384")
    return Genuine(chain, leaf.key, header, policy, frozenset({thumbprint(chain[-1])}))


@cache
def gates() -> tuple[Genuine, ...]:
    """Return signers as AWS Signer signs: mostly with P-384."""
    kinds = ("P-384", "P-384", "P-384", "P-256", "RSA-2048")
    leaves = [replace(LEAF, kind=kind, name=f"leaf {number}") for number, kind in enumerate(kinds)]
    return tuple(genuine_of([leaf, LOWER, UPPER, ROOT]) for leaf in leaves)


@cache
def users() -> tuple[Genuine, ...]:
    """Return signers that need no plugin."""
    leaf = replace(LEAF, subject=ACME)
    return (
        genuine_of([replace(leaf, kind="P-256"), ROOT], USER),
        genuine_of([replace(leaf, kind="P-521"), LOWER, ROOT], USER),
        genuine_of([replace(leaf, kind="RSA-3072")], USER),
    )


def anyone(random: Random) -> Genuine:
    return random.choice(gates() if random.random() < 0.75 else users())


@cache
def envelopes_of(genuine: int) -> tuple[bytes, ...]:
    """Return a few envelopes of each signer, made once, to be altered. `genuine`: the position in `everyone`."""
    signer = everyone()[genuine]
    return tuple(signer.draft(payload=payload(build=str(number))).envelope() for number in range(8))


@cache
def everyone() -> tuple[Genuine, ...]:
    return gates() + users()


def load_envelope(random: Random) -> tuple[Genuine, bytes]:
    """Return a signer and an envelope as it was given."""
    position = random.randrange(len(everyone()))
    return everyone()[position], random.choice(envelopes_of(position))


def some_payload(random: Random) -> dict[str, Any]:
    return payload(build=str(random.getrandbits(32)))


def payload(subject: Descriptor = SUBJECT, **annotations: str) -> dict[str, Any]:
    return {"targetArtifact": {**subject.as_json(), "annotations": annotations}}


def manifest_of(envelope: bytes, chain: Sequence[x509.Certificate], **changes: Any) -> dict[str, Any]:
    """Return the manifest of a signature, in the form that every client finds."""
    kind = "application/vnd.cncf.notary.signature"
    digest, size = str(Digest.of(envelope)), len(envelope)
    thumbprints = [one.fingerprint(hashes.SHA256()).hex() for one in chain]
    return {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": kind,
        "config": {"mediaType": kind, "digest": str(Digest.of(b"{}")), "size": 2},
        "layers": [{"mediaType": "application/jose+json", "digest": digest, "size": size}],
        "subject": SUBJECT.as_json(),
        "annotations": {THUMBPRINTS: json.dumps(thumbprints)},
    } | changes


def originals() -> list[Evidence]:
    """Return the genuine evidence from which forgeries are made; all of it is valid."""
    bare = [one.evidence(text) for number, one in enumerate(everyone()) for text in envelopes_of(number)]
    whole = [
        one.evidence(text, manifest=compact(manifest_of(text, one.chain)))
        for number, one in enumerate(everyone())
        for text in envelopes_of(number)
    ]
    return bare + whole


Forge = Callable[[Random], Evidence]
