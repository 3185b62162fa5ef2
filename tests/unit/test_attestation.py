"""The signed content and its references, compared with the specifications that other readers follow."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from imagegate.evidence import attestation
from imagegate.gate.decision_record import Decision
from imagegate.oci.artifact import Form, find_form
from imagegate.oci.image import DOCKER_LIST, MANIFEST_MEDIA_TYPES, OCI_EMPTY, Descriptor, Digest
from imagegate.oci.manifest import Manifest
from tests.unit.samples import REGISTRY, decision, digest, image, repositories

PROFILE = "arn:aws:signer:eu-central-1:123456789012:/signing-profiles/imagegate_dev"
STORE = "s3://imagegate-records"

_URI = {"type": "string", "pattern": r"^[a-z][a-z0-9+.-]*:\S+$"}
_DIGEST_SET = {
    "type": "object",
    "minProperties": 1,
    "properties": {"sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
    "additionalProperties": {"type": "string", "minLength": 1},
}
# in-toto attestation framework 1.0, resource_descriptor.md: at least one of uri, digest, content.
_RESOURCE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "uri": _URI, "digest": _DIGEST_SET},
    "anyOf": [{"required": ["uri"]}, {"required": ["digest"]}, {"required": ["content"]}],
}
# slsa.dev/spec/v1.0/verification_summary. `SLSA_` is reserved to SLSA's own levels.
_PREDICATE = {
    "type": "object",
    "required": ["verifier", "timeVerified", "resourceUri", "policy", "verificationResult", "verifiedLevels"],
    "properties": {
        "verifier": {"type": "object", "required": ["id"], "properties": {"id": _URI}},
        # field_types.md, Timestamp: RFC 3339, in UTC.
        "timeVerified": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
        "resourceUri": _URI,
        "policy": {**_RESOURCE, "required": ["uri"]},
        "inputAttestations": {"type": "array", "items": {**_RESOURCE, "required": ["digest"]}},
        "verificationResult": {"enum": ["PASSED", "FAILED"]},
        "verifiedLevels": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "pattern": "^(?!SLSA_).+|^SLSA_BUILD_LEVEL_[0-3]$"},
        },
        "dependencyLevels": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        "slsaVersion": {"type": "string", "pattern": r"^\d+\.\d+$"},
    },
    # Extension fields must have URIs as names: a misspelt field would be neither.
    "additionalProperties": False,
}
# in-toto attestation framework 1.0, statement.md.
STATEMENT = {
    "type": "object",
    "required": ["_type", "subject", "predicateType", "predicate"],
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "subject": {"type": "array", "minItems": 1, "items": {**_RESOURCE, "required": ["digest"]}},
        "predicateType": {"const": "https://slsa.dev/verification_summary/v1"},
        "predicate": _PREDICATE,
    },
    "additionalProperties": False,
}
# image-spec 1.1, manifest.md, as far as artifacts go.
_DESCRIPTOR = {
    "type": "object",
    "required": ["mediaType", "digest", "size"],
    "properties": {
        "mediaType": {"type": "string", "pattern": "^[a-z]+/[a-z0-9.+-]+$"},
        "digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
        "size": {"type": "integer", "minimum": 0},
    },
}
ARTIFACT = {
    "type": "object",
    "required": ["schemaVersion", "mediaType", "artifactType", "config", "layers", "subject"],
    "properties": {
        "schemaVersion": {"const": 2},
        "mediaType": {"const": "application/vnd.oci.image.manifest.v1+json"},
        "config": _DESCRIPTOR,
        "layers": {"type": "array", "minItems": 1, "maxItems": 1, "items": _DESCRIPTOR},
        "subject": _DESCRIPTOR,
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}

decisions = st.builds(
    decision,
    image=st.builds(image, repositories),
    stage=st.from_regex(r"[a-z][a-z0-9_]{0,61}", fullmatch=True),
    media_type=st.sampled_from(MANIFEST_MEDIA_TYPES),
    size=st.integers(1, 4 * 1024 * 1024),
)


def summary(made: Decision) -> bytes:
    return attestation.verification_summary(made, digest("record"), verifier=PROFILE, store=STORE)


@given(decisions)
def test_the_summary_is_a_slsa_vsa_in_an_in_toto_statement(made: Decision) -> None:
    Draft202012Validator.check_schema(STATEMENT)
    Draft202012Validator(STATEMENT).validate(json.loads(summary(made)))


def test_the_summary_says_who_passed_what_under_which_policy_and_on_which_evidence() -> None:
    statement = json.loads(summary(decision()))
    predicate = statement["predicate"]
    policy, record = digest("policy").hex, digest("record").hex
    assert statement["subject"] == [{"name": "shop/api-dev", "digest": {"sha256": digest().hex}}]
    assert predicate["verifier"] == {"id": PROFILE}
    assert predicate["timeVerified"] == "2026-11-21T12:00:00Z"
    assert predicate["policy"] == {
        "uri": f"{STORE}/policies/sha256/{policy}.yaml",
        "digest": {"sha256": policy},
    }
    assert predicate["inputAttestations"] == [
        {"uri": f"{STORE}/decisions/sha256/{record}.json", "digest": {"sha256": record}}
    ]
    assert predicate["verificationResult"] == "PASSED"
    assert predicate["verifiedLevels"] == ["IMAGEGATE_DEV"]


@given(decisions)
def test_the_package_url_leads_back_to_the_image(made: Decision) -> None:
    """purl-spec, type oci: no namespace, the name is the last part of the repository, the version is the digest."""
    url = urlsplit(attestation.image_purl(made))
    name, version = url.path.removeprefix("oci/").split("@")
    assert url.scheme == "pkg"
    assert name == made.image.repository.rsplit("/", 1)[-1]
    assert ":" not in version
    assert unquote(version) == str(made.image.digest)
    assert parse_qs(url.query) == {"repository_url": [f"{REGISTRY}/{made.image.repository}"]}


LONGEST = decision(
    registry="123456789012.dkr-ecr-fips.us-gov-east-1.on.amazonwebservices.com.cn",
    image=image("/".join(["a" * 63] * 4)),
    stage="s" * 64,  # AWS Signer API reference: a profile name has at most 64 characters
    media_type=DOCKER_LIST,
    size=4 * 1024 * 1024,
)


@given(decisions | st.just(LONGEST))
def test_the_signed_payload_fits_the_limit_of_signer(made: Decision) -> None:
    """AWS Signer API reference, SignPayload: at most 4,096 bytes."""
    payload = attestation.notation_payload(made, digest("record"), digest("vsa"), made.subject)
    assert 1 <= len(payload) <= 4096


@given(decisions)
def test_the_signed_payload_binds_the_image_to_stage_policy_decision_and_summary(made: Decision) -> None:
    payload = json.loads(attestation.notation_payload(made, digest("record"), digest("vsa"), made.subject))
    assert payload == {
        "targetArtifact": {
            "mediaType": made.media_type,
            "digest": str(made.image.digest),
            "size": made.size,
            "annotations": {
                "imagegate.stage": made.stage,
                "imagegate.policy": str(made.policy),
                "imagegate.decision": str(digest("record")),
                "imagegate.vsa": str(digest("vsa")),
            },
        }
    }


def test_no_signed_annotation_uses_the_reserved_prefix() -> None:
    payload = json.loads(
        attestation.notation_payload(decision(), digest("record"), digest("vsa"), decision().subject)
    )
    assert not any(key.startswith("io.cncf.notary") for key in payload["targetArtifact"]["annotations"])


@pytest.mark.parametrize(
    ("artifact_type", "config_type", "layer_type"),
    [
        (attestation.IN_TOTO, OCI_EMPTY, attestation.IN_TOTO),
        (attestation.NOTATION_SIGNATURE, attestation.NOTATION_SIGNATURE, attestation.JOSE),
    ],
)
def test_our_own_evidence_is_an_artifact_about_the_image_and_starts_nothing(
    artifact_type: str, config_type: str, layer_type: str
) -> None:
    layer = {"mediaType": layer_type, "digest": str(digest("layer")), "size": 5}
    content = attestation.evidence_manifest(
        decision().subject.as_json(),
        layer,
        artifact_type=artifact_type,
        config_type=config_type,
        annotations={"a": "b"},
    )
    Draft202012Validator(ARTIFACT).validate(json.loads(content))
    manifest = Manifest.parse(content)
    assert find_form(manifest) is Form.EMPTY
    assert manifest.artifact_type == artifact_type
    assert manifest.subject == decision().subject
    assert [str(part.digest) for part in manifest.blobs] == [attestation.EMPTY_DIGEST, str(digest("layer"))]


def test_the_empty_configuration_is_the_one_that_the_image_specification_names() -> None:
    assert attestation.EMPTY == b"{}"
    assert (
        attestation.EMPTY_DIGEST == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )


@pytest.mark.parametrize("broken", ["timeVerified", "policy", "verifiedLevels", "verifier", "resourceUri"])
def test_the_schema_would_notice_a_missing_field(broken: str) -> None:
    statement = json.loads(summary(decision()))
    del statement["predicate"][broken]
    assert not Draft202012Validator(STATEMENT).is_valid(statement)


@pytest.mark.parametrize(("size", "is_embedded"), [(2, True), (64 * 1024, True), (64 * 1024 + 1, False)])
def test_small_evidence_is_embedded_and_large_evidence_is_not(size: int, is_embedded: bool) -> None:
    content = b"x" * size
    raw = attestation.describe_layer(
        Descriptor("a/b", Digest.of(content), size), attestation.IN_TOTO, content
    )
    layer = Descriptor.parse(raw)
    assert layer.media_type == attestation.IN_TOTO
    assert layer.embedded == (content if is_embedded else None)
