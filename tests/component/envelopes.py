"""A certificate authority and a maker of Notation envelopes, for tests that break one rule at a time."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from imagegate.oci.image import OCI_MANIFEST, Descriptor, Digest

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
IDENTITY = "arn:aws:signer:eu-central-1:123456789012:/signing-profiles/imagegate_dev"
SUBJECT = Descriptor(OCI_MANIFEST, Digest.of(b"an image"), 8)
SIGNED = {"imagegate.stage": "dev"}
PAYLOAD_TYPE = "application/vnd.cncf.notary.payload.v1+json"

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def key_of(kind: str) -> Key:
    """Return the key for a name such as `P-384 leaf`: one per kind and name, because RSA keys are slow to make."""
    family, size = kind.split()[0].split("-")
    if family == "RSA":
        return rsa.generate_private_key(65537, int(size))
    curves = {"224": ec.SECP224R1(), "256": ec.SECP256R1(), "384": ec.SECP384R1(), "521": ec.SECP521R1()}
    return ec.generate_private_key(curves[size])


@dataclass(frozen=True)
class Certificate:
    """The fields of one certificate."""

    name: str
    kind: str = "P-384"
    uses: frozenset[str] = frozenset({"digital_signature"})
    is_usage_critical: bool = True
    has_usage: bool = True
    authority: bool | None = None  # None: no basic constraints
    is_authority_critical: bool = True
    path_length: int | None = None
    purposes: tuple[x509.ObjectIdentifier, ...] = ()
    not_before: datetime = NOW - timedelta(days=30)
    not_after: datetime = NOW + timedelta(days=30)
    hash_: hashes.SHA224 | hashes.SHA256 | hashes.SHA384 = field(default_factory=hashes.SHA384)
    extra: tuple[x509.ExtensionType, ...] = ()  # critical ones
    hints: tuple[x509.ExtensionType, ...] = ()  # others
    subject: tuple[tuple[x509.ObjectIdentifier, str], ...] = ()  # beside the common name

    @property
    def key(self) -> Key:
        return key_of(f"{self.kind} {self.name}")

    def signed_by(self, issuer: Certificate) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder(issuer.subject_name, self.subject_name, self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.not_before)
            .not_valid_after(self.not_after)
        )
        if self.has_usage:
            builder = builder.add_extension(_usage(self.uses), critical=self.is_usage_critical)
        if self.authority is not None:
            constraints = x509.BasicConstraints(self.authority, self.path_length)
            builder = builder.add_extension(constraints, critical=self.is_authority_critical)
        if self.purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(self.purposes), critical=False)
        for is_critical, extensions in ((True, self.extra), (False, self.hints)):
            for extension in extensions:
                builder = builder.add_extension(extension, critical=is_critical)
        return builder.sign(issuer.key, self.hash_)

    @property
    def subject_name(self) -> x509.Name:
        attributes = [*self.subject, (NameOID.COMMON_NAME, self.name)]
        return x509.Name([x509.NameAttribute(kind, text) for kind, text in attributes])


def _usage(uses: frozenset[str]) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{use: use in uses for use in every})


LEAF = Certificate("leaf", purposes=(ExtendedKeyUsageOID.CODE_SIGNING,), not_after=NOW + timedelta(days=3))
_AUTHORITY = Certificate("authority", authority=True, uses=frozenset({"key_cert_sign", "crl_sign"}))
LOWER = replace(_AUTHORITY, name="lower", path_length=0)
UPPER = replace(_AUTHORITY, name="upper", path_length=1)
ROOT = replace(_AUTHORITY, name="root")


def chain_of(*certificates: Certificate) -> list[x509.Certificate]:
    """Return the certificates, leaf first; each is signed by the next, the last by itself."""
    issuers = [*certificates[1:], certificates[-1]]
    return [one.signed_by(issuer) for one, issuer in zip(certificates, issuers, strict=True)]


def sha1_signed(certificate: Certificate) -> x509.Certificate:
    """Return an RSA root of an obsolete kind, signed by itself over SHA-1."""
    made = certificate.signed_by(certificate)
    assert isinstance(certificate.key, rsa.RSAPrivateKey)
    sha256, sha1 = (bytes.fromhex(f"06092a864886f70d0101{end}") for end in ("0b", "05"))
    signed_part = made.tbs_certificate_bytes.replace(sha256, sha1)
    signature = certificate.key.sign(signed_part, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    der = made.public_bytes(serialization.Encoding.DER)
    der = der.replace(made.tbs_certificate_bytes, signed_part).replace(sha256, sha1)
    return x509.load_der_x509_certificate(der.replace(made.signature, signature))


@cache
def good_chain() -> tuple[x509.Certificate, ...]:
    return tuple(chain_of(LEAF, LOWER, UPPER, ROOT))


def root_thumbprint(chain: Sequence[x509.Certificate]) -> str:
    return chain[-1].fingerprint(hashes.SHA256()).hex()


def good_root() -> str:
    return root_thumbprint(good_chain())


def plain_header(scheme: str = "notary.x509") -> dict[str, Any]:
    """Return the header of a signer that needs no plugin."""
    time = "signingTime" if scheme == "notary.x509" else "authenticSigningTime"
    signed = {
        "io.cncf.notary.signingScheme": scheme,
        f"io.cncf.notary.{time}": "2026-11-21T07:52:38Z",
        "io.cncf.notary.expiry": "2038-02-21T07:52:38Z",
    }
    critical = [name for name in signed if not name.endswith(".signingTime")]
    return {"alg": "ES384", "cty": PAYLOAD_TYPE, "crit": critical, **signed}


def protected_header() -> dict[str, Any]:
    signed = {
        "io.cncf.notary.signingScheme": "notary.x509.signingAuthority",
        "io.cncf.notary.authenticSigningTime": "2026-11-21T07:52:38Z",
        "io.cncf.notary.expiry": "2038-02-21T07:52:38Z",
        "io.cncf.notary.verificationPlugin": "com.amazonaws.signer.notation.plugin",
        "com.amazonaws.signer.signingJob": (
            "arn:aws:signer:eu-central-1:123456789012:/signing-jobs/2e9f1b2c-0f7a-4f6e-9b2d-0a1b2c3d4e5f"
        ),
        "com.amazonaws.signer.signingProfileVersion": f"{IDENTITY}/0a1B2c3D4e",
    }
    return {"alg": "ES384", "cty": PAYLOAD_TYPE, "crit": list(signed), **signed}


@dataclass
class Draft:
    """An envelope before it is signed. `payload` and `protected` may be raw bytes, to spell JSON wrongly."""

    payload: Any = field(
        default_factory=lambda: {"targetArtifact": {**SUBJECT.as_json(), "annotations": dict(SIGNED)}}
    )
    protected: Any = field(default_factory=protected_header)
    chain: Sequence[x509.Certificate] = field(default_factory=good_chain)
    key: Key = field(default_factory=lambda: LEAF.key)
    header: dict[str, Any] = field(default_factory=dict)  # unsigned, beside the chain
    sign: Callable[[Key, bytes], bytes] = field(default_factory=lambda: signature_of)

    def jws(self) -> dict[str, Any]:
        payload, protected = base64url(_encoded(self.payload)), base64url(_encoded(self.protected))
        x5c = [base64.b64encode(one.public_bytes(serialization.Encoding.DER)).decode() for one in self.chain]
        signature = base64url(self.sign(self.key, f"{protected}.{payload}".encode()))
        return {
            "payload": payload,
            "protected": protected,
            "header": {"x5c": x5c, **self.header},
            "signature": signature,
        }

    def envelope(self) -> bytes:
        return compact(self.jws())


@cache
def good_envelope() -> bytes:
    return Draft().envelope()


def good_jws() -> dict[str, Any]:
    return copy.deepcopy(dict(json.loads(good_envelope())))


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _encoded(value: Any) -> bytes:
    return value if isinstance(value, bytes) else compact(value)


def signature_of(key: Key, content: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        digest: hashes.HashAlgorithm = {2048: hashes.SHA256(), 3072: hashes.SHA384(), 4096: hashes.SHA512()}[
            key.key_size
        ]
        return key.sign(content, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    digests: dict[int, hashes.HashAlgorithm] = {
        256: hashes.SHA256(),
        384: hashes.SHA384(),
        521: hashes.SHA512(),
    }
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(digests[key.key_size])))
    length = (key.key_size + 7) // 8
    return r.to_bytes(length, "big") + s.to_bytes(length, "big")
