"""What a scan's status means. Zero findings on an image that could not be scanned is not a clean image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from imagegate.domain.finding import Severity
from imagegate.domain.image import Digest

# Amazon ECR API reference, ImageScanStatus.status: COMPLETE ends a basic scan, ACTIVE an enhanced one.
_READY = frozenset({"COMPLETE", "ACTIVE"})
_NOT_YET = frozenset({"PENDING", "IN_PROGRESS"})

_EXPLANATIONS: Mapping[str, str] = {
    "FAILED": "the scan failed; start it again, or look at the image's layers",
    "UNSUPPORTED_IMAGE": "the scanner cannot read this operating system or package format",
    "SCAN_ELIGIBILITY_EXPIRED": "the scanner no longer watches this image; push it again",
    "FINDINGS_UNAVAILABLE": "the scanner has no findings for this image",
    "LIMIT_EXCEEDED": "the scanner's quota is used up",
    "IMAGE_ARCHIVED": "the image is in the archive storage class; restore it first",
    "IMAGE_SIZE_EXCEEDED": "the image is larger than the scanner accepts",
}


class Readiness(StrEnum):
    NOT_STARTED = "NOT_STARTED"
    NOT_YET = "NOT_YET"
    READY = "READY"
    IMPOSSIBLE = "IMPOSSIBLE"  # the scan is over and says nothing about the image


@dataclass(frozen=True, slots=True)
class ScanStatus:
    """The head of one image's scan: no findings in it, whatever their number."""

    image: Digest
    status: str | None = None  # as ECR says it; None: no scan is known
    description: str = ""
    completed_at: str | None = None
    counts: Mapping[Severity, int] = field(default_factory=dict)
    lists_findings: bool = True  # False: the summary is there, the findings it counts are not

    @property
    def readiness(self) -> Readiness:
        if self.status is None:
            return Readiness.NOT_STARTED
        if self.status in _READY:
            return Readiness.READY if self.lists_findings or not self.counts else Readiness.NOT_YET
        return Readiness.NOT_YET if self.status in _NOT_YET else Readiness.IMPOSSIBLE

    @property
    def is_final(self) -> bool:
        return self.readiness in (Readiness.READY, Readiness.IMPOSSIBLE)

    @property
    def is_unsupported(self) -> bool:
        """The scanner cannot read such an image. Basic scanning says FAILED, and only its description tells."""
        failed = self.status == "FAILED" and self.description.startswith("UnsupportedImageError")
        return failed or self.status == "UNSUPPORTED_IMAGE"

    def explain(self) -> str:
        """Why nothing can be said about the image, for a person."""
        status = self.status or "no scan"
        text = _EXPLANATIONS.get(status, "a status that imagegate does not know")
        return f"{status}: {text}" + (f" (scanner: {self.description})" if self.description else "")


class Scanning(StrEnum):
    """Whether and how a scan of a repository's images comes about (GetRegistryScanningConfiguration)."""

    BY_ITSELF = "BY_ITSELF"  # scan on push, or continuous
    ON_REQUEST = "ON_REQUEST"  # basic scanning without scan-on-push: StartImageScan
    NEVER = "NEVER"  # enhanced scanning, and no filter names this repository


class Waited(StrEnum):
    """How the wait for the scan ended; part of the state machine's data."""

    READY = "READY"
    TIMED_OUT = "TIMED_OUT"
    NEVER = "NEVER"
    UNSUPPORTED = "UNSUPPORTED"  # the scanner refused to begin: it cannot read such an image
