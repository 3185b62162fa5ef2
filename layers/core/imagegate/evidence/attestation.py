"""The payload of a gate's signature, and the verification summary (VSA) that it names.

The verification summary is an in-toto Statement v1 with a SLSA VSA predicate (slsa.dev/verification_summary/v1). The
Notation payload is the descriptor of the image; its annotations name the policy and the evidence.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from imagegate.canonical_json import canonical_json, timestamp
from imagegate.errors import (
    AuthenticityError,
    DecisionRefusedError,
    InvalidDigestError,
    RejectedInputError,
)
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.artifact import MAX_DOCUMENT
from imagegate.oci.image import Descriptor, Digest
from imagegate.strict_json import check_keys, known_keys, read_object

if TYPE_CHECKING:
    from imagegate.gate.decision_record import Decision

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
VSA_TYPE = "https://slsa.dev/verification_summary/v1"
IN_TOTO = "application/vnd.in-toto+json"
NOTATION_SIGNATURE = "application/vnd.cncf.notary.signature"
NOTATION_PAYLOAD = "application/vnd.cncf.notary.payload.v1+json"
JOSE = "application/jose+json"
PREDICATE_ANNOTATION = "in-toto.io/predicate-type"

# Signed annotations. The prefix io.cncf.notary is reserved (Notation signature specification).
STAGE = "imagegate.stage"
POLICY = "imagegate.policy"
DECISION = "imagegate.decision"
VSA = "imagegate.vsa"
INDEX = "imagegate.index"  # in the signature of a platform: the index that was judged

_STATEMENT = known_keys("_type", "subject", "predicateType", "predicate")
_ENVELOPE = known_keys("payload", "payloadType", "signatures")

# Registries take manifests of 4 MiB; a signature of AWS Signer has 5 KB.
_MAX_EMBEDDED = 64 * 1024


def read_statement(content: bytes) -> dict[str, Any] | None:
    """Return an in-toto statement, bare or in a DSSE envelope; or None unless every client reads one."""
    name = "the statement"
    try:
        raw = read_object(content, name, longest=MAX_DOCUMENT)
        if "payload" in raw:
            payload = b64decode(str(check_keys(raw, _ENVELOPE, name)["payload"]), validate=True)
            raw = read_object(payload, name, longest=MAX_DOCUMENT)
        return check_keys(raw, _STATEMENT, name)
    except (ValueError, RejectedInputError):
        return None


def image_purl(decision: Decision) -> str:
    """Return the image as a package URL (purl-spec, type oci)."""
    name = decision.image.repository.rsplit("/", 1)[-1]
    repository_url = quote(f"{decision.registry}/{decision.image.repository}", safe="")
    return f"pkg:oci/{name}@{quote(str(decision.image.digest), safe='')}?repository_url={repository_url}"


def verification_summary(decision: Decision, digest: Digest, *, verifier: str, store: str) -> bytes:
    """Return the VSA of a decision. `verifier`: the gate's URI; `store`: the URI prefix of the records.

    Raises `DecisionRefusedError` unless the verdict is PASS.
    """
    if decision.verdict is not VerdictOutcome.PASS:
        raise DecisionRefusedError(f"{decision.image}: there is no summary of a {decision.verdict}")
    predicate = {
        "verifier": {"id": verifier},
        "timeVerified": timestamp(decision.judged_at),
        "resourceUri": image_purl(decision),
        "policy": {
            "uri": f"{store}/policies/sha256/{decision.policy.hex}.yaml",
            "digest": {"sha256": decision.policy.hex},
        },
        "inputAttestations": [*_inputs(decision, digest, store)],
        "verificationResult": "PASSED",
        # SLSA allows custom levels. None of SLSA's own is claimed, because none was checked.
        "verifiedLevels": [f"IMAGEGATE_{decision.stage.upper()}"],
        "slsaVersion": "1.0",
    }
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": decision.image.repository, "digest": {"sha256": decision.image.digest.hex}}],
            "predicateType": VSA_TYPE,
            "predicate": predicate,
        }
    )


def _inputs(decision: Decision, digest: Digest, store: str) -> Iterator[dict[str, Any]]:
    """Yield the inputs of the result: the decision, the findings of each platform, the waivers that were used."""
    yield _input(f"{store}/decisions/sha256/{digest.hex}.json", digest)
    for scan in decision.scans:
        if scan.get("findings"):
            findings = Digest.parse(scan["findings"])
            yield _input(f"{store}/findings/sha256/{findings.hex}.jsonl.gz", findings)
    if decision.waivers_record is not None:
        waivers = Digest.of(decision.waivers_record)
        yield _input(f"{store}/waivers/sha256/{waivers.hex}.json", waivers)


def _input(uri: str, digest: Digest) -> dict[str, Any]:
    return {"uri": uri, "digest": {"sha256": digest.hex}}


def notation_payload(decision: Decision, digest: Digest, vsa: Digest, subject: Descriptor) -> bytes:
    """Return the payload that the signing profile signs (Notation signature specification, "Payload").

    `subject`: the decision's image, or one of its platforms; for a platform, an annotation names the index.
    """
    annotations = {
        STAGE: decision.stage,
        POLICY: str(decision.policy),
        DECISION: str(digest),
        VSA: str(vsa),
    }
    if subject.digest != decision.image.digest:
        annotations[INDEX] = str(decision.image.digest)
    return canonical_json({"targetArtifact": {**subject.as_json(), "annotations": annotations}})


def check_signed_decision(signed: Mapping[str, str], stage: str) -> None:
    """Raise `AuthenticityError` unless the signed annotations name a decision of the stage's gate.

    The profile alone does not prove that: the registry's managed signing signs every push with the profile it is given.
    """
    try:
        for name in (POLICY, DECISION, VSA):
            Digest.parse(signed.get(name))
        names_decision = signed.get(STAGE) == stage
    except InvalidDigestError:
        names_decision = False
    if not names_decision:
        raise AuthenticityError(
            f"made with the profile of the {stage} gate, but it names no decision of that gate, so it does not count"
        )


def describe_layer(blob: Descriptor, media_type: str, content: bytes) -> dict[str, Any]:
    """Return the layer of an evidence manifest. Small content is embedded, which saves verifiers a request."""
    descriptor = {**blob.as_json(), "mediaType": media_type}
    if len(content) <= _MAX_EMBEDDED:
        descriptor["data"] = b64encode(content).decode()
    return descriptor


def evidence_manifest(
    subject: dict[str, Any],
    layer: dict[str, Any],
    *,
    artifact_type: str,
    config_type: str,
    annotations: dict[str, str],
) -> bytes:
    """Return an OCI artifact manifest with one layer and a subject (image-spec 1.1, "artifact usage")."""
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": artifact_type,
            "config": {"mediaType": config_type, "digest": EMPTY_DIGEST, "size": len(EMPTY)},
            "layers": [layer],
            "subject": subject,
            "annotations": annotations,
        }
    )


EMPTY = b"{}"
EMPTY_DIGEST = str(Digest.of(EMPTY))
