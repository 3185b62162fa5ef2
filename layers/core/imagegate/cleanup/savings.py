"""Bytes and money of a clean-up: a layer that several images share counts once for each repository.

Source: Amazon ECR pricing: compressed bytes, $0.10 for each GB and month; the archive costs the same up to 150 TB.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagegate.text import counted

if TYPE_CHECKING:
    from imagegate.lifecycle.stored_image import StoredImage
    from imagegate.oci.image import Digest

_GIB = 1024**3
CENTS_A_GIB = 10  # a month


@dataclass(frozen=True, slots=True)
class Savings:
    """Numbers of a clean-up. Bytes are compressed; `is_exact` is False if manifests were not read."""

    images: int = 0
    deleted: int = 0
    archived: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    is_exact: bool = True

    @property
    def cents_a_month(self) -> int:
        return round((self.bytes_before - self.bytes_after) / _GIB * CENTS_A_GIB)

    def __add__(self, other: Savings) -> Savings:
        return Savings(
            self.images + other.images,
            self.deleted + other.deleted,
            self.archived + other.archived,
            self.bytes_before + other.bytes_before,
            self.bytes_after + other.bytes_after,
            self.is_exact and other.is_exact,
        )

    def __str__(self) -> str:
        about = "" if self.is_exact else "about "
        dollars = f"${self.cents_a_month / 100:,.2f}"
        left, gib = self.images - self.deleted, self.bytes_after / _GIB
        return (
            f"{counted(self.images, 'image')}, {self.bytes_before / _GIB:.2f} GiB; {self.deleted} go, {self.archived}"
            f" into the archive; then {counted(left, 'image')}, {gib:.2f} GiB: {about}{dollars} a month saved"
        )


def count_savings(
    images: Iterable[StoredImage], deleted: Container[Digest], archived: Container[Digest]
) -> Savings:
    """Return the numbers for one repository."""
    before: dict[Digest, int] = {}
    after: dict[Digest, int] = {}
    stored = list(images)
    for image in stored:
        # Without its manifest, an image counts by ECR's size, shared layers and all.
        blobs = dict(image.blobs if image.blobs is not None else ((image.digest, image.size),))
        before |= blobs
        if image.digest not in deleted:
            after |= blobs
    return Savings(
        images=len(stored),
        deleted=sum(image.digest in deleted for image in stored),
        archived=sum(image.digest in archived for image in stored),
        bytes_before=sum(before.values()),
        bytes_after=sum(after.values()),
        is_exact=all(image.blobs is not None for image in stored),
    )
