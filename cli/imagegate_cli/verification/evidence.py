"""The evidence of an image: signatures and statements, read from a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imagegate.errors import RejectedInputError
from imagegate.evidence.attestation import (
    IN_TOTO,
    NOTATION_SIGNATURE,
    PREDICATE_ANNOTATION,
    STATEMENT_TYPE,
    VSA_TYPE,
    read_statement,
)
from imagegate.evidence.signature_manifest import read_signature_manifest
from imagegate.oci.image import Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.ports.registry import Registry
from imagegate.workflow.examination.signatures import content_of

_MOST = 100  # referrers that are read, so that an attacker cannot cost us time without end


@dataclass(frozen=True, slots=True)
class Piece:
    """A signature's envelope or a statement, with the digest of its manifest.

    `described` is the content of a signature's manifest; empty in a bundle, which has none.
    """

    manifest: Digest
    content: bytes
    problem: str = ""  # why it could not be read; it proves nothing then
    described: bytes = b""


@dataclass(frozen=True, slots=True)
class ImageEvidence:
    """The evidence of one image."""

    subject: Descriptor
    signatures: tuple[Piece, ...] = ()
    summaries: tuple[Piece, ...] = ()  # SLSA verification summaries
    others: tuple[str, ...] = ()  # artifact types of other referrers


def read(registry: Registry, image: ImageRef, *, at_most: int = _MOST) -> ImageEvidence:
    """Read the image's manifest, the list of its referrers, and at most so many of them.

    Raises `ImageNotFoundError`.
    """
    subject = registry.manifest(image.repository, image.digest).descriptor
    # Signatures and summaries first, so that many other referrers cannot hide them.
    order = {NOTATION_SIGNATURE: 0, IN_TOTO: 1}
    listed = sorted(registry.referrers(image), key=lambda one: order.get(one.artifact_type or "", 2))
    listed = listed[:at_most]
    pieces = _Pieces(registry, image.repository, subject)
    known = {NOTATION_SIGNATURE, IN_TOTO}
    return ImageEvidence(
        subject=subject,
        signatures=tuple(pieces.signature(one) for one in listed if one.artifact_type == NOTATION_SIGNATURE),
        summaries=tuple(
            piece
            for piece in (pieces.statement(one) for one in listed if _may_be_a_summary(one))
            if statement_of(piece.content).get("predicateType") == VSA_TYPE
        ),
        others=tuple(
            dict.fromkeys(str(one.artifact_type) for one in listed if one.artifact_type not in known)
        ),
    )


def _may_be_a_summary(referrer: Descriptor) -> bool:
    predicate = referrer.annotations.get(PREDICATE_ANNOTATION, VSA_TYPE)
    return referrer.artifact_type == IN_TOTO and predicate == VSA_TYPE


@dataclass(frozen=True, slots=True)
class _Pieces:
    registry: Registry
    repository: str
    subject: Descriptor

    def signature(self, referrer: Descriptor) -> Piece:
        try:
            described = self._manifest(referrer).content
            envelope = read_signature_manifest(described, self.subject).envelope
            return Piece(referrer.digest, self._content(envelope), described=described)
        except RejectedInputError as error:
            return Piece(referrer.digest, b"", str(error))

    def statement(self, referrer: Descriptor) -> Piece:
        try:
            manifest = self._manifest(referrer)
            if manifest.subject is None or manifest.subject.digest != self.subject.digest:
                return Piece(referrer.digest, b"", f"not about {self.subject.digest}")
            if len(manifest.layers) != 1:
                return Piece(referrer.digest, b"", f"has {len(manifest.layers)} layers, not one")
            return Piece(referrer.digest, self._content(manifest.layers[0]))
        except RejectedInputError as error:
            return Piece(referrer.digest, b"", str(error))

    def _manifest(self, referrer: Descriptor) -> Manifest:
        return self.registry.manifest(self.repository, referrer.digest)

    def _content(self, blob: Descriptor) -> bytes:
        return content_of(self.registry, self.repository, blob)


def statement_of(content: bytes) -> dict[str, Any]:
    """Return an in-toto statement; empty for anything else."""
    raw = read_statement(content) or {}
    return raw if raw.get("_type") == STATEMENT_TYPE else {}
