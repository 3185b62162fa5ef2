"""The sandbox's Signer makes envelopes that Notation accepts, and answers as AWS's service model says."""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha384
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.aws.signer.jobs import trust_root_pem, trust_root_thumbprint
from sandbox.settings import Settings
from tests.contract.registry_sandbox import Sandbox

PLATFORM = "Notation-OCI-SHA384-ECDSA"
PAYLOAD_TYPE = "application/vnd.cncf.notary.payload.v1+json"
TARGET = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:0", "size": 1}
PAYLOAD = json.dumps({"targetArtifact": TARGET}, separators=(",", ":")).encode()
ARN = "arn:aws:signer:eu-central-1:123456789012:"


@pytest.fixture(scope="module")
def signer(sandbox: Sandbox) -> Any:
    return sandbox.client("signer")


@pytest.fixture
def profile(signer: Any) -> dict[str, str]:
    name = f"gate_{uuid.uuid4().hex}"
    made: dict[str, str] = signer.put_signing_profile(profileName=name, platformId=PLATFORM)
    return made | {"profileName": name}


def sign(signer: Any, profile: dict[str, str], payload: bytes = PAYLOAD, **options: Any) -> Any:
    name = profile["profileName"]
    arguments = {"profileName": name, "payload": payload, "payloadFormat": PAYLOAD_TYPE}
    return signer.sign_payload(**arguments | options)


def refusal(call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **options)
    return str(caught.value.response["Error"]["Code"])


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def chain_of(envelope: dict[str, Any]) -> list[x509.Certificate]:
    x5c = envelope["header"]["x5c"]
    return [x509.load_der_x509_certificate(base64.b64decode(c, validate=True)) for c in x5c]


# The envelope


def test_the_signature_verifies_with_the_leaf_key(signer: Any, profile: dict[str, str]) -> None:
    envelope = json.loads(sign(signer, profile)["signature"])
    assert set(envelope) == {"payload", "protected", "header", "signature"}
    assert decoded(envelope["payload"]) == PAYLOAD
    raw = decoded(envelope["signature"])
    assert len(raw) == 96
    halves = int.from_bytes(raw[:48], "big"), int.from_bytes(raw[48:], "big")
    key = chain_of(envelope)[0].public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    content = f"{envelope['protected']}.{envelope['payload']}".encode()
    key.verify(encode_dss_signature(*halves), content, ec.ECDSA(hashes.SHA384()))


def test_the_protected_headers_are_those_of_aws(signer: Any, profile: dict[str, str]) -> None:
    answer = sign(signer, profile)
    protected = json.loads(decoded(json.loads(answer["signature"])["protected"]))
    signed_at = datetime.fromisoformat(protected["io.cncf.notary.authenticSigningTime"])
    expires = datetime.fromisoformat(protected["io.cncf.notary.expiry"])
    assert protected["alg"] == "ES384"
    assert protected["cty"] == PAYLOAD_TYPE
    assert protected["io.cncf.notary.signingScheme"] == "notary.x509.signingAuthority"
    plugin = "com.amazonaws.signer.notation.plugin"
    assert protected["io.cncf.notary.verificationPlugin"] == plugin
    job, version = (f"com.amazonaws.signer.signing{kind}" for kind in ("Job", "ProfileVersion"))
    assert protected[job] == f"{ARN}/signing-jobs/{answer['jobId']}"
    assert protected[version] == profile["profileVersionArn"]
    assert set(protected["crit"]) == set(protected) - {"alg", "cty", "crit"}
    assert abs(datetime.now(UTC) - signed_at) < timedelta(minutes=1)
    assert (expires.year - signed_at.year) * 12 + expires.month - signed_at.month == 135


def test_the_chain_is_complete_and_ends_in_the_root_of_this_sandbox(
    sandbox: Sandbox, signer: Any, profile: dict[str, str]
) -> None:
    chain = chain_of(json.loads(sign(signer, profile)["signature"]))
    names = [c.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for c in chain]
    assert names == [
        "AWS Signer",
        "AWS Signer eu-central-1 Code Signing CA G1",
        "AWS Signer Code Signing Int CA G1",
        "AWS Signer Code Signing Root CA G1 (sandbox)",
    ]
    for certificate, issuer in zip(chain, [*chain[1:], chain[-1]], strict=True):
        certificate.verify_directly_issued_by(issuer)
    root = x509.load_pem_x509_certificate(trust_root_pem(sandbox.settings).read_bytes())
    assert root == chain[-1]
    der = root.public_bytes(Encoding.DER)
    assert trust_root_thumbprint(sandbox.settings) == sha256(der).hexdigest()


def test_the_leaf_may_only_sign_code(signer: Any, profile: dict[str, str]) -> None:
    leaf, *authorities = chain_of(json.loads(sign(signer, profile)["signature"]))
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.CODE_SIGNING]
    for authority in authorities:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
        assert constraints.critical
        assert constraints.value.ca


def test_two_calls_give_two_jobs_and_two_signatures(signer: Any, profile: dict[str, str]) -> None:
    first, second = sign(signer, profile), sign(signer, profile)
    assert first["jobId"] != second["jobId"]
    assert first["signature"] != second["signature"]
    assert first["jobOwner"] == "123456789012"


def test_the_root_is_made_once_for_a_state_folder(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, aws_port=0, registry_port=0)
    made = trust_root_pem(settings).read_bytes()
    thumbprint = trust_root_thumbprint(settings)
    assert trust_root_pem(settings).read_bytes() == made
    assert trust_root_thumbprint(settings) == thumbprint


