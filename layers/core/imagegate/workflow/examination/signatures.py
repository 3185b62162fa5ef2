"""Read a signature from the registry and verify it: after signing, and before relying on it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from imagegate.evidence.attestation import check_signed_decision
from imagegate.evidence.signature_manifest import read_signature_manifest

if TYPE_CHECKING:
    from imagegate.oci.image import Descriptor, ImageRef
    from imagegate.oci.manifest import Manifest
    from imagegate.ports.registry import Registry
    from imagegate.ports.signer import Signer


def verify_signature(
    registry: Registry,
    signer: Signer,
    signature: ImageRef,
    subject: Descriptor,
    stage: str,
    at: datetime,
    *,
    manifest: Manifest | None = None,
) -> dict[str, str]:
    """Return the statement about `subject` that the stage's gate signed. Raises `VerificationError`.

    `manifest`: of the signature, if the caller has read it.
    """
    manifest = manifest or registry.manifest(signature.repository, signature.digest)
    envelope = content_of(
        registry, signature.repository, read_signature_manifest(manifest.content, subject).envelope
    )
    signed = signer.verify(envelope, subject, stage, at)
    check_signed_decision(signed, stage)
    return signed


def content_of(registry: Registry, repository: str, blob: Descriptor) -> bytes:
    """Return the checked content of a small blob, from its manifest or from the registry."""
    embedded = blob.embedded
    return registry.blob(repository, blob) if embedded is None else embedded
