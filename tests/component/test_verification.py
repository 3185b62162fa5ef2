"""Statements of `imagegate verify` about a signature: whose it is, whether it is valid, and when that is unknown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from imagegate.errors import RevocationError, RevocationUnansweredError
from imagegate.evidence import attestation
from imagegate.evidence.signature_manifest import THUMBPRINTS
from imagegate.notation.revocation import RevocationQuery, Revoked
from imagegate.notation.trust_policy import (
    Check,
    FailureAction,
    Level,
    StoreName,
    StoreType,
    TrustPolicy,
    TrustPolicyDocument,
)
from imagegate.notation.trust_store import TrustStore, TrustStores
from imagegate.notation.verifier import Verifier, thumbprints
from imagegate.oci.image import Descriptor, Digest
from imagegate_cli.faults import CannotTellError
from imagegate_cli.verification import trust_policy as trust_policies
from imagegate_cli.verification.after_signing import AfterSigning
from imagegate_cli.verification.checks import CheckedSignature, Kind, Trust, signatures_of
from imagegate_cli.verification.evidence import ImageEvidence, Piece
from imagegate_cli.verification.report import VerificationReport
from imagegate_cli.verification.trust_policy import AppliedPolicy
from tests.component.envelopes import IDENTITY, NOW, SUBJECT, Draft, good_chain, good_root, plain_header
from tests.component.verifying import nothing_revoked, policy_of

POLICY, DECISION = str(Digest.of(b"policy")), str(Digest.of(b"decision"))
SUMMARY = json.dumps(
    {
        "_type": attestation.STATEMENT_TYPE,
        "subject": [{"digest": {"sha256": SUBJECT.digest.hex}}],
        "predicateType": attestation.VSA_TYPE,
        "predicate": {
            "verifier": {"id": IDENTITY},
            "policy": {"digest": {"sha256": POLICY.removeprefix("sha256:")}},
            "inputAttestations": [{"digest": {"sha256": DECISION.removeprefix("sha256:")}}],
            "verificationResult": "PASSED",
        },
    }
).encode()
SAID = {
    attestation.STAGE: "dev",
    attestation.POLICY: POLICY,
    attestation.DECISION: DECISION,
    attestation.VSA: str(Digest.of(SUMMARY)),
}


def signed(said: dict[str, str], **draft: Any) -> bytes:
    return Draft(payload={"targetArtifact": {**SUBJECT.as_json(), "annotations": said}}, **draft).envelope()


def evidence(envelope: bytes, *more: bytes, names: tuple[str, ...] | None = None) -> ImageEvidence:
    pieces = []
    for content in (envelope, *more):
        layer = Descriptor(attestation.JOSE, Digest.of(content), len(content)).as_json()
        named = json.dumps(list(thumbprints(content) if names is None else names))
        described = attestation.evidence_manifest(
            SUBJECT.as_json(),
            layer,
            artifact_type=attestation.NOTATION_SIGNATURE,
            config_type=attestation.NOTATION_SIGNATURE,
            annotations={THUMBPRINTS: named},
        )
        pieces.append(Piece(Digest.of(described), content, described=described))
    return ImageEvidence(SUBJECT, tuple(pieces), (Piece(Digest.of(SUMMARY), SUMMARY),))


def revoked(_: RevocationQuery) -> Sequence[str]:
    return ("the job",)


def nobody_answers(_: RevocationQuery) -> Sequence[str]:
    raise RevocationUnansweredError("busy")


def nobody_is_allowed(_: RevocationQuery) -> Sequence[str]:
    raise RevocationError("AccessDeniedException")


@dataclass
class CountedProfiles:
    """The profiles that ECR signs with, and a count of the queries."""

    profiles: frozenset[str] = frozenset()
    times: int = 0

    def __call__(self) -> frozenset[str]:
        self.times += 1
        return self.profiles


@dataclass
class Looking:
    """By whom the profile is, and what AWS answers."""

    stage: str | None = "dev"
    managed: CountedProfiles = field(default_factory=CountedProfiles)
    revoked: Revoked | None = nothing_revoked

    def report(self, found: ImageEvidence, gate: str | None = None) -> VerificationReport:
        stages = {IDENTITY: self.stage} if self.stage else {}
        trust = Trust(frozenset({good_root()}), stages.get, self.managed, self.revoked)
        return VerificationReport("shop-dev:1.0", found, tuple(signatures_of(found, trust, NOW)), gate)

    def at(self, found: ImageEvidence) -> CheckedSignature:
        return self.report(found).signatures[0]


# Whose it is


def test_a_gates_signature_is_recognised_by_its_profile_and_its_decision() -> None:
    looking = Looking()
    found = looking.at(evidence(signed(SAID)))
    assert (found.kind, found.stage, found.problem) == (Kind.GATE, "dev", "")
    assert looking.managed.times == 0  # nobody asks ECR where there is no need


@pytest.mark.parametrize(
    ("profiles", "kind"), [(frozenset({IDENTITY}), Kind.MANAGED), (frozenset({"arn"}), Kind.OTHER)]
)
def test_another_profile_is_ecrs_own_where_the_registry_names_it(
    profiles: frozenset[str], kind: Kind
) -> None:
    looking = Looking(stage=None, managed=CountedProfiles(profiles))
    report = looking.report(evidence(signed({})))
    assert report.signatures[0].kind is kind
    assert report.signatures[0].holds
    assert report.exit_code == 1
    assert report.as_json()["signatures"][0]["kind"] == str(kind)


@pytest.mark.parametrize("said", [{}, {**SAID, attestation.STAGE: "staging"}, {attestation.STAGE: "dev"}])
def test_managed_signing_with_a_gates_own_profile_is_no_pass(said: dict[str, str]) -> None:
    looking = Looking(managed=CountedProfiles(frozenset({IDENTITY})))
    report = looking.report(evidence(signed(said)), gate="dev")
    assert report.exit_code == 1
    found = report.signatures[0]
    assert (found.kind, found.stage, found.failure) == (Kind.MANAGED, None, "evidence")
    assert "names no decision" in found.problem


def test_beside_ours_it_changes_nothing() -> None:
    looking = Looking(managed=CountedProfiles(frozenset({IDENTITY})))
    report = looking.report(evidence(signed({}), signed(SAID)))
    assert report.exit_code == 0
    assert [one.kind for one in report.signatures] == [Kind.MANAGED, Kind.GATE]


def test_a_manifest_that_names_other_certificates_is_refused() -> None:
    found = Looking().at(evidence(signed(SAID), names=("0" * 64,)))
    assert found.failure == "integrity"
    assert found.kind is None


# Revocation


def test_a_revoked_signature_is_refused_and_still_named() -> None:
    report = Looking(revoked=revoked).report(evidence(signed(SAID)))
    found = report.signatures[0]
    assert (found.kind, found.stage, found.failure) == (Kind.GATE, "dev", "revocation")
    assert report.exit_code == 1


@pytest.mark.parametrize("answer", [nobody_answers, nobody_is_allowed])
def test_without_revocation_data_the_result_is_unknown(answer: Revoked) -> None:
    report = Looking(revoked=answer).report(evidence(signed(SAID)))
    assert report.exit_code == 2
    assert "cannot be told: revocation" in report.headline
    assert not report.as_json()["verified"]


def test_another_gate_that_is_not_known_does_not_hide_a_missing_one() -> None:
    report = Looking(revoked=nobody_answers).report(evidence(signed(SAID)), gate="staging")
    assert report.exit_code == 1


def test_a_foreign_signature_that_nobody_can_tell_of_is_no_reason_to_wait() -> None:
    assert Looking(stage=None, revoked=nobody_answers).report(evidence(signed({}))).exit_code == 1


def test_a_revoked_image_is_said_to_have_passed_first() -> None:
    report = Looking(revoked=revoked).report(evidence(signed(SAID)))
    when = "revoked on 2026-11-21 08:00 UTC by ann: stolen"
    known = replace(report, since=AfterSigning("dev", f"its signature was {when}", revoked=when))
    assert (known.exit_code, known.headline) == (1, f"shop-dev:1.0: passed the dev gate, then {when}")


# By a trust policy


def by(policy: TrustPolicy, revoked: Revoked, stores: TrustStores | None = None) -> AppliedPolicy:
    verifier = Verifier(TrustPolicyDocument((policy,)), STORES if stores is None else stores, revoked)
    return AppliedPolicy(verifier, "registry.example/shop-dev", policy.name)


def report_by(found: ImageEvidence, applied: AppliedPolicy) -> VerificationReport:
    return VerificationReport(
        "shop", found, tuple(trust_policies.signatures_of(found, applied, NOW)), policy=applied.name
    )


STORES = {
    StoreName(kind, name): TrustStore(frozenset({good_root()}))
    for kind, name in ((StoreType.CA, "acme"), (StoreType.SIGNING_AUTHORITY, "aws"))
}


def test_a_trust_policy_decides_alone() -> None:
    plain = evidence(signed({}, protected=plain_header()))
    everybody = by(policy_of(identities=("*",)), nothing_revoked)
    assert report_by(plain, everybody).exit_code == 0
    assert report_by(evidence(signed(SAID)), everybody).exit_code == 1  # * is nobody of AWS Signer
    gates = by(policy_of(), nothing_revoked)
    report = report_by(evidence(signed(SAID)), gates)
    assert report.exit_code == 0
    assert report.signatures[0].signer.startswith(IDENTITY)


def test_a_failure_that_a_policy_only_logs_is_reported() -> None:
    audit = by(policy_of(Level.AUDIT), revoked, {})
    report = report_by(evidence(signed(SAID)), audit)
    assert report.exit_code == 0
    assert any("does not exist" in problem for problem in report.signatures[0].logged)
    assert any("revoked" in problem for problem in report.signatures[0].logged)


def test_a_policy_may_leave_revocation_out() -> None:
    policy = policy_of(override={Check.REVOCATION: FailureAction.SKIP})
    assert report_by(evidence(signed(SAID)), by(policy, revoked)).exit_code == 0
    assert report_by(evidence(signed(SAID)), by(policy_of(), nobody_answers)).exit_code == 2


def trust_policy(folder: Path, level: str, scope: str = "registry.example/shop-dev") -> Path:
    policy: dict[str, Any] = {
        "name": "mine",
        "registryScopes": [scope],
        "signatureVerification": {"level": level},
    }
    if level != "skip":
        policy |= {"trustStores": ["signingAuthority:aws"], "trustedIdentities": [IDENTITY]}
    file = folder / "trustpolicy.json"
    file.write_text(json.dumps({"version": "1.0", "trustPolicies": [policy]}))
    return file


def test_trust_policy_and_stores_are_read_as_notation_keeps_them(tmp_path: Path) -> None:
    store = tmp_path / "truststore/x509/signingAuthority/aws"
    store.mkdir(parents=True)
    (store / "root.pem").write_bytes(good_chain()[-1].public_bytes(Encoding.PEM))
    found = trust_policies.read(trust_policy(tmp_path, "strict"), None, "registry.example/shop-dev")
    assert found.name == "mine"
    asked = replace(found, verifier=replace(found.verifier, revoked=nothing_revoked))
    assert report_by(evidence(signed(SAID)), asked).exit_code == 0


@pytest.mark.parametrize(
    ("level", "scope", "why"),
    [("skip", "registry.example/shop-dev", "skips"), ("strict", "registry.example/other", "no trust policy")],
)
def test_a_policy_that_says_nothing_of_the_image_cannot_tell(
    tmp_path: Path, level: str, scope: str, why: str
) -> None:
    with pytest.raises(CannotTellError, match=why):
        trust_policies.read(trust_policy(tmp_path, level, scope), None, "registry.example/shop-dev")


def test_a_policy_that_is_not_there_cannot_tell(tmp_path: Path) -> None:
    with pytest.raises(CannotTellError, match="No such file"):
        trust_policies.read(tmp_path / "none.json", None, "registry.example/shop-dev")
