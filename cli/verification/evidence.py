"""What an image carries: signatures and statements, read from a registry or from a bundle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from imagegate.domain.attestation import IN_TOTO, NOTATION_SIGNATURE, STATEMENT_TYPE, VSA_TYPE
from imagegate.domain.errors import RejectedInputError
from imagegate.domain.image import Descriptor, Digest, ImageRef
from imagegate.ports import Registry

_MOST = 100  # pieces of evidence of one image; more is no evidence but an attack on our time


@dataclass(frozen=True, slots=True)
class Piece:
    """A signature's envelope or a statement, and the manifest that brings it."""

    manifest: Digest
    content: bytes
    problem: str = ""  # it could not be read: it proves nothing


@dataclass(frozen=True, slots=True)
class Evidence:
    subject: Descriptor
    signatures: tuple[Piece, ...] = ()
    summaries: tuple[Piece, ...] = ()  # SLSA verification summaries
    others: tuple[str, ...] = ()  # artifact types of what else refers to the image


def read(registry: Registry, image: ImageRef) -> Evidence:
    """One request for the image, one for what refers to it, two for each piece. Raises `ImageNotFoundError`."""
    subject = registry.manifest(image.repository, image.digest).descriptor
    listed = registry.referrers(image)[:_MOST]
    signatures = [one for one in listed if one.artifact_type == NOTATION_SIGNATURE]
    statements = [one for one in listed if one.artifact_type == IN_TOTO]
    known = {NOTATION_SIGNATURE, IN_TOTO}
    return Evidence(
        subject=subject,
        signatures=tuple(_piece(registry, image, one) for one in signatures),
        summaries=tuple(
            piece
            for piece in (_piece(registry, image, one) for one in statements)
            if statement_of(piece.content).get("predicateType") == VSA_TYPE
        ),
        others=tuple(
            dict.fromkeys(str(one.artifact_type) for one in listed if one.artifact_type not in known)
        ),
    )


def _piece(registry: Registry, image: ImageRef, referrer: Descriptor) -> Piece:
    try:
        manifest = registry.manifest(image.repository, referrer.digest)
        if manifest.subject is None or manifest.subject.digest != image.digest:
            return Piece(referrer.digest, b"", f"not about {image.digest}")
        if len(manifest.layers) != 1:
            return Piece(referrer.digest, b"", f"has {len(manifest.layers)} layers, not one")
        return Piece(referrer.digest, registry.blob(image.repository, manifest.layers[0]))
    except RejectedInputError as error:
        return Piece(referrer.digest, b"", str(error))


def statement_of(content: bytes) -> dict[str, Any]:
    """An in-toto statement; empty for anything else."""
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) and raw.get("_type") == STATEMENT_TYPE else {}


def inputs_of(statement: dict[str, Any]) -> Iterator[str]:
    """The digests of what a summary rests on."""
    predicate = statement.get("predicate")
    listed = predicate.get("inputAttestations") if isinstance(predicate, dict) else None
    for entry in listed if isinstance(listed, list) else ():
        digest = entry.get("digest") if isinstance(entry, dict) else None
        if isinstance(digest, dict) and isinstance(digest.get("sha256"), str):
            yield f"sha256:{digest['sha256']}"
