"""Certificates that break one requirement each (signature specification, "Certificate Requirements"), by fault."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from tests.component.envelopes import NOW

UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
CODE = ExtendedKeyUsageOID.CODE_SIGNING
SIGN = "digital_signature"
SHA256 = hashes.SHA256()
_USED = NOW - timedelta(minutes=8)  # a little before the signatures of these tests


def _usage(bits: bytes) -> x509.ExtensionType:
    return x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, bytes([3, len(bits)]) + bits)


LEAVES: dict[str, list[dict[str, Any]]] = {
    "leaf for other uses": [
        {"has_usage": False},
        {"is_usage_critical": False},
        *(
            {"uses": frozenset({SIGN, use})}
            for use in ("key_encipherment", "data_encipherment", "key_agreement")
        ),
        *({"uses": frozenset({SIGN, use})} for use in ("key_cert_sign", "crl_sign")),
        {"uses": frozenset({"content_commitment"})},
        *(
            {"has_usage": False, "extra": (_usage(bits),)}
            for bits in (b"\x00\x81", b"\x07\x80\x80", b"\x00\x00")
        ),
    ],
    "leaf for other purposes": [
        *(
            {"purposes": purposes}
            for purpose in (
                ExtendedKeyUsageOID.SERVER_AUTH,
                ExtendedKeyUsageOID.CLIENT_AUTH,
                ExtendedKeyUsageOID.EMAIL_PROTECTION,
                ExtendedKeyUsageOID.TIME_STAMPING,
                ExtendedKeyUsageOID.OCSP_SIGNING,
                ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
            )
            for purposes in ((purpose,), (CODE, purpose))
        ),
    ],
    "leaf that is an authority": [
        {"authority": True},
        {"authority": True, "uses": frozenset({SIGN, "key_cert_sign"})},
        {"authority": True, "is_authority_critical": False},
    ],
    "leaf with a critical extension": [
        {"extra": (UNKNOWN,)},
        {"extra": (x509.NameConstraints([x509.DNSName("example.com")], None),)},
    ],
    "leaf not valid when it signed": [
        {"not_after": _USED},
        {"not_before": NOW},
        {"not_before": NOW - timedelta(days=9), "not_after": NOW - timedelta(days=6)},
    ],
}
AUTHORITIES: dict[str, list[dict[str, Any]]] = {
    "authority for other uses": [
        {"has_usage": False},
        {"is_usage_critical": False},
        {"uses": frozenset({"crl_sign"})},
        {"uses": frozenset({SIGN})},
    ],
    "authority that is none": [
        {"authority": None, "path_length": None},
        {"authority": False, "path_length": None},
        {"is_authority_critical": False},
        {"extra": (UNKNOWN,)},
    ],
    "authority with a weak key or hash": [
        {"kind": "P-224"},
        {"kind": "RSA-1024", "hash_": SHA256},
        {"hash_": hashes.SHA224()},
    ],
    "authority not valid when it signed": [{"not_after": _USED}, {"not_before": NOW}],
}
