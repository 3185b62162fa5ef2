"""Images as ECR stores them, with all times by which they may expire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from imagegate.oci.image import Digest

if TYPE_CHECKING:
    from datetime import datetime

# Cosign's signatures, attestations and SBOMs, and the lists of referrers of registries without that API
# (distribution specification, "Referrers Tag Schema").
_EVIDENCE_TAG = re.compile(r"sha256-([0-9a-f]{64})(?:\.[a-z]+)?")


class StorageStatus(StrEnum):
    """The status of an image in ECR (Amazon ECR API reference, ImageDetail.imageStatus)."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"
    ACTIVATING = "ACTIVATING"


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A manifest in one repository: an image, an index or evidence (DescribeImages, with facts of its manifest)."""

    digest: Digest
    tags: frozenset[str]
    pushed_at: datetime
    pulled_at: datetime | None = None  # as ECR recorded it, up to a day late
    archived_at: datetime | None = None
    activated_at: datetime | None = None  # restored from the archive
    status: StorageStatus = StorageStatus.ACTIVE
    size: int = 0  # bytes, compressed; ECR counts shared layers again for each image
    is_index: bool = False
    subject: Digest | None = None  # the image that it is evidence of
    children: tuple[Digest, ...] = ()  # of an index
    blobs: tuple[tuple[Digest, int], ...] | None = None  # config and layers with their sizes; None: not read

    @property
    def begins(self) -> datetime:
        """When its age begins: it was pushed, or restored from the archive."""
        return self.activated_at or self.pushed_at

    @property
    def last_used(self) -> datetime:
        """When it was last pulled; an image that was never pulled since, when its age began."""
        if self.pulled_at is None:
            return self.begins
        return max(self.begins, self.pulled_at) if self.activated_at else self.pulled_at


def newest_first(images: list[StoredImage]) -> list[StoredImage]:
    """Return the images by the beginning of their age, the newest first; images of one moment by their digest."""
    return sorted(images, key=lambda image: (image.begins, image.digest), reverse=True)


def people_tags(image: StoredImage) -> list[str]:
    """Return the tags that say nothing about evidence. Anything may carry one of these, and runs by it."""
    return [tag for tag in sorted(image.tags) if not _EVIDENCE_TAG.fullmatch(tag)]


def named_subjects(image: StoredImage) -> list[Digest]:
    """Return the images that it says it is evidence of: by its subject, or by Cosign's tags `sha256-HEX.sig`."""
    by_tag = (_EVIDENCE_TAG.fullmatch(tag) for tag in sorted(image.tags))
    named = [Digest(f"sha256:{match[1]}") for match in by_tag if match]
    return list(dict.fromkeys([*([image.subject] if image.subject else []), *named]))
