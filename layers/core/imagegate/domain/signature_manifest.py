"""Reads the manifest of a signature: where the envelope is, and which certificates it says it has.

Source: notaryproject signature specification, "OCI Signatures". Both forms are read, the one with `artifactType` and
the older one by the config's media type, and the two together, which every client finds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imagegate.domain.attestation import JOSE, NOTATION_SIGNATURE
from imagegate.domain.errors import IntegrityError, RejectedInputError, UnsupportedEnvelopeError
from imagegate.domain.exact_json import exact_object, is_texts, shown
from imagegate.domain.image import OCI_EMPTY, OCI_MANIFEST, Descriptor

# The annotation of a signature's manifest: certificate thumbprints, leaf to root.
THUMBPRINTS = "io.cncf.notary.x509chain.thumbprint#S256"
COSE = "application/cose"

_MAX_MANIFEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SignatureManifest:
    """`envelope`: the one layer. `thumbprints`: lower-case, as the manifest says; nothing of this is signed."""

    envelope: Descriptor
    thumbprints: tuple[str, ...]

    def check_chain(self, chain: Sequence[str]) -> None:
        """Raise `IntegrityError` unless the manifest names the envelope's certificates."""
        if self.thumbprints != tuple(chain):
            raise IntegrityError(f"{THUMBPRINTS} names other certificates than the envelope has")


def read_signature_manifest(content: bytes, subject: Descriptor) -> SignatureManifest:
    """Raise `IntegrityError` unless these are the bytes of a signature's manifest about `subject`."""
    if len(content) > _MAX_MANIFEST:
        raise IntegrityError(f"the manifest has {len(content)} bytes; at most {_MAX_MANIFEST} are read")
    manifest = exact_object(content, "the signature's manifest", IntegrityError)
    if manifest.get("schemaVersion") != 2 or manifest.get("mediaType") != OCI_MANIFEST:
        raise IntegrityError(f"a signature's manifest is of type {OCI_MANIFEST}")
    _check_kind(manifest)
    about = _descriptor(manifest.get("subject"), "subject")
    if about.as_json() != subject.as_json():
        raise IntegrityError(f"the signature is not about {subject.digest}")
    layers = manifest.get("layers")
    if not isinstance(layers, list) or len(layers) != 1:
        raise IntegrityError("a signature has one layer")
    envelope = _descriptor(layers[0], "layer")
    check_envelope_type(envelope.media_type)
    return SignatureManifest(envelope, _thumbprints(manifest.get("annotations")))


def check_envelope_type(media_type: str) -> None:
    """Raise `UnsupportedEnvelopeError` for anything but JWS."""
    if media_type == COSE:
        raise UnsupportedEnvelopeError("COSE envelopes (application/cose) are not supported; sign in JWS")
    if media_type != JOSE:
        raise UnsupportedEnvelopeError(
            f"envelopes of type {shown(media_type)} are not supported; sign in JWS"
        )


def _check_kind(manifest: dict[str, Any]) -> None:
    config = _descriptor(manifest.get("config"), "config").media_type
    if "artifactType" not in manifest:
        is_signature = config == NOTATION_SIGNATURE
    else:
        is_signature = manifest["artifactType"] == NOTATION_SIGNATURE and config in (
            OCI_EMPTY,
            NOTATION_SIGNATURE,
        )
    if not is_signature:
        raise IntegrityError("the manifest is not a Notation signature's")


def _descriptor(raw: Any, name: str) -> Descriptor:
    try:
        return Descriptor.parse(raw)
    except RejectedInputError as error:
        raise IntegrityError(f"the signature's {name}: {error}") from error


def _thumbprints(annotations: Any) -> tuple[str, ...]:
    text = annotations.get(THUMBPRINTS) if isinstance(annotations, dict) else None
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not is_texts(found):
        raise IntegrityError(f"{THUMBPRINTS} is not a list of thumbprints")
    return tuple(entry.lower() for entry in found)
