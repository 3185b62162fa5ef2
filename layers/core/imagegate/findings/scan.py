"""The rules for when a scan's result counts: the service must say that it scanned the image, and when.

A status alone or an empty list alone is not enough. Both scanners were seen to report COMPLETE or ACTIVE with an empty
list, no counts and no date, seconds before the findings came (aws-sdk issue 289, aws-cli issue 6759). While a part of a
result is missing, the scan is NOT_YET ready. An image that cannot be scanned is not clean, though it has no findings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from imagegate.canonical_json import parse_timestamp

if TYPE_CHECKING:
    from imagegate.findings.coverage import Coverage
    from imagegate.findings.finding import Severity
    from imagegate.oci.image import Digest

# Amazon ECR API reference, ImageScanStatus.status: a basic scan ends with COMPLETE, an enhanced one with ACTIVE, or
# with COMPLETE if the repository is scanned on push only.
_OVER = frozenset({"COMPLETE", "ACTIVE"})
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


# An enhanced result without findings counts only if there are still none when it is read again this much later.
SECOND_LOOK = timedelta(seconds=60)


class Readiness(StrEnum):
    """The state of a scan's result."""

    NOT_STARTED = "NOT_STARTED"
    NOT_YET = "NOT_YET"
    READY = "READY"
    IMPOSSIBLE = "IMPOSSIBLE"  # the scan has ended without a result


class ScanProgress(StrEnum):
    """The state of a scan by its status alone, which does not say whether the result counts."""

    NOT_STARTED = "NOT_STARTED"
    RUNNING = "RUNNING"
    OVER = "OVER"

    @classmethod
    def of(cls, status: str | None) -> ScanProgress:
        if status is None:
            return cls.NOT_STARTED
        return cls.RUNNING if status in _NOT_YET else cls.OVER


class Basis(StrEnum):
    """The source of a result; each source has its own rule for when the result counts."""

    BASIC = "BASIC"  # ECR, while the registry scans by itself
    ENHANCED = "ENHANCED"  # ECR, while Inspector scans the registry
    ANSWER = "ANSWER"  # a file with an answer of ECR, which lacks the push time and Inspector's coverage
    LIST = "LIST"  # a complete list: another scanner's file, or a record that is older than these rules


@dataclass(frozen=True, slots=True)
class ScanStatus:
    """The status of one image's scan, without its findings. Times are RFC 3339."""

    image: Digest
    status: str | None = None  # as ECR writes it; None if there is no scan
    description: str = ""
    completed_at: str | None = None
    counts: Mapping[Severity, int] = field(default_factory=dict)
    lists_findings: bool = False  # in the form of the scanner of `basis`
    basis: Basis = Basis.BASIC
    has_counts: bool = False  # the answer has counts, possibly empty
    lists_others: bool = False  # there are findings in the form of the other scanner
    pushed_at: str | None = None  # when the image was pushed
    coverage: tuple[Coverage, ...] = ()
    clean_since: str | None = None  # when no findings were first seen, if reading once is not enough

    @property
    def readiness(self) -> Readiness:
        if self._refusal:
            return Readiness.IMPOSSIBLE
        if self.status is None:
            return Readiness.NOT_STARTED
        if self.says_it_is_over:
            return Readiness.NOT_YET if self.missing else Readiness.READY
        return Readiness.NOT_YET if self.status in _NOT_YET else Readiness.IMPOSSIBLE

    @property
    def says_it_is_over(self) -> bool:
        """True if the status says that the scan has ended; `missing` says whether its result counts."""
        return self.status in _OVER

    @property
    def is_final(self) -> bool:
        return self.readiness in (Readiness.READY, Readiness.IMPOSSIBLE)

    @property
    def missing(self) -> tuple[str, ...]:
        """The parts of a complete result that this one lacks, in words for people."""
        if self.status is None:
            return ("a scan",)
        if not self.says_it_is_over:
            return (f"the end of the scan (its status is {self.status})",)
        return tuple(_RULES[self.basis](self))

    def first_seen_clean(self, before: datetime | None, now: datetime) -> datetime | None:
        """Return when no findings were first seen, or None if reading once is enough.

        Once is not enough for enhanced scanning, whose findings come after its status. `before`: an earlier time at
        which there were none; it does not count if the image was pushed again since.
        """
        if self.basis is not Basis.ENHANCED or self.readiness is not Readiness.READY or self.counts:
            return None
        return before if before is not None and _is_since(before, self.pushed_at) else now

    @property
    def scanned_at(self) -> str | None:
        """The time of the last scan; the earliest one if several records have one."""
        times = (record.last_scanned_at for record in self.coverage)
        return self.completed_at or min((time for time in times if time), default=None)

    @property
    def is_unsupported(self) -> bool:
        """True if the scanner cannot read such an image. Basic scanning says so only in the description of FAILED."""
        if self._refusal:
            return self._refusal.is_unsupported
        failed = self.status == "FAILED" and self.description.startswith("UnsupportedImageError")
        return failed or self.status == "UNSUPPORTED_IMAGE"

    def explain(self) -> str:
        """Explain to a person why the scan has no result."""
        if self._refusal:
            return self._refusal.explain()
        status = self.status or "no scan"
        text = _EXPLANATIONS.get(status, "a status that imagegate does not know")
        return f"{status}: {text}" + (f" (scanner: {self.description})" if self.description else "")

    @property
    def _refusal(self) -> Coverage | None:
        is_dead = self.status is not None and self.status not in _OVER | _NOT_YET
        if self.basis is not Basis.ENHANCED or is_dead:
            return None
        return next((record for record in self.coverage if record.is_refusal), None)


