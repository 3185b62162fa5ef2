"""AWS Signer: a profile of this run, its signatures, and the answers about revocation."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from tests.contract.recorder import content
from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench

CHAPTER = "Signer and Notation"
PLATFORM = "Notation-OCI-SHA384-ECDSA"
FORMAT = "application/vnd.cncf.notary.payload.v1+json"


@behaviour(
    CHAPTER,
    "model, SignPayload; that it is the envelope: plugin source",
    ("ok", "yes", "yes", "yes", "yes"),
)
def a_payload_becomes_an_envelope(bench: Bench) -> None:
    """`SignPayload` returns the whole JWS envelope over the very payload, by ES384."""
    envelope = _envelope(bench)
    parts = {"payload", "protected", "header", "signature"}
    bench.observe("payload, protected, header and signature", set(envelope) == parts)
    bench.observe("the payload is what was sent", _decoded(envelope["payload"]) == _payload())
    bench.observe("by ES384", _protected(envelope)["alg"] == "ES384")
    bench.observe("with a chain of certificates", len(envelope["header"]["x5c"]) >= 2)


@behaviour(CHAPTER, 'notaryproject "Signature Specification"; which AWS sets: published envelopes', None)
def the_protected_headers_are_known(bench: Bench) -> None:
    """The protected headers, and which of them are critical."""
    protected = _protected(_envelope(bench))
    for header in sorted(protected):
        bench.observe(f"{header} is critical", header in protected["crit"])


@behaviour(CHAPTER, "unverified: DescribeSigningJob is documented for jobs of StartSigningJob", None)
def a_job_of_a_payload_is_described(bench: Bench) -> None:
    """`DescribeSigningJob` describes a job of `SignPayload`, and has no `revocationRecord` while it is not revoked."""
    signed = bench.do(
        "signer", "SignPayload", profileName=_profile(bench), payload=_payload(), payloadFormat=FORMAT
    )
    answer = bench.ask("signer", "DescribeSigningJob", show="status", hide=["jobId"], jobId=signed["jobId"])
    bench.observe("it has no revocation", "revocationRecord" not in answer.content)


@behaviour(
    CHAPTER, "model, SignPayload", ("ValidationException", "ValidationException", "ValidationException")
)
def only_small_notation_payloads_are_signed(bench: Bench) -> None:
    """A payload has 1 to 4,096 bytes and one format."""
    name = _profile(bench)
    for payload, payload_format in ((b"x" * 4097, FORMAT), (b"", FORMAT), (_payload(), "text/plain")):
        bench.ask("signer", "SignPayload", profileName=name, payload=payload, payloadFormat=payload_format)


@behaviour(
    CHAPTER,
    "model, PutSigningProfile and CancelSigningProfile; that the name stays taken is unverified",
    None,
)
def a_cancelled_profile_signs_no_more(bench: Bench) -> None:
    """A taken name is refused; a cancelled profile signs no more, and its name stays taken."""
    name = _new_profile(bench, "cancelled")
    bench.ask("signer", "PutSigningProfile", profileName=name, platformId=PLATFORM)
    bench.do("signer", "CancelSigningProfile", profileName=name)
    bench.ask("signer", "GetSigningProfile", show="status", profileName=name)
    bench.ask("signer", "SignPayload", profileName=name, payload=_payload(), payloadFormat=FORMAT)
    bench.ask("signer", "PutSigningProfile", profileName=name, platformId=PLATFORM)


@behaviour(CHAPTER, "model, ProfileName", ("ValidationException", "ValidationException"))
def a_profile_has_a_name_of_letters_digits_and_underscores(bench: Bench) -> None:
    """Other names are refused."""
    for name in (bench.run, bench.run.replace("-", "_") + "x" * 65):
        bench.ask("signer", "PutSigningProfile", profileName=name, platformId=PLATFORM)


@behaviour(
    CHAPTER, "model, GetRevocationStatus; the hashes: plugin source", ("ok", "ok", "ValidationException")
)
def revocation_can_be_asked_for(bench: Bench) -> None:
    """A query has job, profile version and pairs of certificate hashes; for a valid signature the answer is an empty
    list.
    """
    envelope = _envelope(bench)
    protected = _protected(envelope)
    asked: dict[str, Any] = {
        "signatureTimestamp": protected["io.cncf.notary.authenticSigningTime"],
        "platformId": PLATFORM,
        "profileVersionArn": protected["com.amazonaws.signer.signingProfileVersion"],
        "jobArn": protected["com.amazonaws.signer.signingJob"],
    }
    new = tuple(asked)[2:]  # with every signature
    for hashes in (_pairs(envelope["header"]["x5c"]), ["0" * 10]):
        hidden = (*new, "certificateHashes") if len(hashes) > 1 else new
        parameters: dict[str, Any] = {**asked, "certificateHashes": hashes}
        bench.ask("signer", "GetRevocationStatus", show="revokedEntities", hide=hidden, **parameters)


def _profile(bench: Bench) -> str:
    """Return the profile of the whole run: a profile cannot be deleted, only cancelled."""
    made: str = bench.shared("signing profile", lambda: _new_profile(bench, "signs"))
    return made


def _new_profile(bench: Bench, purpose: str) -> str:
    name = f"{bench.run}_{purpose}".replace("-", "_")

    def cancel() -> None:
        if bench.do("signer", "GetSigningProfile", profileName=name)["status"] == "Active":
            bench.do("signer", "CancelSigningProfile", profileName=name)

    wanted = {"profileName": name, "platformId": PLATFORM}
    bench.make(f"signing profile {name}", cancel, "signer", "PutSigningProfile", **wanted)
    return name


def _payload() -> bytes:
    """Return a payload of the Notation specification about an image that does not exist."""
    target = content.descriptor(content.manifest([]), content.MANIFEST)
    return json.dumps({"targetArtifact": target}).encode()


def _envelope(bench: Bench) -> dict[str, Any]:
    """Return a recorded signature."""
    signed: dict[str, Any] = {"profileName": _profile(bench), "payload": _payload(), "payloadFormat": FORMAT}
    answer = bench.ask("signer", "SignPayload", show="sort(keys(@))", **signed)
    envelope: dict[str, Any] = json.loads(answer.content["signature"])
    return envelope


def _protected(envelope: dict[str, Any]) -> dict[str, Any]:
    protected: dict[str, Any] = json.loads(_decoded(envelope["protected"]))
    return protected


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _pairs(chain: list[str]) -> list[str]:
    """Return for each certificate its hash and that of its issuer; the root is its own issuer."""
    hashes = [hashlib.sha384(_to_be_signed(base64.b64decode(one))).hexdigest() for one in chain]
    return [own + issuer for own, issuer in zip(hashes, [*hashes[1:], hashes[-1]], strict=True)]


def _to_be_signed(certificate: bytes) -> bytes:
    """Return the first element of the outer sequence (RFC 5280, 4.1), with its own tag and length."""
    outer, _ = _content(certificate, 0)
    start, length = _content(certificate, outer)
    return certificate[outer : start + length]


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Return the start and the length of the content of the element at this position."""
    first = der[at + 1]
    if first < 0x80:
        return at + 2, first
    size = first & 0x7F
    return at + 2 + size, int.from_bytes(der[at + 2 : at + 2 + size], "big")
