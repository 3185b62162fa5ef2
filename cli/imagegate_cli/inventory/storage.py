"""The images and the storage of one repository."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagegate.oci.image import Digest
from imagegate_cli.inventory.stored_images import ListedImage, StoredKind

if TYPE_CHECKING:
    from imagegate.ports.images import Images

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class RepositoryStorage:
    """The contents of a repository, counted.

    `size` is the sum of the images' sizes, in bytes: an upper bound, because images share layers. `stored` counts each
    layer once. It is None if the manifests were not read, or some of them cannot be.
    """

    repository: str
    uri: str
    images: int
    indexes: int
    referrers: int
    untagged: int
    size: int
    stored: int | None = None

    @property
    def row(self) -> tuple[str, ...]:
        storage = f"at most {self.size / GIB:.2f}" if self.stored is None else f"{self.stored / GIB:.2f}"
        numbers = (self.images, self.indexes, self.referrers, self.untagged)
        return (self.repository, *map(str, numbers), storage, self.uri)

    def as_json(self) -> dict[str, Any]:
        return {
            "repository": self.repository,
            "uri": self.uri,
            "images": self.images,
            "indexes": self.indexes,
            "referrers": self.referrers,
            "untagged": self.untagged,
            "bytes_at_most": self.size,
            "bytes_layers_once": self.stored,
        }


def measure(
    repository: str, registry: str, images: Iterable[ListedImage], reader: Images | None
) -> RepositoryStorage:
    """Count the images of a repository. Without a `reader` no manifest is read."""
    numbers, size, untagged, digests = dict.fromkeys(StoredKind, 0), 0, 0, []
    for image in images:
        numbers[image.kind] += 1
        untagged += not image.tags
        # An index has the size of its largest platform, which is counted already.
        size += image.size if image.kind is not StoredKind.INDEX else 0
        if reader is not None:
            digests.append(Digest.parse(image.digest))
    return RepositoryStorage(
        repository=repository,
        uri=f"{registry}/{repository}",
        images=numbers[StoredKind.IMAGE],
        indexes=numbers[StoredKind.INDEX],
        referrers=numbers[StoredKind.REFERRER],
        untagged=untagged,
        size=size,
        stored=_stored(repository, digests, reader) if reader is not None else None,
    )


def _stored(repository: str, digests: list[Digest], reader: Images) -> int | None:
    """Return the bytes of all blobs and manifests, each counted once, or None if a manifest cannot be read."""
    manifests = reader.read_manifests(repository, digests)
    if len(manifests) < len(digests):
        return None
    blobs = {blob.digest: blob.size for manifest in manifests.values() for blob in manifest.blobs}
    return sum(blobs.values()) + sum(len(manifest.content) for manifest in manifests.values())
