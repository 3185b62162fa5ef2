"""Reading a signature back from the registry: used where one is given, and where one is relied on."""

from __future__ import annotations

from datetime import datetime

from imagegate.domain.errors import IntegrityError
from imagegate.domain.image import Descriptor, ImageRef
from imagegate.ports import Registry, Signer


def verify_signature(
    registry: Registry, signer: Signer, signature: ImageRef, subject: Descriptor, stage: str, at: datetime
) -> dict[str, str]:
    """The signed annotations of a signature by that stage's gate about `subject`; raises `VerificationError`."""
    manifest = registry.manifest(signature.repository, signature.digest)
    if manifest.subject is None or manifest.subject.digest != subject.digest:
        raise IntegrityError(f"{signature}: not about {subject.digest}")
    if len(manifest.layers) != 1:
        raise IntegrityError(f"{signature}: a signature has one layer, not {len(manifest.layers)}")
    envelope = registry.blob(signature.repository, manifest.layers[0])
    return signer.verify(envelope, subject, stage, at)
