"""Images as ECR stores them, read page by page.

Nothing here reads a manifest: to ECR that is a pull, which would change the time of the last pull.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from imagegate.canonical_json import timestamp
from imagegate.findings.finding import Severity
from imagegate.oci.image import INDEX_MEDIA_TYPES
from imagegate_cli.faults import NotFoundError
from imagegate_cli.request_pace import RequestPace

# The most that DescribeImages lists at once (Amazon ECR API reference).
_PAGE = 1000
# No scan counts them: an index is scanned by its platforms, and a referrer does not run.
_NOT_SCANNED = "not scanned"


class StoredKind(StrEnum):
    """The kinds of what a repository stores."""

    IMAGE = "image"
    INDEX = "index"
    REFERRER = "referrer"  # a signature, an SBOM or other evidence about another image


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One image in a repository. `size` counts bytes as stored; that of an index is its largest platform's."""

    repository: str
    digest: str
    tags: tuple[str, ...]
    pushed_at: datetime
    pulled_at: datetime | None
    size: int
    kind: StoredKind
    status: str = "ACTIVE"
    counts: Mapping[str, int] | None = None  # findings by severity; None: not read, or there is no result
    scan: str = ""  # the state of the scan; empty if it was not read

    @property
    def criticals(self) -> int:
        return (self.counts or {}).get(Severity.CRITICAL, 0)

    @property
    def findings(self) -> str:
        """The number of findings of each severity, for people; without a result the state of the scan."""
        if self.counts is None:
            return self.scan or "-"
        listed = [f"{number} {name}" for name in Severity if (number := self.counts.get(name))]
        return ", ".join(listed) or "none"

    def uri(self, registry: str) -> str:
        return f"{registry}/{self.repository}@{self.digest}"

    def as_json(self, registry: str) -> dict[str, Any]:
        return {
            "uri": self.uri(registry),
            "repository": self.repository,
            "digest": self.digest,
            "tags": list(self.tags),
            "kind": str(self.kind),
            "status": self.status,
            "pushed_at": timestamp(self.pushed_at),
            "pulled_at": timestamp(self.pulled_at) if self.pulled_at else None,
            "bytes": self.size,
            "scan": self.scan or None,
            "findings": dict(self.counts) if self.counts is not None else None,
        }


# Each order begins with the images that a person would look at first.
ORDERS: Mapping[str, Callable[[ListedImage], Any]] = {
    "size": lambda one: -one.size,
    "age": lambda one: one.pushed_at,
    "pulls": lambda one: (one.pulled_at is not None, one.pulled_at or one.pushed_at),
    "findings": lambda one: tuple(-(one.counts or {}).get(name, 0) for name in Severity),
}


def read_images(
    ecr: Any, repository: str, pace: RequestPace, *, untagged: bool = False
) -> Iterator[ListedImage]:
    """Yield the images of a repository, archived ones too. Raises `NotFoundError` if there is no such repository."""
    wanted = {"imageStatus": "ANY", **({"tagStatus": "UNTAGGED"} if untagged else {})}
    more: dict[str, Any] = {}
    while True:
        pace.wait()
        try:
            page = ecr.describe_images(repositoryName=repository, filter=wanted, maxResults=_PAGE, **more)
        except ecr.exceptions.RepositoryNotFoundException:
            raise NotFoundError(f"there is no repository {repository}") from None
        yield from (_stored(repository, detail) for detail in page["imageDetails"])
        if not page.get("nextToken"):
            return
        more = {"nextToken": page["nextToken"]}


def with_findings(ecr: Any, image: ListedImage, pace: RequestPace) -> ListedImage:
    """Return the image with the counts of its latest scan, by one request."""
    if image.kind is not StoredKind.IMAGE:
        return replace(image, scan=_NOT_SCANNED)
    pace.wait()
    try:
        page = ecr.describe_image_scan_findings(
            repositoryName=image.repository, imageId={"imageDigest": image.digest}, maxResults=1
        )
    except (ecr.exceptions.ScanNotFoundException, ecr.exceptions.ImageNotFoundException):
        return replace(image, scan=_NOT_SCANNED)
    status = page.get("imageScanStatus", {}).get("status") or _NOT_SCANNED
    counts = page.get("imageScanFindings", {}).get("findingSeverityCounts")
    is_over = status in ("COMPLETE", "ACTIVE")
    return replace(
        image, scan=status, counts=_by_severity(counts) if is_over and counts is not None else None
    )


def _by_severity(counts: Mapping[str, int]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for name, number in counts.items():
        severity = str(Severity.parse(name))
        numbers[severity] = numbers.get(severity, 0) + number
    return numbers


def _stored(repository: str, detail: Any) -> ListedImage:
    return ListedImage(
        repository=repository,
        digest=detail["imageDigest"],
        tags=tuple(sorted(detail.get("imageTags", ()))),
        pushed_at=detail["imagePushedAt"],
        pulled_at=detail.get("lastRecordedPullTime"),
        size=detail.get("imageSizeInBytes", 0),
        kind=_kind(detail),
        status=detail.get("imageStatus", "ACTIVE"),
    )


def _kind(detail: Any) -> StoredKind:
    if detail.get("subjectManifestDigest"):
        return StoredKind.REFERRER
    is_index = detail.get("imageManifestMediaType") in INDEX_MEDIA_TYPES
    return StoredKind.INDEX if is_index else StoredKind.IMAGE
