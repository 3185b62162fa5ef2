"""Trust stores: named sets of certificates. A chain is trusted if it has one of them.

Source: notaryproject "trust-store-trust-policy" (Trust Store) and "signing-scheme" (Trust Stores).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from imagegate.errors import AuthenticityError, TrustPolicyError, UntrustedRootError
from imagegate.notation.attributes import Scheme
from imagegate.notation.certificates import thumbprint
from imagegate.notation.trust_policy import StoreName, StoreType

# Signing scheme, "Trust Stores": the certificate of a CA must not count as that of a signing authority.
_STORE_TYPES = {Scheme.X509: StoreType.CA, Scheme.SIGNING_AUTHORITY: StoreType.SIGNING_AUTHORITY}
_SUFFIXES = frozenset({".pem", ".crt", ".cer"})


@dataclass(frozen=True, slots=True)
class TrustStore:
    """The thumbprints of trusted certificates (SHA-256 of the DER, lower-case hex).

    `only_roots`: a certificate of the store counts only as the last one of a chain.
    """

    thumbprints: frozenset[str]
    only_roots: bool = False

    @classmethod
    def of(cls, certificates: Iterable[x509.Certificate]) -> Self:
        """Return a store. Raises `TrustPolicyError` for a certificate that is neither an authority nor self-signed."""
        trusted = list(certificates)
        for certificate in trusted:
            if not _is_authority(certificate) and not _is_self_signed(certificate):
                name = certificate.subject.rfc4514_string()
                raise TrustPolicyError(f"trust store: {name!a} is neither an authority nor self-signed")
        return cls(frozenset(thumbprint(certificate) for certificate in trusted))

    def has_one_of(self, chain: Sequence[str]) -> bool:
        """Return True if a certificate of the chain is in the store. `chain`: thumbprints, leaf to root."""
        return not self.thumbprints.isdisjoint(chain[-1:] if self.only_roots else chain)


TrustStores = Mapping[StoreName, TrustStore]


def check_trust(
    names: Iterable[StoreName], stores: TrustStores, scheme: Scheme, chain: Sequence[str], root: str
) -> None:
    """Raise `AuthenticityError` unless the chain has a certificate of a store that the scheme allows.

    `chain`: thumbprints, leaf to root; `root`: the root's name, for the message.
    """
    usable = [name for name in names if name.type is _STORE_TYPES[scheme]]
    if not usable:
        raise AuthenticityError(
            f"no trust store of type {_STORE_TYPES[scheme]} for the signing scheme {scheme}"
        )
    for name in usable:
        if name not in stores:
            raise AuthenticityError(f"the trust store {name} does not exist")
    if not any(stores[name].has_one_of(chain) for name in usable):
        raise UntrustedRootError(f"the root {root!a} ({chain[-1]}) is not trusted")


def read_trust_stores(folder: Path) -> dict[StoreName, TrustStore]:
    """Read the folder `trust-store` of the specification: `x509/{type}/{name}/*.pem`, `*.crt` or `*.cer`.

    Raises `TrustPolicyError` for a symlink, an empty store, and a file without a certificate.
    """
    stores: dict[StoreName, TrustStore] = {}
    for kind in StoreType:
        parent = folder / "x509" / kind
        for store in sorted(parent.iterdir()) if parent.is_dir() else ():
            if store.is_symlink():
                raise TrustPolicyError(f"trust store: {store} is a symlink")
            if store.is_dir():
                contents = [file.read_bytes() for file in _files(store)]
                certificates = [one for content in contents for one in load_certificates(content)]
                if not certificates:
                    raise TrustPolicyError(f"trust store: {store} has no certificates")
                stores[StoreName(kind, store.name)] = TrustStore.of(certificates)
    return stores


def load_certificates(content: bytes) -> list[x509.Certificate]:
    """Load one certificate in DER, or any number in PEM. Raises `TrustPolicyError`."""
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustPolicyError(f"trust store: not a certificate: {error}") from error


def _files(store: Path) -> list[Path]:
    files = [file for file in sorted(store.iterdir()) if file.suffix.lower() in _SUFFIXES]
    for file in files:
        if file.is_symlink():
            raise TrustPolicyError(f"trust store: {file} is a symlink")
    return [file for file in files if file.is_file()]


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def _is_self_signed(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
