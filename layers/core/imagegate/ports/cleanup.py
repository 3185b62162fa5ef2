"""Clean-up: the images of repositories, who uses them, and the records of what was taken."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from imagegate.cleanup.cleaned import CleanedImage
    from imagegate.cleanup.usage import UsedImages
    from imagegate.lifecycle.stored_image import StoredImage
    from imagegate.oci.image import Digest, ImageRef
    from imagegate.oci.manifest import Manifest
    from imagegate.policy.cleanup import ImageUser


class StoredImages(Protocol):
    """The images of the registry, archived ones too. Nothing that only describes images counts as a pull."""

    @property
    def registry(self) -> str:
        """The registry's name: `ACCOUNT.dkr.ecr.REGION.amazonaws.com`."""

    def repositories(self) -> Iterator[str]:
        """Yield the names of all repositories."""

    def stored(self, repository: str, digests: Collection[Digest] = ()) -> list[StoredImage]:
        """Return all images, or those of these digests that are there, without what only their manifests say."""

    def read_manifests(self, repository: str, digests: Collection[Digest]) -> dict[Digest, Manifest]:
        """Return the manifests that are there and can be read. ECR counts it as a pull unless the role is excluded."""

    def server_time(self) -> datetime | None:
        """Return the time of AWS, or None if it does not say it."""

    def reads_are_pulls(self) -> bool:
        """Say whether ECR records what this caller reads as pulls."""


class RemovableImages(StoredImages, Protocol):
    """The same, for the one who removes."""

    def delete(self, repository: str, digests: Sequence[Digest]) -> dict[Digest, str]:
        """Delete images with all their tags. Return why some were not; what is gone already is no failure."""

    def archive(self, image: ImageRef) -> str:
        """Move an image to the archive. Return why it was not, or an empty text."""


class ImageUsers(Protocol):
    """The services that run images."""

    def used(self, users: Sequence[ImageUser]) -> UsedImages:
        """Return what runs in this account and in those of the users. Raises an error if one does not answer."""


class CleanedImages(Protocol):
    """Images that were taken, a part of the ledger."""

    def note_cleaned(self, images: Sequence[CleanedImage]) -> None:
        """Note that a plan takes the images, in place of an earlier note."""

    def cleaned(self, image: ImageRef) -> CleanedImage | None:
        """Return the note of the image, or None."""


class CleanupRecords(Protocol):
    """Plans, content-addressed."""

    def put_cleanup(self, content: bytes) -> Digest:
        """Store a record and return its digest."""

    def cleanup(self, digest: Digest) -> bytes:
        """Return a record. Raises `RecordNotFoundError`, or `CorruptContentError` if the bytes have another digest."""