@pytest.mark.parametrize(
    ("payload", "options"),
    [
        (b"not json", {}),
        (json.dumps({"targetArtifact": {"digest": "sha256:0"}}).encode(), {}),
        (PAYLOAD + b" " * 4096, {}),
        (PAYLOAD, {"payloadFormat": "text/plain"}),
    ],
)
def test_only_small_notation_payloads_are_signed(
    signer: Any, profile: dict[str, str], payload: bytes, options: dict[str, str]
) -> None:
    assert refusal(sign, signer, profile, payload, **options) == "ValidationException"


# Profiles


def test_a_profile_has_an_arn_and_a_version(signer: Any, profile: dict[str, str]) -> None:
    name = profile["profileName"]
    assert profile["arn"] == f"{ARN}/signing-profiles/{name}"
    assert profile["profileVersionArn"] == f"{profile['arn']}/{profile['profileVersion']}"
    found = signer.get_signing_profile(profileName=name)
    assert (found["status"], found["platformId"]) == ("Active", PLATFORM)
    assert found["signatureValidityPeriod"] == {"value": 135, "type": "MONTHS"}


def test_a_taken_or_wrong_name_is_refused(signer: Any, profile: dict[str, str]) -> None:
    again = {"profileName": profile["profileName"], "platformId": PLATFORM}
    assert refusal(signer.put_signing_profile, **again) == "ValidationException"
    dashed = {"profileName": "with-dash", "platformId": PLATFORM}
    assert refusal(signer.put_signing_profile, **dashed) == "ValidationException"
    platform = {"profileName": "no_platform", "platformId": "none"}
    assert refusal(signer.put_signing_profile, **platform) == "ValidationException"


def test_an_unknown_or_foreign_profile_is_not_found(signer: Any, profile: dict[str, str]) -> None:
    unknown = {"profileName": "unknown"}
    assert refusal(sign, signer, unknown) == "ResourceNotFoundException"
    assert refusal(signer.get_signing_profile, **unknown) == "ResourceNotFoundException"
    foreign = refusal(sign, signer, profile, profileOwner="999999999999")
    assert foreign == "ResourceNotFoundException"


def test_a_cancelled_profile_signs_no_more(signer: Any, profile: dict[str, str]) -> None:
    name = profile["profileName"]
    signer.cancel_signing_profile(profileName=name)
    assert refusal(sign, signer, profile) == "ValidationException"
    assert signer.get_signing_profile(profileName=name)["status"] == "Canceled"
    listed = {p["profileName"] for p in signer.list_signing_profiles()["profiles"]}
    everything = signer.list_signing_profiles(includeCanceled=True)["profiles"]
    assert name not in listed
    assert name in {p["profileName"] for p in everything}


# Revocation


@pytest.fixture
def question(signer: Any, profile: dict[str, str]) -> dict[str, Any]:
    """Return a verifier's query about one signature, with the hashes of its certificates."""
    answer = sign(signer, profile)
    chain = chain_of(json.loads(answer["signature"]))
    parts = [sha384(c.tbs_certificate_bytes).hexdigest() for c in chain]
    pairs = [a + b for a, b in zip(parts, [*parts[1:], parts[-1]], strict=True)]
    return {
        "signatureTimestamp": datetime.now(UTC),
        "platformId": PLATFORM,
        "profileVersionArn": profile["profileVersionArn"],
        "jobArn": f"{ARN}/signing-jobs/{answer['jobId']}",
        "certificateHashes": sorted(pairs),
    }


@pytest.mark.parametrize("service", ["signer", "signer-data"])
def test_a_good_signature_is_not_revoked(sandbox: Sandbox, question: dict[str, Any], service: str) -> None:
    answer = sandbox.client(service).get_revocation_status(**question)
    assert answer["revokedEntities"] == []


def test_revocations_are_answered_through_a_proxy(sandbox: Sandbox, question: dict[str, Any]) -> None:
    """The SDKs put `data-` before any host: as a proxy the sandbox answers to every name."""
    endpoint = sandbox.settings.endpoint
    config = Config(proxies={"http": endpoint}, retries={"max_attempts": 0})
    make: Any = boto3.client
    client = make(
        "signer",
        endpoint_url=endpoint.replace("127.0.0.1", "localhost"),
        region_name=sandbox.settings.region,
        config=config,
        **sandbox.admin,
    )
    assert client.get_revocation_status(**question)["revokedEntities"] == []


def test_a_revoked_signature_is_named(signer: Any, question: dict[str, Any]) -> None:
    job_id = question["jobArn"].rpartition("/")[2]
    signer.revoke_signature(jobId=job_id, reason="test")
    assert signer.get_revocation_status(**question)["revokedEntities"] == [question["jobArn"]]
    unknown = {"jobId": "unknown", "reason": "test"}
    assert refusal(signer.revoke_signature, **unknown) == "ResourceNotFoundException"


def test_a_revoked_profile_version_is_named_from_its_time_on(
    signer: Any, profile: dict[str, str], question: dict[str, Any]
) -> None:
    effective = datetime.now(UTC) - timedelta(hours=1)
    signer.revoke_signing_profile(
        profileName=profile["profileName"],
        profileVersion=profile["profileVersion"],
        reason="test",
        effectiveTime=effective,
    )
    version = profile["profileVersionArn"]
    assert signer.get_revocation_status(**question)["revokedEntities"] == [version]
    before = question | {"signatureTimestamp": effective - timedelta(hours=1)}
    assert signer.get_revocation_status(**before)["revokedEntities"] == []
    assert refusal(sign, signer, profile) == "ValidationException"


@pytest.mark.parametrize("hashes", [["00"], ["0" * 192]])
def test_hashes_of_other_certificates_are_refused(
    signer: Any, question: dict[str, Any], hashes: list[str]
) -> None:
    wrong = question | {"certificateHashes": hashes}
    assert refusal(signer.get_revocation_status, **wrong) == "ValidationException"
