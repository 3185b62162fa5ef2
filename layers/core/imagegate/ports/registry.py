"""The content of images: the OCI distribution API of a registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from imagegate.oci.image import Descriptor, Digest, ImageRef
    from imagegate.oci.manifest import Manifest


class Registry(Protocol):
    """Blobs and manifests, byte for byte. To push content that is there already is no error."""

    def push_blob(self, repository: str, content: bytes) -> Descriptor:
        """Upload a blob and return its descriptor."""

    def blob_states(self, repository: str, blobs: Sequence[Descriptor]) -> Mapping[Digest, str]:
        """Return AVAILABLE, UNAVAILABLE or ARCHIVED for each blob, or nothing if the registry does not report that."""

    def copy_blobs(
        self,
        blobs: Sequence[Descriptor],
        source: str,
        target: str,
        has_time: Callable[[], bool],
        begun: Mapping[Digest, str],
    ) -> dict[Digest, str]:
        """Copy the blobs, several at once: mount them if the registry can, else stream and check them.

        Return the blobs that are still missing when `has_time` says no, each with the location of its unfinished
        upload, or "". Pass that as `begun` to the next call to continue there. Raises `MissingLayerError`,
        `CorruptContentError`, `ArchivedContentError`, `QuotaReachedError` or `AccessRefusedError`.
        """

    def blob(self, repository: str, blob: Descriptor) -> bytes:
        """Return a blob of at most 40 MiB, checked against its digest."""

    def manifest(self, repository: str, reference: Digest | str) -> Manifest:
        """Return the manifest of a digest or tag. Raises `ImageNotFoundError`."""

    def has_blob(self, repository: str, blob: Descriptor) -> bool:
        """Say whether the repository has the blob."""

    def push_manifest(self, repository: str, manifest: Manifest, tag: str | None = None) -> None:
        """Push by digest, or under `tag`. Raises `TagConflictError` if an immutable tag has another digest."""

    def referrers(self, image: ImageRef) -> list[Descriptor]:
        """List the manifests whose subject is the image: signatures and attestations."""
