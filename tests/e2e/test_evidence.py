"""The evidence that is promoted with an image, checked by the specification alone, without our code."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from imagegate.errors import AuthenticityError, IntegrityError
from imagegate.notation.verifier import verify_envelope
from imagegate.oci.manifest import Manifest
from tests.e2e.gate import Gate

PROFILES = "arn:aws:signer:eu-central-1:123456789012:/signing-profiles"


@dataclass
class Released:
    gate: Gate
    digest: str
    release: dict[str, Any]

    def envelope(self, repository: str, signature: str) -> bytes:
        manifest = self.manifest(repository, signature)
        return self.gate.get(f"{repository}/blobs/{manifest['layers'][0]['digest']}").data

    def manifest(self, repository: str, digest: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.gate.manifest(repository, digest) or b"{}")
        return found


@pytest.fixture(scope="module")
def released(gate: Gate) -> Released:
    digest = gate.push("proof-dev", "1.0")
    release = gate.ended("proof-dev", digest)
    gate.ended("proof-staging", digest)
    return Released(gate, digest, release)


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_signature_is_es384_by_a_chain_that_ends_in_the_trust_root(released: Released) -> None:
    jws = json.loads(released.envelope("proof-dev", released.release["signature"]))
    chain = [x509.load_der_x509_certificate(base64.b64decode(text)) for text in jws["header"]["x5c"]]
    for certificate, issuer in pairwise(chain):
        certificate.verify_directly_issued_by(issuer)
    root = Path(released.gate.cloud.env["IMAGEGATE_TRUST_ROOT"]).read_bytes()
    assert chain[-1] == x509.load_pem_x509_certificate(root)
    signature = unpadded(jws["signature"])
    r, s = (int.from_bytes(part, "big") for part in (signature[:48], signature[48:]))
    key = chain[0].public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signed = f"{jws['protected']}.{jws['payload']}".encode()
    key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA384()))
    assert json.loads(unpadded(jws["protected"]))["alg"] == "ES384"


def test_the_signature_binds_image_policy_decision_and_summary(released: Released) -> None:
    jws = json.loads(released.envelope("proof-dev", released.release["signature"]))
    target = json.loads(unpadded(jws["payload"]))["targetArtifact"]
    assert target["digest"] == released.digest
    assert target["annotations"]["imagegate.stage"] == "dev"
    assert target["annotations"]["imagegate.policy"] == released.gate.cloud.outputs["PolicyDigest"]
    assert target["annotations"]["imagegate.decision"] == released.release["decision"]
    summary = next(
        released.manifest("proof-dev", entry["digest"])
        for entry in released.gate.referrers("proof-dev", released.digest)
        if entry["artifactType"] == "application/vnd.in-toto+json"
    )
    assert target["annotations"]["imagegate.vsa"] == summary["layers"][0]["digest"]


def test_the_summary_is_an_in_toto_statement_about_this_image(released: Released) -> None:
    for entry in released.gate.referrers("proof-dev", released.digest):
        if entry["artifactType"] == "application/vnd.in-toto+json":
            layer = released.manifest("proof-dev", entry["digest"])["layers"][0]["digest"]
            statement = released.gate.get(f"proof-dev/blobs/{layer}").json()
    assert statement["subject"][0]["digest"] == {"sha256": released.digest.removeprefix("sha256:")}
    assert statement["predicateType"] == "https://slsa.dev/verification_summary/v1"
    assert statement["predicate"]["verificationResult"] == "PASSED"


def verify(released: Released, envelope: bytes, stage: str, content: bytes | None = None) -> None:
    manifest = content or released.gate.manifest("proof-dev", released.digest)
    assert manifest
    root = Path(released.gate.cloud.env["IMAGEGATE_TRUST_ROOT"]).read_bytes()
    thumbprint = x509.load_pem_x509_certificate(root).fingerprint(hashes.SHA256()).hex()
    verify_envelope(
        envelope,
        Manifest.parse(manifest).descriptor,
        trusted_roots=frozenset({thumbprint}),
        identity=f"{PROFILES}/imagegate__{stage}",
        at=datetime.now(UTC),
    )


def test_a_signature_of_one_gate_does_not_pass_for_another_gate_or_image(released: Released) -> None:
    envelope = released.envelope("proof-dev", released.release["signature"])
    verify(released, envelope, "dev")
    with pytest.raises(AuthenticityError):
        verify(released, envelope, "staging")
    other = released.gate.push("other-dev", "1.0")
    with pytest.raises(IntegrityError):
        verify(released, envelope, "dev", released.gate.manifest("other-dev", other))


def test_after_promotion_both_gates_signatures_hold_where_the_image_is_now(released: Released) -> None:
    holds = set()
    for entry in released.gate.signatures("proof-staging", released.digest):
        envelope = released.envelope("proof-staging", entry["digest"])
        for stage in ("dev", "staging", "production"):
            try:
                verify(released, envelope, stage)
                holds.add(stage)
            except AuthenticityError:
                pass
    assert holds == {"dev", "staging"}
