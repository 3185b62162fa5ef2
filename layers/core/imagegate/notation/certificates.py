"""The certificates of a Notation signature: their form and their order. Trust and times are checked elsewhere.

Source: notaryproject signature specification, "Certificate Requirements". Stricter than the official client where the
specification is: critical basic constraints, no `anyExtendedKeyUsage`. Stricter than both: a critical extension that is
not checked here is refused (RFC 5280, section 4.2). The path is checked here, not by `cryptography.x509.verification`:
see ADR 33.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID

from imagegate.errors import AuthenticityError, AuthenticTimestampError, IntegrityError
from imagegate.strict_json import shown

MAX_CHAIN = 10  # certificates; AWS Signer has four

_CHECKED_HERE = frozenset(
    {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE}
)
_OTHER_PURPOSES = frozenset(
    {
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ExtendedKeyUsageOID.TIME_STAMPING,
        ExtendedKeyUsageOID.OCSP_SIGNING,
    }
)
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
# The errors of `cryptography` for certificates that it cannot read.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    Warning,  # where warnings are errors
)

Chain = Sequence[x509.Certificate]


def thumbprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the DER in lower-case hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def load_chain(encoded: Sequence[bytes]) -> Chain:
    """Read DER certificates, leaf first. Raises `IntegrityError`."""
    return [_load(der) for der in encoded]


def _load(der: bytes) -> x509.Certificate:
    """Load a certificate and read each lazy part once, so that an unreadable part raises here and nowhere else."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.public_key()
        _ = (certificate.extensions, certificate.signature_hash_algorithm, _name(certificate))
        _ = (certificate.issuer, certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    except _UNREADABLE as error:
        raise IntegrityError(f"x5c has a certificate that cannot be read: {error}") from error
    # Either would allow a second encoding of the same certificate: RFC 5280, sections 4.1.2.2 and 4.1.1.3.
    if certificate.serial_number <= 0 or not der.endswith(b"\0" + certificate.signature):
        raise IntegrityError("x5c has a certificate whose serial number or signature is not in its one form")
    return certificate


def check_requirements(chain: Chain) -> None:
    """Raise `AuthenticityError` unless the chain is complete, in order, and of certificates for signing code."""
    for position, certificate in enumerate(chain):
        _check_any(certificate)
        if position:
            # The path length counts the authorities between this certificate and the leaf.
            _check_authority(certificate, position - 1)
    _check_leaf(chain[0])
    _check_links(chain)


def check_validity(chain: Chain, at: datetime, when: str) -> None:
    """Raise `AuthenticTimestampError` unless every certificate was valid at that time."""
    for certificate in chain:
        first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not first <= at <= last:
            raise AuthenticTimestampError(
                f"the certificate {_name(certificate)} is not valid {when} ({at}), but from {first} to {last}"
            )


def names_revocation_sources(chain: Chain) -> bool:
    """Return True if a certificate below the root names a source of revocations (CRL or OCSP)."""
    return any(
        isinstance(extension.value, x509.CRLDistributionPoints)
        or (
            isinstance(extension.value, x509.AuthorityInformationAccess)
            and any(access.access_method == AuthorityInformationAccessOID.OCSP for access in extension.value)
        )
        for certificate in chain[:-1]
        for extension in certificate.extensions
    )


def subject_attributes(certificate: x509.Certificate) -> dict[str, str] | None:
    """Return the subject by dotted attribute type, or None if it has a type twice or several in one RDN."""
    attributes = list(certificate.subject)
    texts = {
        entry.oid.dotted_string: str(entry.value) for entry in attributes if isinstance(entry.value, str)
    }
    is_plain = len(texts) == len(attributes) == len(certificate.subject.rdns)
    return texts if is_plain else None


def name_of(certificate: x509.Certificate) -> str:
    """Return the subject as text (RFC 4514)."""
    return certificate.subject.rfc4514_string()


def _name(certificate: x509.Certificate) -> str:
    return shown(name_of(certificate))


def _check_any(certificate: x509.Certificate) -> None:
    name = _name(certificate)
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _CHECKED_HERE:
            raise AuthenticityError(
                f"{name} has a critical extension that is not understood: {extension.oid.dotted_string}"
            )
    if not isinstance(certificate.signature_hash_algorithm, _HASHES):
        raise AuthenticityError(f"{name} is signed over a hash that is not accepted")
    _check_strength(certificate, name)


def _check_strength(certificate: x509.Certificate, name: str) -> None:
    key = certificate.public_key()
    is_strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= 256
    )
    if not is_strong:
        raise AuthenticityError(f"{name} has a weak key, or one of a kind that is not accepted")


def _usage(certificate: x509.Certificate) -> x509.KeyUsage:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    except x509.ExtensionNotFound:
        extension = None
    if extension is None or not extension.critical:
        raise AuthenticityError(f"{_name(certificate)} has no critical key usage")
    return extension.value


def _check_authority(certificate: x509.Certificate, authorities_below: int) -> None:
    name = _name(certificate)
    if not _usage(certificate).key_cert_sign:
        raise AuthenticityError(f"{name} may not sign certificates")
    try:
        extension = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        raise AuthenticityError(f"{name} has no basic constraints") from None
    if not extension.critical or not extension.value.ca:
        raise AuthenticityError(f"{name} is not marked, critically, as a certificate authority")
    allowed = extension.value.path_length
    if allowed is not None and authorities_below > allowed:
        raise AuthenticityError(f"{name} allows {allowed} authorities below it, not {authorities_below}")


def _check_leaf(leaf: x509.Certificate) -> None:
    usage, name = _usage(leaf), _name(leaf)
    other_uses = (
        usage.key_encipherment,
        usage.data_encipherment,
        # With encipherOnly or decipherOnly and without this one, a certificate is not readable.
        usage.key_agreement,
        usage.key_cert_sign,
        usage.crl_sign,
    )
    if not usage.digital_signature or any(other_uses):
        raise AuthenticityError(f"{name} is not for signatures only")
    for extension in leaf.extensions:
        if isinstance(extension.value, x509.BasicConstraints) and extension.value.ca:
            raise AuthenticityError(f"{name} signs as a leaf, but is a certificate authority")
        if isinstance(extension.value, x509.ExtendedKeyUsage):
            _check_purposes(set(extension.value), name)


def _check_purposes(purposes: set[x509.ObjectIdentifier], name: str) -> None:
    """Raise unless code signing is a purpose: a list without it excludes it (RFC 5280, section 4.2.1.12)."""
    if ExtendedKeyUsageOID.CODE_SIGNING not in purposes or purposes & _OTHER_PURPOSES:
        raise AuthenticityError(f"{name} is not for signing code only")


def _check_links(chain: Chain) -> None:
    """Raise unless each certificate is issued by the next one. The last, and no other, is issued by itself."""
    for certificate, issuer in zip(chain, [*chain[1:], chain[-1]], strict=True):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (*_UNREADABLE, InvalidSignature) as error:
            message = f"{_name(certificate)} was not issued by {_name(issuer)}, which follows it"
            raise AuthenticityError(message) from error
        if certificate is not chain[-1] and certificate.subject == certificate.issuer:
            raise AuthenticityError(f"{_name(certificate)} is self-signed, but not the last of its chain")
