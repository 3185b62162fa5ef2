"""The signing profiles of the gates, against a Signer that makes real Notation envelopes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from imagegate.aws import clients as aws
from imagegate.aws.signer import AwsSigner
from imagegate.canonical_json import canonical_json
from imagegate.errors import (
    AuthenticityError,
    IntegrityError,
    RejectedInputError,
    RevocationError,
    ServiceUnavailableError,
)
from imagegate.notation.revocation import AwsRevocations
from imagegate.notation.verifier import thumbprints
from imagegate.oci.image import OCI_MANIFEST, Descriptor, Digest
from imagegate.ports.signer import Signer
from sandbox.aws.signer.jobs import trust_root_thumbprint
from tests.contract.registry_sandbox import Sandbox, serving

SUBJECT = Descriptor(OCI_MANIFEST, Digest.of(b"an image"), 8)
SIGNED = {"imagegate.stage": "dev", "imagegate.policy": "sha256:0"}
PAYLOAD = canonical_json({"targetArtifact": {**SUBJECT.as_json(), "annotations": SIGNED}})


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with serving(Path(tmp_path_factory.mktemp("sandbox"))) as running:
        yield running


@pytest.fixture(autouse=True)
def _endpoint(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", sandbox.settings.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", sandbox.settings.region)
    for name, value in sandbox.admin.items():
        monkeypatch.setenv(name.upper(), value)
    aws.forget()
    yield
    aws.forget()


@pytest.fixture
def signer(sandbox: Sandbox) -> AwsSigner:
    """Return a signer that also queries revocation."""
    roots = frozenset({trust_root_thumbprint(sandbox.settings)})
    signer = AwsSigner("imagegate", roots, AwsRevocations())
    for stage in ("dev", "pre-prod"):
        signer.make_profile(stage)
    return signer


def now() -> datetime:
    return datetime.now(UTC)


def test_it_is_a_signer(signer: AwsSigner) -> None:
    port: Signer = signer
    assert port


def test_a_signature_is_verified_for_the_stage_that_signed(signer: AwsSigner) -> None:
    envelope, _ = signer.sign("dev", PAYLOAD)
    assert signer.verify(envelope, SUBJECT, "dev", now()) == SIGNED


def test_a_signature_of_one_gate_does_not_pass_for_anothers(signer: AwsSigner) -> None:
    envelope, _ = signer.sign("dev", PAYLOAD)
    with pytest.raises(AuthenticityError, match="imagegate__pre_prod"):
        signer.verify(envelope, SUBJECT, "pre-prod", now())


def test_a_signature_is_not_for_another_image(signer: AwsSigner) -> None:
    envelope, _ = signer.sign("dev", PAYLOAD)
    with pytest.raises(IntegrityError):
        signer.verify(envelope, Descriptor(OCI_MANIFEST, Digest.of(b"another"), 8), "dev", now())


def test_another_root_is_not_trusted(signer: AwsSigner) -> None:
    envelope, _ = signer.sign("dev", PAYLOAD)
    with pytest.raises(AuthenticityError, match="not trusted"):
        AwsSigner("imagegate", frozenset({"0" * 64})).verify(envelope, SUBJECT, "dev", now())


def job_of(envelope: bytes) -> str:
    protected = json.loads(envelope)["protected"]
    headers = json.loads(base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4)))
    return str(headers["com.amazonaws.signer.signingJob"]).rpartition("/")[2]


def test_a_signature_that_was_revoked_is_refused(sandbox: Sandbox, signer: AwsSigner) -> None:
    envelope, _ = signer.sign("dev", PAYLOAD)
    sandbox.client("signer").revoke_signature(jobId=job_of(envelope), reason="signed by mistake")
    with pytest.raises(RevocationError, match=f"^revocation: revoked: .*signing-jobs/{job_of(envelope)}"):
        signer.verify(envelope, SUBJECT, "dev", now())
    another, _ = signer.sign("dev", PAYLOAD)
    assert signer.verify(another, SUBJECT, "dev", now()) == SIGNED


def test_a_job_that_is_not_described_is_revoked_all_the_same(sandbox: Sandbox, signer: AwsSigner) -> None:
    def refuse(**_: object) -> object:
        error = {"Code": "ResourceNotFoundException", "Message": "no such signing job"}
        return SimpleNamespace(status_code=404, headers={}), {"Error": error, "ResponseMetadata": {}}

    envelope, _ = signer.sign("dev", PAYLOAD)
    events = aws.client("signer").meta.events
    events.register("before-call.signer.DescribeSigningJob", refuse)
    assert signer.revoke(envelope, ["dev"], "stolen") == "dev"
    with pytest.raises(RevocationError, match="revoked"):
        signer.verify(envelope, SUBJECT, "dev", datetime.now(UTC))


def test_signatures_of_a_revoked_profile_are_refused_from_then_on(
    sandbox: Sandbox, signer: AwsSigner
) -> None:
    signer.make_profile("leaked")
    envelope, _ = signer.sign("leaked", PAYLOAD)
    assert signer.verify(envelope, SUBJECT, "leaked", now()) == SIGNED
    client = sandbox.client("signer")
    profile = client.get_signing_profile(profileName="imagegate__leaked")
    client.revoke_signing_profile(
        profileName="imagegate__leaked",
        profileVersion=profile["profileVersion"],
        reason="the key leaked",
        effectiveTime=now() - timedelta(hours=1),
    )
    with pytest.raises(RevocationError, match="signing-profiles/imagegate__leaked"):
        signer.verify(envelope, SUBJECT, "leaked", now())


def test_a_signature_is_not_trusted_while_signer_cannot_be_reached(
    signer: AwsSigner, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    envelope, _ = signer.sign("dev", PAYLOAD)
    roots = frozenset({trust_root_thumbprint(sandbox.settings)})
    asking = AwsSigner("imagegate", roots, AwsRevocations())
    assert asking.profile_arn("dev")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(ServiceUnavailableError, match="GetRevocationStatus failed"):
        asking.verify(envelope, SUBJECT, "dev", now())


def test_the_manifest_names_the_certificates(signer: AwsSigner) -> None:
    envelope, annotations = signer.sign("dev", PAYLOAD)
    (text,) = (annotations[name] for name in annotations if name.endswith("thumbprint#S256"))
    assert " " not in text
    assert tuple(json.loads(text)) == thumbprints(envelope)


def test_a_profile_is_made_once(sandbox: Sandbox, signer: AwsSigner) -> None:
    signer.make_profile("dev")
    profile = sandbox.client("signer").get_signing_profile(profileName="imagegate__dev")
    assert profile["platformId"] == "Notation-OCI-SHA384-ECDSA"
    assert profile["arn"] == signer.profile_arn("dev")


def test_a_canceled_profile_is_refused_with_what_to_do(sandbox: Sandbox, signer: AwsSigner) -> None:
    signer.make_profile("gone")
    sandbox.client("signer").cancel_signing_profile(profileName="imagegate__gone")
    with pytest.raises(RejectedInputError, match=r"imagegate__gone is Canceled.*another prefix"):
        signer.make_profile("gone")
    with pytest.raises(RejectedInputError, match="imagegate__gone"):
        signer.sign("gone", PAYLOAD)


def test_a_profile_that_is_missing_does_not_sign(signer: AwsSigner) -> None:
    with pytest.raises(RejectedInputError, match="imagegate__never_made"):
        signer.sign("never-made", PAYLOAD)


@pytest.mark.parametrize(("prefix", "stage"), [("p" * 40, "s" * 31), ("has-dash", "dev")])
def test_a_name_that_cannot_be_a_profile_is_refused(prefix: str, stage: str) -> None:
    with pytest.raises(RejectedInputError, match=stage):
        AwsSigner(prefix, frozenset()).profile_name(stage)


def test_only_named_errors_are_translated() -> None:
    def fail(code: str) -> None:
        with aws.translated({"ValidationException": RejectedInputError}, "a thing"):
            raise ClientError({"Error": {"Code": code, "Message": "why"}}, "Operation")

    with pytest.raises(RejectedInputError, match=r"a thing.*why"):
        fail("ValidationException")
    with pytest.raises(ClientError):
        fail("InternalServiceErrorException")
