"""Scans of one image on request. Under basic scanning ECR scans an image once a day; Inspector scans by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from imagegate.findings.finding import Severity
from imagegate.findings.scan import Basis, Readiness, Scanning, ScanStatus
from imagegate.oci.image import ImageRef
from imagegate.workflow.examination.contents import read_contents
from imagegate_cli.faults import CannotTellError

if TYPE_CHECKING:
    from imagegate_cli.stack import Stack


class ScanRequest(StrEnum):
    """The answer to the request of a scan."""

    STARTED = "started"
    REFUSED = "not again today"  # ECR scans an image once in 24 hours
    BY_ITSELF = "scans by itself"  # Inspector; nobody can request a scan


@dataclass(frozen=True, slots=True)
class RequestedScan:
    """The scan of one platform. `before`: when the last scan ended, at the time of the request."""

    image: ImageRef
    platforms: str
    request: ScanRequest
    before: str | None

    def result(self, status: ScanStatus) -> ScanStatus | None:
        """Return the status if it is the result, or None while the scan goes on."""
        is_old = self.request is ScanRequest.STARTED and status.completed_at == self.before
        if status.says_it_is_over and is_old:
            return None  # ECR shows the result of the scan before for a moment
        return status if status.is_final else None


@dataclass(frozen=True, slots=True)
class ScanResult:
    """A scan and its status now; `is_over` if that is the result."""

    scan: RequestedScan
    status: ScanStatus
    is_over: bool

    @property
    def is_known(self) -> bool:
        return self.is_over and self.status.readiness is Readiness.READY

    @property
    def findings(self) -> str:
        """The counts by severity for people, or why there are none."""
        if not self.is_over:
            return "; ".join(("not over", *self.status.missing))
        if not self.is_known:
            return self.status.explain()
        counts = self.status.counts
        return ", ".join(f"{counts[name]} {name}" for name in Severity if counts.get(name)) or "none"

    def reaches(self, threshold: Severity) -> bool:
        """Tell whether there is a finding of this severity or a higher one."""
        severities = list(Severity)
        return any(self.status.counts.get(one) for one in severities[: severities.index(threshold) + 1])

    def as_json(self) -> dict[str, Any]:
        return {
            "digest": str(self.scan.image.digest),
            "platforms": self.scan.platforms,
            "request": str(self.scan.request),
            "status": self.status.status,
            "scanned_at": self.status.scanned_at,
            "findings": {str(name): number for name, number in self.status.counts.items()}
            if self.is_known
            else None,
        }


def request_scans(stack: Stack, image: ImageRef) -> list[RequestedScan]:
    """Request a scan of each platform. Raises `CannotTellError` if no scan of this repository can ever come."""
    if stack.scans.scanning(image.repository) is Scanning.NEVER:
        raise CannotTellError(
            f"{image.repository} matches no filter of the registry's enhanced scanning configuration: add one"
        )
    return list(_request(stack, image))


def _request(stack: Stack, image: ImageRef) -> Iterator[RequestedScan]:
    contents = read_contents(stack.images, image)
    if not contents.leaves:
        raise CannotTellError(f"{image}: nothing in it can run, so no scanner reads it")
    for leaf in contents.leaves:
        one = ImageRef(image.repository, leaf.digest)
        before = stack.scans.status(one)
        platforms = ", ".join(sorted(filter(None, contents.platforms[leaf.digest])))
        yield RequestedScan(one, platforms, _start(stack, one, before), before.completed_at)


def _start(stack: Stack, image: ImageRef, before: ScanStatus) -> ScanRequest:
    if before.basis is Basis.ENHANCED:
        return ScanRequest.BY_ITSELF
    return ScanRequest.STARTED if stack.scans.start(image) else ScanRequest.REFUSED


def look(stack: Stack, scans: list[RequestedScan]) -> list[ScanResult]:
    """Return the status of each scan now."""
    statuses = [(scan, stack.scans.status(scan.image)) for scan in scans]
    return [ScanResult(scan, status, scan.result(status) is not None) for scan, status in statuses]
