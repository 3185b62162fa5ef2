"""Images as ECR and Amazon Inspector know them: metadata, scans, findings, where they run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from imagegate.findings.finding import Finding
    from imagegate.findings.scan import Scanning, ScanProgress, ScanStatus
    from imagegate.oci.image import Digest, ImageRef
    from imagegate.oci.manifest import Manifest
    from imagegate.policy.policy import Scanner
    from imagegate.policy.replication import Replica
    from imagegate.release.release import EcrImage
    from imagegate.release.revocation import RunsIn


class Images(Protocol):
    """Images and repositories in ECR, without the blobs."""

    @property
    def registry(self) -> str:
        """The registry's name: `ACCOUNT.dkr.ecr.REGION.amazonaws.com`."""

    def facts(self, image: ImageRef) -> EcrImage:
        """Return what ECR says about the image. Raises `ImageNotFoundError` if the repository has no such digest."""

    def digest_of(self, repository: str, tag: str) -> Digest | None:
        """Return the digest that the tag points to now, or None if there is no such tag."""

    def manifest(self, image: ImageRef) -> Manifest:
        """Return the exact bytes, checked against the digest. Raises `ImageNotFoundError`."""

    def read_manifests(self, repository: str, digests: Collection[Digest]) -> dict[Digest, Manifest]:
        """Return the manifests that are there and can be read, in as few requests as possible."""

    def replicas(self, image: ImageRef) -> list[Replica]:
        """List where ECR copies the image to; empty if no replication rule of the registry matches it."""

    def repositories(self) -> Iterator[str]:
        """Yield the names of all repositories."""

    def tagged(self, repository: str) -> Iterator[EcrImage]:
        """Yield all tagged images of the repository."""

    def all_images(self, repository: str) -> Iterator[EcrImage]:
        """Yield all images of the repository, those without a tag, too: signatures, children of indexes, leftovers."""


@dataclass(frozen=True, slots=True)
class ScanReading:
    """A scan's status, with its findings. They are of one scan for certain if they came in the same answer."""

    status: ScanStatus
    findings: Iterable[Finding]
    is_one_answer: bool = False


class Scans(Protocol):
    """Scans of one image that can run, never of an index."""

    def progress(self, image: ImageRef) -> ScanProgress:
        """Say how far the scan is, by one request. Raises `ImageNotFoundError` if the image is gone."""

    def status(self, image: ImageRef) -> ScanStatus:
        """Return the status of the latest scan. Raises `ImageNotFoundError` if the image is gone."""

    def read(self, image: ImageRef, pushed_at: datetime | None = None) -> ScanReading:
        """Return the latest scan with every finding, page by page. Raises `ImageNotFoundError` if the image is gone.

        `pushed_at`: when the image was pushed, if the caller has just read it. The findings may raise
        `FindingsChangedError`.
        """

    def scanning(self, repository: str) -> Scanning:
        """Say whether a scan of this repository's images comes by itself, on request, or never."""

    def scanner(self) -> Scanner:
        """Return the scanner that the registry uses now."""

    def is_continuous(self, repository: str) -> bool:
        """Say whether images of this repository are scanned again for new vulnerabilities (CONTINUOUS_SCAN)."""

    def start(self, image: ImageRef) -> bool:
        """Request a scan, and return whether one begins. False if one runs already, or ran today."""


class Intelligence(Protocol):
    """Data of Inspector about vulnerabilities that the scan itself does not have."""

    def details(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the same findings, at most 10, with known_exploited and epss where Inspector has them."""

    def epss(self, image: ImageRef) -> dict[str, float]:
        """Return EPSS by finding ARN, for all active package findings of the image."""


class Usage(Protocol):
    """Clusters that Inspector has seen images run in."""

    def clusters(self, image: ImageRef) -> list[RunsIn]:
        """List the clusters; empty if the image was not seen to run."""
