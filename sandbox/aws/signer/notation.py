"""Notation signature envelopes as AWS Signer makes them: JWS, ES384, a chain of four certificates.

The root of the chain belongs to this sandbox and says so in its name, so that verification is real cryptography and
nobody takes it for AWS's. Source: notaryproject specifications, "signature-envelope-jws" and
"signing-and-verification".
"""

from __future__ import annotations

import base64
import calendar
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha384
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PAYLOAD_TYPE = "application/vnd.cncf.notary.payload.v1+json"
LEAF_LIFETIME = timedelta(days=3)  # as seen in AWS's envelopes
_ATTRIBUTES = {
    NameOID.COUNTRY_NAME: "US",
    NameOID.STATE_OR_PROVINCE_NAME: "WA",
    NameOID.LOCALITY_NAME: "Seattle",
    NameOID.ORGANIZATION_NAME: "AWS",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "AWS Cryptography",
}

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Issuer:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: Key


@dataclass(frozen=True, slots=True)
class Chain:
    """The leaf's key, and the certificates from the leaf to the root."""

    key: Key
    certificates: tuple[x509.Certificate, ...]

    @property
    def is_fresh(self) -> bool:
        left = self.certificates[0].not_valid_after_utc - datetime.now(UTC)
        return left > LEAF_LIFETIME / 2

    @property
    def revocation_hashes(self) -> list[str]:
        """Return the values that GetRevocationStatus takes: SHA-384 of each signed part, followed by its issuer's."""
        parts = [sha384(c.tbs_certificate_bytes).hexdigest() for c in self.certificates]
        return [own + issuer for own, issuer in zip(parts, [*parts[1:], parts[-1]], strict=True)]


def load_root(folder: Path) -> Issuer:
    """Return the root in `folder`; make it on first use, so that after a restart clients still trust it."""
    certificate_file, key_file = folder / "trust-root.pem", folder / "trust-root.key"
    if not certificate_file.exists() or not key_file.exists():
        _save(_new_root(), certificate_file, key_file)
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{key_file} does not hold an elliptic curve key")
    return Issuer(x509.load_pem_x509_certificate(certificate_file.read_bytes()), key)


def _save(root: Issuer, certificate_file: Path, key_file: Path) -> None:
    certificate_file.parent.mkdir(parents=True, exist_ok=True)
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        root.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate_file.write_bytes(root.certificate.public_bytes(serialization.Encoding.PEM))


def _new_root() -> Issuer:
    name = _name("AWS Signer Code Signing Root CA G1 (sandbox)")
    key = ec.generate_private_key(ec.SECP384R1())
    return Issuer(_sign(_authority(name, name, key, None), key), key)


def new_chain(root: Issuer, region: str) -> Chain:
    """Make a new leaf under new intermediates under the root."""
    upper = _subordinate(root, "AWS Signer Code Signing Int CA G1", 1)
    lower = _subordinate(upper, f"AWS Signer {region} Code Signing CA G1", 0)
    key = ec.generate_private_key(ec.SECP384R1())
    builder = _builder(lower.certificate.subject, _name("AWS Signer"), key, LEAF_LIFETIME)
    builder = builder.add_extension(_usage(is_authority=False), critical=True).add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
    )
    issuers = (lower.certificate, upper.certificate, root.certificate)
    return Chain(key, (_sign(builder, lower.key), *issuers))


def _subordinate(issuer: Issuer, common_name: str, path_length: int) -> Issuer:
    key = ec.generate_private_key(ec.SECP384R1())
    name = _name(common_name)
    builder = _authority(issuer.certificate.subject, name, key, path_length)
    return Issuer(_sign(builder, issuer.key), key)


def _name(common_name: str) -> x509.Name:
    attributes = [x509.NameAttribute(oid, value) for oid, value in _ATTRIBUTES.items()]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(issuer: x509.Name, subject: x509.Name, key: Key, lifetime: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + lifetime)
    )


def _authority(
    issuer: x509.Name, subject: x509.Name, key: Key, path_length: int | None
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _builder(issuer, subject, key, timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(identifier, critical=False)
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(builder: x509.CertificateBuilder, key: Key) -> x509.Certificate:
    return builder.sign(key, hashes.SHA384())


def envelope(chain: Chain, payload: bytes, *, job_arn: str, profile_version_arn: str, months: int) -> bytes:
    """Return the flattened JWS that `SignPayload` returns, over exactly these payload bytes."""
    now = datetime.now(UTC)
    signed = {
        "io.cncf.notary.signingScheme": "notary.x509.signingAuthority",
        "io.cncf.notary.authenticSigningTime": _timestamp(now),
        "io.cncf.notary.expiry": _timestamp(add_months(now, months)),
        "io.cncf.notary.verificationPlugin": "com.amazonaws.signer.notation.plugin",
        "com.amazonaws.signer.signingJob": job_arn,
        "com.amazonaws.signer.signingProfileVersion": profile_version_arn,
    }
    protected = {"alg": "ES384", "cty": PAYLOAD_TYPE, "crit": list(signed)} | signed
    parts = {"payload": _base64url(payload), "protected": _base64url(_json(protected))}
    signing_input = f"{parts['protected']}.{parts['payload']}".encode()
    x5c = [_base64(c.public_bytes(serialization.Encoding.DER)) for c in chain.certificates]
    signature = _base64url(_raw_signature(chain.key, signing_input))
    return _json(parts | {"header": {"x5c": x5c}, "signature": signature})


def _raw_signature(key: Key, content: bytes) -> bytes:
    """Return r and s side by side, 48 bytes each, because JWS does not use DER."""
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA384())))
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


def add_months(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.month - 1 + months, 12)
    year = moment.year + years
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
