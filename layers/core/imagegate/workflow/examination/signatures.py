"""Reading a signature back from the registry: used where one is given, and where one is relied on."""

from __future__ import annotations

from datetime import datetime

from imagegate.evidence.attestation import check_signed_decision
from imagegate.evidence.signature_manifest import read_signature_manifest
from imagegate.oci.image import Descriptor, ImageRef
from imagegate.ports.registry import Registry
from imagegate.ports.signer import Signer


def verify_signature(
    registry: Registry, signer: Signer, signature: ImageRef, subject: Descriptor, stage: str, at: datetime
) -> dict[str, str]:
    """What that stage's gate says about `subject` and has signed; raises `VerificationError`."""
    manifest = registry.manifest(signature.repository, signature.digest)
    envelope = content_of(
        registry, signature.repository, read_signature_manifest(manifest.content, subject).envelope
    )
    signed = signer.verify(envelope, subject, stage, at)
    check_signed_decision(signed, stage)
    return signed


def content_of(registry: Registry, repository: str, blob: Descriptor) -> bytes:
    """A small blob, checked: embedded in its manifest, or asked for."""
    embedded = blob.embedded
    return registry.blob(repository, blob) if embedded is None else embedded
