"""Each requirement of the certificates, broken alone, refuses the signature; so does a chain out of order."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from imagegate.errors import (
    AuthenticityError,
    AuthenticTimestampError,
    IntegrityError,
    VerificationError,
)
from imagegate.notation.verifier import thumbprints
from tests.component.envelopes import (
    LEAF,
    LOWER,
    NOW,
    ROOT,
    UPPER,
    Certificate,
    Draft,
    chain_of,
    compact,
    good_envelope,
    root_thumbprint,
    sha1_signed,
)
from tests.component.verifying import verify_chain, verify_gate

ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
CODE = ExtendedKeyUsageOID.CODE_SIGNING
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")

LEAVES = {
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
    "for OCSP responses too": replace(LEAF, purposes=(CODE, ExtendedKeyUsageOID.OCSP_SIGNING)),
    "for mail too": replace(LEAF, purposes=(CODE, ExtendedKeyUsageOID.EMAIL_PROTECTION)),
    "for clients too": replace(LEAF, purposes=(CODE, ExtendedKeyUsageOID.CLIENT_AUTH)),
    "for something else": replace(LEAF, purposes=(ObjectIdentifier("1.2.3.4"),)),
    "may sign CRLs": replace(LEAF, uses=frozenset({"digital_signature", "crl_sign"})),
    "may agree on keys": replace(LEAF, uses=frozenset({"digital_signature", "key_agreement"})),
    "may encipher data": replace(LEAF, uses=frozenset({"digital_signature", "data_encipherment"})),
    "unknown critical extension": replace(LEAF, extra=(UNKNOWN,)),
    "name constraints": replace(LEAF, extra=(x509.NameConstraints([x509.DNSName("example.com")], None),)),
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
        replace(LEAF, hints=(UNKNOWN,)),
        replace(LEAF, not_after=NOW + timedelta(days=36_000)),  # beyond its issuers: no nesting of validity
    ],
)
def test_a_leaf_may_have_these(leaf: Certificate) -> None:
    assert verify_chain([leaf, LOWER, UPPER, ROOT])


AUTHORITIES = {
    "no basic constraints": {"authority": None},
    "not an authority": {"authority": False, "path_length": None},
    "constraints not critical": {"is_authority_critical": False},
    "no key usage": {"has_usage": False},
    "key usage not critical": {"is_usage_critical": False},
    "may not sign certificates": {"uses": frozenset({"crl_sign"})},
    "unknown critical extension": {"extra": (UNKNOWN,)},
    "weak hash": {"hash_": hashes.SHA224()},
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


def test_a_leaf_alone_signs_for_itself() -> None:
    assert verify_chain([LEAF])
    with pytest.raises(AuthenticityError, match="authority"):
        verify_chain([replace(LEAF, authority=True)])
    chain = chain_of(LEAF, ROOT)[:1]
    with pytest.raises(AuthenticityError, match="was not issued by"):
        verify_gate(Draft(chain=chain).envelope(), root=root_thumbprint(chain))


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("changes", [{"not_after": NOW - timedelta(days=1)}, {"not_before": NOW}])
def test_every_certificate_was_valid_when_the_leaf_signed(position: int, changes: dict[str, Any]) -> None:
    certificates = [LEAF, LOWER, UPPER, ROOT]
    certificates[position] = replace(certificates[position], **changes)
    with pytest.raises(AuthenticTimestampError, match="not valid when it signed"):
        verify_chain(certificates)


def test_the_last_and_the_first_second_count() -> None:
    signed_at = datetime.fromisoformat("2026-11-21T07:52:38Z")
    assert verify_chain([replace(LEAF, not_before=signed_at, not_after=signed_at), LOWER, UPPER, ROOT])


def test_a_certificate_over_sha_1_is_refused() -> None:
    root = replace(ROOT, kind="RSA-2048", hash_=hashes.SHA256())
    chain = [LEAF.signed_by(root), sha1_signed(root)]
    assert verify_chain([LEAF, root])
    with pytest.raises(AuthenticityError, match="hash"):
        verify_gate(Draft(chain=chain).envelope(), root=root_thumbprint(chain))


@pytest.mark.parametrize("bits", ["0081", "07008080"])
def test_enciphering_only_is_a_use_too(bits: str) -> None:
    """Without key agreement, which would give it a meaning."""
    content = bytes.fromhex(bits)
    usage = x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, bytes([3, len(content)]) + content)
    leaf = replace(LEAF, has_usage=False, extra=(usage,))
    with pytest.raises(VerificationError):
        verify_chain([leaf, LOWER, UPPER, ROOT])


def test_a_chain_of_ten_is_read() -> None:
    between = [replace(UPPER, name=f"between {n}", path_length=None) for n in range(8)]
    assert verify_chain([LEAF, *between, ROOT])
    with pytest.raises(IntegrityError, match="1 to 10 certificates"):
        verify_chain([LEAF, *between, UPPER, ROOT])


def test_an_unknown_root_is_not_trusted() -> None:
    with pytest.raises(AuthenticityError, match="not trusted"):
        verify_gate(good_envelope(), root="1" * 64)


def test_an_intermediate_in_the_trust_store_is_no_root() -> None:
    with pytest.raises(AuthenticityError, match="not trusted"):
        verify_gate(good_envelope(), root=thumbprints(good_envelope())[1])


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
        verify_gate(Draft(chain=chain).envelope(), root=root_thumbprint(chain))


def test_a_foreign_root_of_the_same_name_and_key_is_not_trusted() -> None:
    chain = chain_of(LEAF, LOWER, UPPER, ROOT)  # new serial numbers
    with pytest.raises(AuthenticityError, match="not trusted"):
        verify_gate(Draft(chain=chain).envelope())


def test_another_key_than_the_leafs_does_not_sign() -> None:
    with pytest.raises(IntegrityError):
        verify_gate(Draft(key=LOWER.key).envelope())


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("P-256", "ES256"),
        ("P-521", "ES512"),
        ("RSA-2048", "PS256"),
        ("RSA-3072", "PS384"),
        ("RSA-4096", "PS512"),
    ],
)
def test_the_algorithm_goes_with_the_key(kind: str, algorithm: str) -> None:
    leaf = replace(LEAF, kind=kind)
    assert verify_chain([leaf, LOWER, UPPER, ROOT], alg=algorithm)
    with pytest.raises(IntegrityError, match="algorithm"):
        verify_chain([leaf, LOWER, UPPER, ROOT], alg="ES384")


@pytest.mark.parametrize("kind", ["P-224", "RSA-1024", "RSA-2056"])
def test_a_leafs_key_is_of_one_of_six_kinds(kind: str) -> None:
    chain = chain_of(replace(LEAF, kind=kind, hash_=hashes.SHA256()), ROOT)
    with pytest.raises(IntegrityError, match="does not go with a key"):
        verify_gate(Draft(chain=chain).envelope(), root=root_thumbprint(chain))


def _unused_bits(der: bytes, certificate: x509.Certificate) -> bytes:
    place = len(der) - len(certificate.signature) - 1
    return der[:place] + b"\1" + der[place + 1 :]


@pytest.mark.parametrize("position", range(3))
def test_a_certificate_has_one_form(position: int) -> None:
    """The number of unused bits of its signature is not signed; 0 and 1 are the same to lenient readers."""
    while True:
        chain = chain_of(LEAF, LOWER, UPPER, ROOT)
        if chain[position].signature[-1] % 2 == 0:
            break
    jws = Draft(chain=chain).jws()
    der = chain[position].public_bytes(Encoding.DER)
    jws["header"]["x5c"][position] = base64.b64encode(_unused_bits(der, chain[position])).decode()
    with pytest.raises(IntegrityError, match="one form"):
        verify_gate(compact(jws), root=root_thumbprint(chain))


def test_a_serial_number_is_positive() -> None:
    chain = chain_of(LEAF, ROOT)
    der = bytearray(chain[0].public_bytes(Encoding.DER))
    der[der.index(bytes.fromhex("a00302010202")) + 7] = 0xFF  # behind version 3, type and length
    jws = Draft(chain=chain).jws()
    jws["header"]["x5c"][0] = base64.b64encode(der).decode()
    with pytest.raises(IntegrityError):
        verify_gate(compact(jws), root=root_thumbprint(chain))
