"""Repositories for clean-ups in memory: they refuse what ECR refuses, and remember what was taken."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from imagegate.cleanup.cleaned import CleanedImage
from imagegate.cleanup.usage import UsedImages
from imagegate.errors import ImageNotFoundError
from imagegate.lifecycle.stored_image import StorageStatus, StoredImage
from imagegate.oci.image import OCI_INDEX, OCI_MANIFEST, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.cleanup import ImageUser
from tests.fakes.world import NOW, REGISTRY


@dataclass
class FakeStoredImages:
    """The images of a registry; `now` is the time of AWS."""

    now: datetime = NOW
    images: dict[ImageRef, StoredImage] = field(default_factory=dict)
    pulls_count: bool = False
    unreadable: set[Digest] = field(default_factory=set)
    not_archived: set[Digest] = field(default_factory=set)  # ECR refuses to archive them
    calls: list[str] = field(default_factory=list)

    @property
    def registry(self) -> str:
        return REGISTRY

    def push(
        self,
        repository: str,
        seed: str,
        *tags: str,
        days: float = 100,
        children: Sequence[Digest] = (),
        subject: Digest | None = None,
        layers: Sequence[str] = (),
        pulled: float | None = None,
    ) -> Digest:
        """Push an image `days` ago, last pulled so many days ago; with children it is an index."""
        digest = Digest.of(f"{repository} {seed}".encode())
        for name in tags:
            self.untag(repository, name)
        self.images[ImageRef(repository, digest)] = StoredImage(
            digest=digest,
            tags=frozenset(tags),
            pushed_at=self.now - timedelta(days=days),
            pulled_at=None if pulled is None else self.now - timedelta(days=pulled),
            size=sum(map(len, layers)) or 10,
            is_index=bool(children),
            subject=subject,
            children=tuple(children),
            blobs=tuple((Digest.of(layer.encode()), len(layer)) for layer in layers or (seed,)),
        )
        return digest

    def untag(self, repository: str, tag: str) -> None:
        for image, stored in self.images.items():
            if image.repository == repository and tag in stored.tags:
                self.images[image] = replace(stored, tags=stored.tags - {tag})

    def change(self, repository: str, digest: Digest, **values: object) -> None:
        image = ImageRef(repository, digest)
        self.images[image] = replace(self.images[image], **values)  # type: ignore[arg-type]

    def digests(self, repository: str) -> set[Digest]:
        return {image.digest for image in self.images if image.repository == repository}

    def repositories(self) -> Iterator[str]:
        yield from sorted({image.repository for image in self.images})

    def stored(self, repository: str, digests: Collection[Digest] = ()) -> list[StoredImage]:
        self.calls.append(f"describe {repository}")
        found = [one for image, one in self.images.items() if image.repository == repository]
        if not found:
            raise ImageNotFoundError(f"{repository}: there is no such repository")
        return [
            replace(one, children=(), blobs=None) for one in found if not digests or one.digest in digests
        ]

    def read_manifests(self, repository: str, digests: Collection[Digest]) -> dict[Digest, Manifest]:
        self.calls.append(f"read {len(digests)}")
        found = (self.images.get(ImageRef(repository, digest)) for digest in digests)
        return {one.digest: _manifest(one) for one in found if one and one.digest not in self.unreadable}

    def server_time(self) -> datetime | None:
        return self.now

    def reads_are_pulls(self) -> bool:
        return self.pulls_count

    def delete(self, repository: str, digests: Sequence[Digest]) -> dict[Digest, str]:
        """Delete as BatchDeleteImage does: what an index contains stays as long as the index does."""
        self.calls.append(f"delete {len(digests)}")
        failed: dict[Digest, str] = {}
        for digest in digests:
            there = [one for image, one in self.images.items() if image.repository == repository]
            if any(digest in one.children for one in there):
                failed[digest] = "ImageReferencedByManifestList: "
            else:
                self.images.pop(ImageRef(repository, digest), None)
        return failed

    def archive(self, image: ImageRef) -> str:
        self.calls.append("archive")
        if image.digest in self.not_archived:
            return "ImageStorageClassUpdateNotSupportedException: "
        self.images[image] = replace(self.images[image], status=StorageStatus.ARCHIVED, archived_at=self.now)
        return ""


def _manifest(image: StoredImage) -> Manifest:
    def descriptor(media_type: str, digest: Digest, size: int = 1) -> Descriptor:
        return Descriptor(media_type, digest, size)

    return Manifest(
        content=b"",
        media_type=OCI_INDEX if image.children else OCI_MANIFEST,
        digest=image.digest,
        artifact_type=None,
        config=None,
        layers=tuple(descriptor("layer", digest, size) for digest, size in image.blobs or ()),
        children=tuple(descriptor(OCI_MANIFEST, child) for child in image.children),
        subject=descriptor(OCI_MANIFEST, image.subject) if image.subject else None,
        annotations={},
    )


@dataclass
class FakeImageUsers:
    """The services that run images. `error` is raised instead."""

    named: list[tuple[str, str]] = field(default_factory=list)
    clusters: tuple[str, ...] = ()
    error: Exception | None = None
    asked: list[Sequence[ImageUser]] = field(default_factory=list)

    def used(self, users: Sequence[ImageUser]) -> UsedImages:
        self.asked.append(users)
        if self.error:
            raise self.error
        return UsedImages.read(REGISTRY, self.named, self.clusters)


@dataclass
class FakeCleaned:
    """The notes of images that were taken."""

    notes: dict[ImageRef, CleanedImage] = field(default_factory=dict)

    def note_cleaned(self, images: Sequence[CleanedImage]) -> None:
        self.notes |= {one.image: one for one in images}

    def cleaned(self, image: ImageRef) -> CleanedImage | None:
        return self.notes.get(image)
