"""Each rule of a Notation signature, broken alone, refuses the signature and says which kind of rule it was."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagegate.errors import (
    AuthenticityError,
    AuthenticTimestampError,
    ExpiryError,
    IntegrityError,
    RejectedInputError,
    VerificationError,
)
from imagegate.notation.verifier import thumbprints
from imagegate.oci.image import Digest
from tests.component.envelopes import (
    IDENTITY,
    NOW,
    SIGNED,
    SUBJECT,
    Draft,
    base64url,
    compact,
    good_envelope,
    good_jws,
    good_root,
    protected_header,
)
from tests.component.verifying import verify_gate as verify

AGENT = "io.cncf.notary.signingAgent"
TIMESTAMP = "io.cncf.notary.timestampSignature"
SCHEME = "io.cncf.notary.signingScheme"
SIGNING_TIME = "io.cncf.notary.authenticSigningTime"
EXPIRY = "io.cncf.notary.expiry"
PLUGIN = "io.cncf.notary.verificationPlugin"
JOB = "com.amazonaws.signer.signingJob"
PLUGIN_VERSION = "io.cncf.notary.verificationPluginMinVersion"
ALIAS = "com.amazonaws.signer.signingProfileAlias"
VERSION = "com.amazonaws.signer.signingProfileVersion"


def test_a_signature_of_the_profile_shows_its_payload() -> None:
    verified = verify(good_envelope())
    assert verified.annotations == SIGNED
    assert verified.signing_time == datetime.fromisoformat("2026-11-21T07:52:38Z")
    assert verified.expiry == datetime.fromisoformat("2038-02-21T07:52:38Z")
    assert verified.identity == f"{IDENTITY}/0a1B2c3D4e"
    assert ":/signing-jobs/" in verified.job_arn
    assert verified.chain == thumbprints(good_envelope())
    assert verified.chain[-1] == good_root()


def test_annotations_are_optional() -> None:
    assert verify(Draft(payload={"targetArtifact": SUBJECT.as_json()}).envelope()).annotations == {}


def test_the_payload_may_have_the_artifact_type_of_the_image() -> None:
    payload = {"targetArtifact": SUBJECT.as_json() | {"artifactType": "application/vnd.example"}}
    assert verify(Draft(payload=payload).envelope())


@pytest.mark.parametrize("header", [{AGENT: "notation/1.3.2"}, {AGENT: ""}, {TIMESTAMP: "AAAA"}])
def test_agent_and_countersignature_do_not_matter_for_a_signing_authoritys_signature(
    header: dict[str, Any],
) -> None:
    assert verify(Draft(header=header).envelope())


def test_a_leaf_that_has_expired_since_is_fine() -> None:
    assert verify(good_envelope(), at=NOW + timedelta(days=3650))


@pytest.mark.parametrize("optional", [JOB, VERSION])
def test_attributes_of_the_service_need_not_be_critical(optional: str) -> None:
    critical = [name for name in protected_header()["crit"] if name != optional]
    assert verify(Draft(protected=protected_header() | {"crit": critical}).envelope())


# The envelope, altered after signing.


def altered(**parts: Any) -> bytes:
    return compact(good_jws() | parts)


def _first_certificate(change: Callable[[str], Any]) -> bytes:
    x5c = good_jws()["header"]["x5c"]
    return altered(header={"x5c": [change(x5c[0]), *x5c[1:]]})


def _with_bytes_behind(text: str) -> str:
    return base64.b64encode(base64.b64decode(text) + b"\0").decode()


ENVELOPES = {
    "too large": lambda: good_envelope() + b" " * 65536,
    "not JSON": lambda: b"{",
    "not UTF-8": lambda: b'{"\xff": 1}',
    "UTF-16": lambda: good_envelope().decode().encode("utf-16"),
    "byte order mark": lambda: b"\xef\xbb\xbf" + good_envelope(),
    "a list": lambda: b"[]",
    "nested without end": lambda: b"[" * 60_000,
    "trailing bytes": lambda: good_envelope() + b"{}",
    "trailing zero": lambda: good_envelope() + b"\0",
    "duplicate key": lambda: good_envelope()[:-1] + b',"payload":"e30"}',
    "unknown key": lambda: altered(signatures=[]),
    "other case": lambda: good_envelope().replace(b'"payload"', b'"Payload"'),
    "no signature": lambda: compact({k: v for k, v in good_jws().items() if k != "signature"}),
    "general form": lambda: compact({"payload": good_jws()["payload"], "signatures": [good_jws()]}),
    "compact form": lambda: ".".join(good_jws()[k] for k in ("protected", "payload", "signature")).encode(),
    "padded payload": lambda: altered(payload=good_jws()["payload"] + "="),
    "line break in base64": lambda: altered(payload=good_jws()["payload"] + "\n"),
    "payload a number": lambda: altered(payload=1),
    "other payload": lambda: altered(payload=base64url(b'{"targetArtifact":{}}')),
    "empty signature": lambda: altered(signature=""),
    "short signature": lambda: altered(signature=good_jws()["signature"][:-4]),
    "zero signature": lambda: altered(signature=base64url(b"\0" * 96)),
    "more unsigned headers": lambda: altered(header=good_jws()["header"] | {"alg": "ES384"}),
    "agent a list": lambda: altered(header=good_jws()["header"] | {AGENT: []}),
    "timestamp not base64": lambda: altered(header=good_jws()["header"] | {TIMESTAMP: "-"}),
    "x5c in capitals": lambda: altered(header={"X5C": good_jws()["header"]["x5c"]}),
    "eleven certificates": lambda: altered(header={"x5c": good_jws()["header"]["x5c"][:1] * 11}),
    "certificate not DER": lambda: _first_certificate(lambda _: "AAAA"),
    "certificate empty": lambda: _first_certificate(lambda _: ""),
    "certificate in PEM": lambda: _first_certificate(lambda text: f"-----BEGIN CERTIFICATE-----{text}"),
    "bytes behind a certificate": lambda: _first_certificate(_with_bytes_behind),
    "header a list": lambda: altered(header=["x5c"]),
    "no chain": lambda: altered(header={"x5c": []}),
    "chain a text": lambda: altered(header={"x5c": good_jws()["header"]["x5c"][0]}),
    "base64url certificate": lambda: _first_certificate(lambda text: text.rstrip("=") + "_"),
    "certificate a number": lambda: _first_certificate(lambda _: 5),
    "line break in certificate": lambda: _first_certificate(lambda text: text[:64] + "\n" + text[64:]),
}


@pytest.mark.parametrize("make", ENVELOPES.values(), ids=ENVELOPES.keys())
def test_an_envelope_has_one_exact_form(make: Callable[[], bytes]) -> None:
    with pytest.raises(IntegrityError):
        verify(make())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(good_envelope()) - 1), st.integers(33, 126))
def test_no_byte_can_be_changed(position: int, character: int) -> None:
    envelope = bytearray(good_envelope())
    if envelope[position] == character:
        return
    envelope[position] = character
    with pytest.raises(VerificationError):
        verify(bytes(envelope))


# The protected header, altered and signed again.


def without(name: str) -> dict[str, Any]:
    header = {key: value for key, value in protected_header().items() if key != name}
    return header | {"crit": [entry for entry in header.get("crit", []) if entry != name]}


def header(**changes: Any) -> dict[str, Any]:
    return protected_header() | changes


def critical(**more: Any) -> dict[str, Any]:
    return header(**more, crit=[*protected_header()["crit"], *more])


CRITICAL = protected_header()["crit"]
HEADERS: dict[str, Any] = {
    "no alg": without("alg"),
    "alg none": header(alg="none"),
    "alg of another key": header(alg="ES256"),
    "no cty": without("cty"),
    "other cty": header(cty="application/json"),
    "no scheme": without(SCHEME),
    "scheme x509": header(**{SCHEME: "notary.x509"}),
    "no signing time": without(SIGNING_TIME),
    "signing time of the other scheme": without(SIGNING_TIME)
    | {"io.cncf.notary.signingTime": "2026-11-21T07:52:38Z"},
    "signing time a number": header(**{SIGNING_TIME: 1795247558}),
    "signing time without zone": header(**{SIGNING_TIME: "2026-11-21T07:52:38"}),
    "signing time a date": header(**{SIGNING_TIME: "2026-11-21"}),
    "no such time": header(**{SIGNING_TIME: "2026-13-21T07:52:38Z"}),
    "time beyond the calendar": header(**{EXPIRY: "9999-12-31T23:59:59-12:00"}),
    "no expiry": without(EXPIRY),
    "no plugin": without(PLUGIN),
    "other plugin": header(**{PLUGIN: "com.example.plugin"}),
    "no job": without(JOB),
    "job not an ARN": header(**{JOB: "a job"}),
    "no profile version": without(VERSION),
    "profile version a list": header(**{VERSION: [IDENTITY]}),
    "unknown header": header(b64=False),
    "alias a number": header(**{"com.amazonaws.signer.signingProfileAlias": 1}),
    "header of the other scheme too": header(**{"io.cncf.notary.signingTime": "2026-11-21T07:52:38Z"}),
    "hour 24": header(**{SIGNING_TIME: "2026-11-21T24:00:00Z"}),
    "hour 24, offset": header(**{SIGNING_TIME: "2026-11-21T07:52:38+24:00"}),
    "leap second": header(**{SIGNING_TIME: "2026-11-21T07:52:60Z"}),
    "lower-case t": header(**{SIGNING_TIME: "2026-11-21t07:52:38z"}),
    "Arabic digits": header(**{SIGNING_TIME: "٢٠٢٦-11-21T07:52:38Z"}),
    "expiry before the signature": header(**{EXPIRY: "2026-11-21T07:52:38Z"}),
    "expiry empty": header(**{EXPIRY: ""}),
    "newer plugin": critical(**{PLUGIN_VERSION: "1.0.351"}),
    "plugin version of two parts": critical(**{PLUGIN_VERSION: "1.0"}),
    "plugin version not critical": header(**{PLUGIN_VERSION: "1.0.0"}),
    "certificates in the protected header": header(x5c=[]),
    "key in the protected header": header(jwk={"kty": "EC"}),
    "key by URL": header(jku="https://example.com/keys"),
    "cty in capitals": header(cty=protected_header()["cty"].upper()),
    "scheme in capitals": header(**{SCHEME: "NOTARY.X509.SIGNINGAUTHORITY"}),
    "nested without end": b'{"alg":' + b"[" * 40 + b"]" * 40 + b"}",
    "huge number": b'{"alg":' + b"9" * 9_000 + b"}",
    "no crit": {key: value for key, value in protected_header().items() if key != "crit"},
    "crit empty": header(crit=[]),
    "crit a text": header(crit=SCHEME),
    "crit twice": header(crit=[*CRITICAL, SCHEME]),
    "crit names alg": header(crit=[*CRITICAL, "alg"]),
    "crit names what is not there": header(crit=[*CRITICAL, "io.cncf.notary.verificationPluginMinVersion"]),
    "crit of numbers": header(crit=[1]),
    **{
        f"crit without {name}": header(crit=[entry for entry in CRITICAL if entry != name])
        for name in (SCHEME, SIGNING_TIME, EXPIRY, PLUGIN)
    },
    "duplicate header": compact(protected_header())[:-1] + b',"alg":"ES384"}',
    "a list": b"[]",
}


UNDERSTOOD: dict[str, Any] = {
    "alias": header(**{ALIAS: "production"}),
    "critical alias": critical(**{ALIAS: "production"}),
    "older plugin": critical(**{PLUGIN_VERSION: "1.0.350"}),
    "fraction of a second": header(**{SIGNING_TIME: "2026-11-21T07:52:38.123456789Z"}),
    "another zone": header(**{SIGNING_TIME: "2026-11-21T08:52:38+01:00"}),
}


@pytest.mark.parametrize("protected", UNDERSTOOD.values(), ids=UNDERSTOOD.keys())
def test_members_of_newer_signers_are_accepted(protected: Any) -> None:
    assert verify(Draft(protected=protected).envelope()).annotations == SIGNED


@pytest.mark.parametrize("protected", HEADERS.values(), ids=HEADERS.keys())
def test_every_protected_header_is_understood(protected: Any) -> None:
    with pytest.raises(IntegrityError):
        verify(Draft(protected=protected).envelope())


TARGET = SUBJECT.as_json()
PAYLOADS: dict[str, Any] = {
    "other digest": TARGET | {"digest": str(Digest.of(b"another image"))},
    "other size": TARGET | {"size": 9},
    "size a text": TARGET | {"size": "8"},
    "size a fraction": TARGET | {"size": 8.0},
    "other media type": TARGET | {"mediaType": "application/vnd.oci.image.index.v1+json"},
    "no media type": {"digest": TARGET["digest"], "size": 8},
    "unknown key": TARGET | {"urls": []},
    "reserved annotation": TARGET | {"annotations": {"io.cncf.notary.x": "y"}},
    "artifact type a number": TARGET | {"artifactType": 1},
    "annotation a number": TARGET | {"annotations": {"x": 1}},
    "annotations a list": TARGET | {"annotations": []},
    "half a character": TARGET | {"annotations": {"x": "\ud800"}},
    "not an object": "x",
}


@pytest.mark.parametrize("target", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_a_payload_about_another_subject_is_refused(target: Any) -> None:
    with pytest.raises(IntegrityError):
        verify(Draft(payload={"targetArtifact": target}).envelope())


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"targetArtifact": TARGET, "more": 1},
        compact({"targetArtifact": TARGET})[:-1] + b',"targetArtifact":{}}',
        b'{"targetArtifact": NaN}',
    ],
)
def test_a_payload_says_nothing_else(payload: Any) -> None:
    with pytest.raises(IntegrityError):
        verify(Draft(payload=payload).envelope())


def test_one_is_not_true() -> None:
    subject = replace(SUBJECT, size=1)
    payload = {"targetArtifact": subject.as_json() | {"size": True}}
    with pytest.raises(IntegrityError):
        verify(Draft(payload=payload).envelope(), subject=subject)


# Identity and times.


@pytest.mark.parametrize(
    "profile_version",
    [
        IDENTITY.replace("dev", "staging") + "/0a1B2c3D4e",
        IDENTITY.replace("dev", "Dev") + "/0a1B2c3D4e",
        IDENTITY.replace("123456789012", "210987654321") + "/0a1B2c3D4e",
        IDENTITY.replace("eu-central-1", "eu-west-1") + "/0a1B2c3D4e",
        IDENTITY.replace("arn:aws:", "arn:aws-cn:") + "/0a1B2c3D4e",
        IDENTITY + "2/0a1B2c3D4e",
        IDENTITY,
        IDENTITY + "/",
        IDENTITY + "/0a1B2c3D4e/0a1B2c3D4e",
        IDENTITY + "/0a1B2c3D4e\n",
    ],
)
def test_only_the_stages_profile_signs_for_the_stage(profile_version: str) -> None:
    with pytest.raises(AuthenticityError):
        verify(Draft(protected=header(**{VERSION: profile_version})).envelope())


@pytest.mark.parametrize("identity", ["*", "", IDENTITY + "/0a1B2c3D4e", IDENTITY.replace("dev", "*")])
def test_an_identity_is_one_profile(identity: str) -> None:
    with pytest.raises(RejectedInputError):
        verify(good_envelope(), identity=identity)


def test_a_signature_expires() -> None:
    last = datetime.fromisoformat("2038-02-21T07:52:38Z")
    assert verify(good_envelope(), at=last - timedelta(seconds=1))
    with pytest.raises(ExpiryError):
        verify(good_envelope(), at=last)


def test_a_signature_does_not_come_from_the_future() -> None:
    signed_at = datetime.fromisoformat("2026-11-21T07:52:38Z")
    assert verify(good_envelope(), at=signed_at - timedelta(minutes=4))
    with pytest.raises(AuthenticTimestampError, match="future"):
        verify(good_envelope(), at=signed_at - timedelta(minutes=6))


def test_insignificant_space_is_still_the_same_document() -> None:
    assert verify(json.dumps(good_jws(), indent=2).encode() + b"\n")
