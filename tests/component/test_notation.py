"""Each rule of a Notation signature, broken alone, refuses the signature and says which kind of rule it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from imagegate.adapters.notation import VerifiedSignature, thumbprints, verify_envelope
from imagegate.domain.errors import (
    AuthenticityError,
    ExpiryError,
    IntegrityError,
    RejectedInputError,
    VerificationError,
)
from imagegate.domain.image import Descriptor, Digest
from tests.component.envelopes import (
    IDENTITY,
    LEAF,
    LOWER,
    NOW,
    ROOT,
    SIGNED,
    SUBJECT,
    UPPER,
    Certificate,
    Draft,
    base64url,
    chain_of,
    compact,
    good_envelope,
    good_jws,
    good_root,
    protected_header,
    root_thumbprint,
)

SCHEME = "io.cncf.notary.signingScheme"
SIGNING_TIME = "io.cncf.notary.authenticSigningTime"
EXPIRY = "io.cncf.notary.expiry"
PLUGIN = "io.cncf.notary.verificationPlugin"
JOB = "com.amazonaws.signer.signingJob"
VERSION = "com.amazonaws.signer.signingProfileVersion"


def verify(
    envelope: bytes,
    *,
    subject: Descriptor = SUBJECT,
    root: str = "",
    identity: str = IDENTITY,
    at: datetime = NOW,
) -> VerifiedSignature:
    trusted = frozenset({root or good_root(), "0" * 64})
    return verify_envelope(envelope, subject, trusted_roots=trusted, identity=identity, at=at)


def verify_chain(certificates: Sequence[Certificate], **protected: Any) -> VerifiedSignature:
    chain = chain_of(*certificates)
    draft = Draft(chain=chain, key=certificates[0].key, protected=protected_header() | protected)
    return verify(draft.envelope(), root=root_thumbprint(chain))


def test_a_signature_of_the_profile_says_what_was_signed() -> None:
    verified = verify(good_envelope())
    assert verified.annotations == SIGNED
    assert verified.signing_time.isoformat() == "2026-11-21T07:52:38+00:00"
    assert verified.expiry.year == 2038
    assert verified.profile_version_arn == f"{IDENTITY}/0a1B2c3D4e"
    assert ":/signing-jobs/" in verified.job_arn
    assert verified.chain == thumbprints(good_envelope())
    assert verified.chain[-1] == good_root()


def test_annotations_are_optional() -> None:
    assert verify(Draft(payload={"targetArtifact": SUBJECT.as_json()}).envelope()).annotations == {}


def test_a_leaf_that_has_expired_since_is_fine() -> None:
    assert verify(good_envelope(), at=NOW + timedelta(days=3650))


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("P-256", "ES256"), ("P-521", "ES512"), ("RSA-2048", "PS256"), ("RSA-3072", "PS384")],
)
def test_the_algorithm_goes_with_the_key(kind: str, algorithm: str) -> None:
    leaf = replace(LEAF, kind=kind)
    assert verify_chain([leaf, LOWER, UPPER, ROOT], alg=algorithm)
    with pytest.raises(IntegrityError, match="algorithm"):
        verify_chain([leaf, LOWER, UPPER, ROOT], alg="ES384")


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
    "alias": header(**{"com.amazonaws.signer.signingProfileAlias": "x"}),
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
    "annotation a number": TARGET | {"annotations": {"x": 1}},
    "annotations a list": TARGET | {"annotations": []},
    "half a character": TARGET | {"annotations": {"x": "\ud800"}},
    "not an object": "x",
}


@pytest.mark.parametrize("target", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_what_is_signed_is_the_subject(target: Any) -> None:
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


# Certificates.

ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
CODE = ExtendedKeyUsageOID.CODE_SIGNING
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
YESTERDAY = NOW - timedelta(days=1)

LEAVES = {
    "expired when it signed": replace(LEAF, not_after=YESTERDAY),
    "not yet valid": replace(LEAF, not_before=NOW),
    "no key usage": replace(LEAF, has_usage=False),
    "key usage not critical": replace(LEAF, is_usage_critical=False),
    "not for signatures": replace(LEAF, uses=frozenset({"content_commitment"})),
    "may sign certificates": replace(LEAF, uses=frozenset({"digital_signature", "key_cert_sign"})),
    "may encipher": replace(LEAF, uses=frozenset({"digital_signature", "key_encipherment"})),
    "an authority": replace(LEAF, authority=True),
    "for servers": replace(LEAF, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,)),
    "for servers too": replace(LEAF, purposes=(CODE, ExtendedKeyUsageOID.SERVER_AUTH)),
    "for time stamps too": replace(LEAF, purposes=(CODE, ExtendedKeyUsageOID.TIME_STAMPING)),
    "for anything": replace(LEAF, purposes=(CODE, ANY)),
    "unknown critical extension": replace(LEAF, extra=(UNKNOWN,)),
}


@pytest.mark.parametrize("leaf", LEAVES.values(), ids=LEAVES.keys())
def test_a_leaf_signs_code_and_nothing_else(leaf: Certificate) -> None:
    with pytest.raises(AuthenticityError):
        verify_chain([leaf, LOWER, UPPER, ROOT])


@pytest.mark.parametrize(
    "leaf",
    [
        replace(LEAF, uses=frozenset({"digital_signature", "content_commitment"})),
        replace(LEAF, authority=False),
        replace(LEAF, purposes=()),
    ],
)
def test_a_leaf_may_have_these(leaf: Certificate) -> None:
    assert verify_chain([leaf, LOWER, UPPER, ROOT])


AUTHORITIES = {
    "expired": {"not_after": YESTERDAY},
    "no basic constraints": {"authority": None},
    "not an authority": {"authority": False, "path_length": None},
    "constraints not critical": {"is_authority_critical": False},
    "no key usage": {"has_usage": False},
    "key usage not critical": {"is_usage_critical": False},
    "may not sign certificates": {"uses": frozenset({"crl_sign"})},
    "unknown critical extension": {"extra": (UNKNOWN,)},
    "weak key": {"kind": "P-224"},
    "weak RSA key": {"kind": "RSA-1024", "hash_": hashes.SHA256()},
}


@pytest.mark.parametrize("changes", AUTHORITIES.values(), ids=AUTHORITIES.keys())
@pytest.mark.parametrize("position", [1, 3], ids=["intermediate", "root"])
def test_an_authority_may_issue_certificates(position: int, changes: dict[str, Any]) -> None:
    certificates = [LEAF, LOWER, UPPER, ROOT]
    certificates[position] = replace(certificates[position], **changes)
    with pytest.raises(AuthenticityError):
        verify_chain(certificates)


def test_a_path_length_is_kept() -> None:
    with pytest.raises(AuthenticityError, match="allows 0"):
        verify_chain([LEAF, LOWER, replace(UPPER, path_length=0), ROOT])


def test_a_chain_of_two_is_enough() -> None:
    assert verify_chain([LEAF, ROOT])


def test_a_leaf_alone_is_not_a_chain() -> None:
    with pytest.raises(AuthenticityError):
        verify_chain([LEAF])


def test_an_unknown_root_is_not_trusted() -> None:
    with pytest.raises(AuthenticityError, match="not trusted"):
        verify(good_envelope(), root="1" * 64)


def test_an_intermediate_in_the_trust_store_is_no_root() -> None:
    with pytest.raises(AuthenticityError, match="not trusted"):
        verify(good_envelope(), root=thumbprints(good_envelope())[1])


ORDERS: dict[str, Callable[[list[x509.Certificate]], list[x509.Certificate]]] = {
    "root missing": lambda chain: chain[:-1],
    "intermediate missing": lambda chain: [chain[0], *chain[2:]],
    "swapped": lambda chain: [chain[0], chain[2], chain[1], chain[3]],
    "root twice": lambda chain: [*chain, chain[-1]],
    "something extra": lambda chain: [*chain, *chain_of(replace(ROOT, name="other"))],
}


@pytest.mark.parametrize("change", ORDERS.values(), ids=ORDERS.keys())
def test_a_chain_is_complete_and_in_order(
    change: Callable[[list[x509.Certificate]], list[x509.Certificate]],
) -> None:
    chain = change(chain_of(LEAF, LOWER, UPPER, ROOT))
    with pytest.raises(AuthenticityError):
        verify(Draft(chain=chain).envelope(), root=root_thumbprint(chain))


def test_a_foreign_root_of_the_same_name_and_key_is_not_trusted() -> None:
    chain = chain_of(LEAF, LOWER, UPPER, ROOT)  # new serial numbers
    with pytest.raises(AuthenticityError, match="not trusted"):
        verify(Draft(chain=chain).envelope())


def test_a_certificate_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(AuthenticityError):
        verify(_first_certificate(lambda _: "AAAA"))


def test_another_key_than_the_leafs_does_not_sign() -> None:
    with pytest.raises(IntegrityError):
        verify(Draft(key=LOWER.key).envelope())


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
    with pytest.raises(ExpiryError):
        verify(good_envelope(), at=signed_at - timedelta(minutes=6))


def test_a_signature_does_not_expire_before_it_was_given() -> None:
    with pytest.raises(ExpiryError):
        verify(Draft(protected=header(**{EXPIRY: "2026-11-21T07:52:38Z"})).envelope())


def test_insignificant_space_is_still_the_same_document() -> None:
    assert verify(json.dumps(good_jws(), indent=2).encode() + b"\n")