def _is_since(moment: datetime | str | None, pushed_at: str | None) -> bool:
    """Return True if the moment is not before the push; False if either is unknown."""
    if moment is None or pushed_at is None:
        return False
    return (moment if isinstance(moment, datetime) else parse_timestamp(moment)) >= parse_timestamp(pushed_at)


def _missing_of_basic(scan: ScanStatus) -> Iterator[str]:
    if scan.status != "COMPLETE":
        yield f"the end of a basic scan, COMPLETE (its status is {scan.status})"
    if not _is_since(scan.completed_at, scan.pushed_at):
        yield "the time of a scan since the push (imageScanCompletedAt)"
    if not scan.has_counts:
        yield "the number of findings (findingSeverityCounts)"
    yield from _disagreements(scan)


def _missing_of_enhanced(scan: ScanStatus) -> Iterator[str]:
    if not scan.coverage:
        yield "a record of Inspector that it covers the image (ListCoverage)"
    for record in scan.coverage:
        if not record.has_looked:
            yield f"the end of Inspector's scan (its coverage says {record.reason})"
        elif not _is_since(record.last_scanned_at, scan.pushed_at):
            yield "the time of a scan since the push (lastScannedAt of its coverage)"
    has_findings = scan.counts or scan.lists_findings
    if has_findings and not _is_since(scan.completed_at, scan.pushed_at):
        yield "the time of a scan since the push (imageScanCompletedAt)"
    yield from _disagreements(scan)


def _missing_of_answer(scan: ScanStatus) -> Iterator[str]:
    if scan.completed_at is None:
        yield "the time of the scan (imageScanCompletedAt)"
    if not scan.has_counts:
        yield "the number of findings (findingSeverityCounts)"
    yield from _disagreements(scan)


def _missing_of_list(scan: ScanStatus) -> Iterator[str]:
    if scan.counts and not scan.lists_findings:
        yield "the findings that it counts"


def _disagreements(scan: ScanStatus) -> Iterator[str]:
    """Yield what is missing where the counts and the first page's list contradict each other."""
    if scan.lists_others:
        yield "findings in the form of the registry's scanner (it lists those of the other one)"
    if scan.counts and not scan.lists_findings:
        yield "the findings that it counts"
    if scan.lists_findings and not scan.counts:
        yield "the number of the findings that it lists (findingSeverityCounts)"


_RULES = {
    Basis.BASIC: _missing_of_basic,
    Basis.ENHANCED: _missing_of_enhanced,
    Basis.ANSWER: _missing_of_answer,
    Basis.LIST: _missing_of_list,
}


class Scanning(StrEnum):
    """The way in which scans of a repository's images start (GetRegistryScanningConfiguration)."""

    BY_ITSELF = "BY_ITSELF"  # scan on push, or continuous
    ON_REQUEST = "ON_REQUEST"  # basic scanning without scan-on-push: StartImageScan
    NEVER = "NEVER"  # enhanced scanning without a filter for this repository


class WaitOutcome(StrEnum):
    """The end of the wait for a scan; part of the state machine's data."""

    READY = "READY"
    TIMED_OUT = "TIMED_OUT"
    NEVER = "NEVER"
    UNSUPPORTED = "UNSUPPORTED"  # the scanner refused to start, because it cannot read such an image
