"""Trust stores on disk, and who may be in one."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from imagegate.errors import TrustPolicyError
from imagegate.notation.trust_policy import StoreName, StoreType
from imagegate.notation.trust_store import TrustStore, load_certificates, read_trust_stores
from tests.component.envelopes import LEAF, chain_of, good_chain, good_root


def put(folder: Path, *certificates: x509.Certificate, encoding: Encoding = Encoding.PEM) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_bytes(b"".join(certificate.public_bytes(encoding) for certificate in certificates))


def test_stores_are_read_as_the_specification_lays_them_out(tmp_path: Path) -> None:
    *_, upper, root = good_chain()
    put(tmp_path / "x509/ca/acme/root.crt", root, encoding=Encoding.DER)
    put(tmp_path / "x509/ca/acme/below/ignored.pem", *good_chain())
    put(tmp_path / "x509/signingAuthority/aws/both.pem", upper, root)
    (tmp_path / "x509/ca/acme/README").write_text("not a certificate")
    (tmp_path / "x509/ca/note").write_text("not a store")
    stores = read_trust_stores(tmp_path)
    assert {str(name) for name in stores} == {"ca:acme", "signingAuthority:aws"}
    assert stores[StoreName(StoreType.CA, "acme")].thumbprints == {good_root()}
    assert len(stores[StoreName(StoreType.SIGNING_AUTHORITY, "aws")].thumbprints) == 2


def test_no_folder_is_no_store(tmp_path: Path) -> None:
    assert read_trust_stores(tmp_path / "missing") == {}


def test_symlinks_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "root.pem", good_chain()[-1])
    (tmp_path / "x509/ca/acme").mkdir(parents=True)
    (tmp_path / "x509/ca/acme/root.pem").symlink_to(tmp_path / "root.pem")
    with pytest.raises(TrustPolicyError, match=r"root\.pem is a symlink"):
        read_trust_stores(tmp_path)


def test_a_store_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere/root.pem", good_chain()[-1])
    (tmp_path / "x509/ca").mkdir(parents=True)
    (tmp_path / "x509/ca/acme").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TrustPolicyError, match="acme is a symlink"):
        read_trust_stores(tmp_path)


def test_an_empty_store_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "x509/ca/acme").mkdir(parents=True)
    with pytest.raises(TrustPolicyError, match="no certificates"):
        read_trust_stores(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_anything_but_a_certificate_is_refused(content: bytes) -> None:
    with pytest.raises(TrustPolicyError, match="not a certificate"):
        load_certificates(content)


def test_a_leaf_that_somebody_issued_is_not_trusted_by_itself() -> None:
    with pytest.raises(TrustPolicyError, match="neither an authority nor self-signed"):
        TrustStore.of(good_chain())
    assert TrustStore.of([*good_chain()[1:], *chain_of(LEAF)])


def test_a_list_of_roots_trusts_nothing_but_roots() -> None:
    roots = TrustStore(frozenset({"b"}), only_roots=True)
    assert roots.has_one_of(["a", "b"])
    assert not roots.has_one_of(["b", "a"])
    assert TrustStore(frozenset({"b"})).has_one_of(["b", "a"])
