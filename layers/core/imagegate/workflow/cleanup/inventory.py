"""The images of a repository with what belongs together, read with as few pulls as possible."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imagegate.cleanup.plan import CleanupPlan, InvalidPlanError
from imagegate.errors import RecordNotFoundError
from imagegate.lifecycle.stored_image import StorageStatus, StoredImage
from imagegate.oci.image import Digest, ImageRef

if TYPE_CHECKING:
    from imagegate.oci.manifest import Manifest
    from imagegate.ports.cleanup import CleanedImages, CleanupRecords, StoredImages


@dataclass(frozen=True, slots=True)
class RepositoryInventory:
    """The images of one repository. `unread`: indexes whose parts nobody knows."""

    repository: str
    images: tuple[StoredImage, ...]
    unread: frozenset[Digest] = frozenset()

    @property
    def doubts(self) -> dict[Digest, list[str]]:
        """Why images stay because an index cannot be read: it, and all that could be a part of it."""
        if not self.unread:
            return {}
        name = min(self.unread).short
        doubtful = {
            image.digest: [f"could be a part of the index {name}"] for image in self.images if not image.tags
        }
        return doubtful | {digest: ["is an index that cannot be read"] for digest in self.unread}


@dataclass(frozen=True, slots=True)
class ReadInventory:
    """Reads inventories. An archived index cannot be pulled: the plan that archived it knows its parts."""

    images: StoredImages
    ledger: CleanedImages
    records: CleanupRecords

    def read(self, repository: str) -> RepositoryInventory:
        """Return all images. Manifests are read of indexes, and of all images if ECR does not count that as pulls."""
        stored = self.images.stored(repository)
        is_free = not self.images.reads_are_pulls()
        wanted = [
            one.digest for one in stored if one.status is StorageStatus.ACTIVE and (one.is_index or is_free)
        ]
        manifests = self.images.read_manifests(repository, wanted) if wanted else {}
        whole = [_with_manifest(one, manifests.get(one.digest)) for one in stored]
        return self._complete(repository, whole, {*manifests})

    def like(self, plan: CleanupPlan) -> RepositoryInventory:
        """Return what the repository has now, with what the plan knows of its manifests; nothing is pulled."""
        known = {one.digest: one for one in (*plan.steps, *plan.kept)}
        stored = self.images.stored(plan.repository)
        images = [
            replace(one, children=known[one.digest].children, subject=known[one.digest].subject)
            if one.digest in known
            else one
            for one in stored
        ]
        return RepositoryInventory(plan.repository, tuple(images))

    def _complete(
        self, repository: str, images: list[StoredImage], read: Collection[Digest]
    ) -> RepositoryInventory:
        completed, unread = [], []
        for image in images:
            if not image.is_index or image.digest in read:
                completed.append(image)
                continue
            children = self._children_by_plan(repository, image)
            unread += [] if children else [image.digest]
            completed.append(replace(image, children=children))
        return RepositoryInventory(repository, tuple(completed), frozenset(unread))

    def _children_by_plan(self, repository: str, image: StoredImage) -> tuple[Digest, ...]:
        """Return the parts of an archived index by the plan that archived it, or none."""
        note = self.ledger.cleaned(ImageRef(repository, image.digest))
        if note is None or image.status is StorageStatus.ACTIVE:
            return ()
        try:
            plan = CleanupPlan.read(self.records.cleanup(note.plan))
        except (RecordNotFoundError, InvalidPlanError):
            return ()
        return next((step.children for step in plan.steps if step.digest == image.digest), ())


def _with_manifest(image: StoredImage, manifest: Manifest | None) -> StoredImage:
    if manifest is None:
        return image
    sizes: Mapping[Digest, int] = {blob.digest: blob.size for blob in manifest.blobs}
    return replace(
        image,
        children=tuple(child.digest for child in manifest.children),
        subject=manifest.subject.digest if manifest.subject else image.subject,
        blobs=(*sizes.items(), (image.digest, len(manifest.content))),
    )
