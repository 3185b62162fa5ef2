"""The manifest of a Notation signature: the descriptor of the envelope, and the thumbprints of its certificates.

Source: notaryproject signature specification, "OCI Signatures". Three forms are read: the one with `artifactType`, the
older one with the config's media type, and both together, which every client finds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imagegate.errors import IntegrityError, RejectedInputError, UnsupportedEnvelopeError
from imagegate.evidence.attestation import JOSE, NOTATION_SIGNATURE
from imagegate.oci.image import OCI_EMPTY, OCI_MANIFEST, Descriptor
from imagegate.oci.manifest import Manifest
from imagegate.strict_json import is_texts, shown

# The annotation of a signature's manifest: certificate thumbprints, leaf to root.
THUMBPRINTS = "io.cncf.notary.x509chain.thumbprint#S256"
COSE = "application/cose"


@dataclass(frozen=True, slots=True)
class SignatureManifest:
    """The parts of the manifest, none of them signed. `envelope`: the only layer. `thumbprints`: in lower case."""

    envelope: Descriptor
    thumbprints: tuple[str, ...]

    def check_chain(self, chain: Sequence[str]) -> None:
        """Raise `IntegrityError` unless the manifest names the envelope's certificates."""
        if self.thumbprints != tuple(chain):
            raise IntegrityError(f"{THUMBPRINTS} names other certificates than the envelope has")


def read_signature_manifest(content: bytes, subject: Descriptor) -> SignatureManifest:
    """Raise `IntegrityError` unless these are the bytes of a signature's manifest about `subject`."""
    try:
        manifest = Manifest.parse(content)
    except RejectedInputError as error:
        raise IntegrityError(f"the signature's manifest: {error}") from error
    config = manifest.config.media_type if manifest.config else ""
    if manifest.artifact_type != NOTATION_SIGNATURE or config not in (OCI_EMPTY, NOTATION_SIGNATURE):
        raise IntegrityError("the manifest is not a Notation signature's")
    if manifest.media_type != OCI_MANIFEST:
        raise IntegrityError(f"a signature's manifest is of type {OCI_MANIFEST}")
    if manifest.subject is None or manifest.subject.as_json() != subject.as_json():
        raise IntegrityError(f"the signature is not about {subject.digest}")
    if len(manifest.layers) != 1:
        raise IntegrityError("a signature has one layer")
    (envelope,) = manifest.layers
    check_envelope_type(envelope.media_type)
    return SignatureManifest(envelope, _thumbprints(manifest.annotations))


def check_envelope_type(media_type: str) -> None:
    """Raise `UnsupportedEnvelopeError` for anything but JWS."""
    if media_type == COSE:
        raise UnsupportedEnvelopeError("COSE envelopes (application/cose) are not supported; sign in JWS")
    if media_type != JOSE:
        raise UnsupportedEnvelopeError(
            f"envelopes of type {shown(media_type)} are not supported; sign in JWS"
        )


def _thumbprints(annotations: Mapping[str, str]) -> tuple[str, ...]:
    text = annotations.get(THUMBPRINTS)
    try:
        thumbprints = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        thumbprints = None
    if not isinstance(thumbprints, list) or not is_texts(thumbprints):
        raise IntegrityError(f"{THUMBPRINTS} is not a list of thumbprints")
    return tuple(thumbprint.lower() for thumbprint in thumbprints)
