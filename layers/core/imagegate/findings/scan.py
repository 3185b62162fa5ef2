"""When a scan is done: the service says that it looked, and when; never a status alone, never an empty list alone.

Both scanners were seen to say COMPLETE or ACTIVE with an empty list, no counts and no date, seconds before the findings
came (aws-sdk issue 289, aws-cli issue 6759). What is missing for a result to count is "not yet"; zero findings on an
image that could not be scanned is not a clean image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from imagegate.canonical_json import parse_timestamp
from imagegate.findings.coverage import Coverage
from imagegate.findings.finding import Severity
from imagegate.oci.image import Digest

# Amazon ECR API reference, ImageScanStatus.status: COMPLETE ends a basic scan, ACTIVE an enhanced one; COMPLETE also an
# enhanced one of a repository that is scanned on push only.
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


# A result of enhanced scanning that finds nothing counts when a second look, so much later, finds nothing either.
SECOND_LOOK = timedelta(seconds=60)


class Readiness(StrEnum):
    NOT_STARTED = "NOT_STARTED"
    NOT_YET = "NOT_YET"
    READY = "READY"
    IMPOSSIBLE = "IMPOSSIBLE"  # the scan is over and says nothing about the image


class Basis(StrEnum):
    """Who told the result, and so by which rule it counts."""

    BASIC = "BASIC"  # ECR, while the registry scans by itself
    ENHANCED = "ENHANCED"  # ECR, while Inspector scans the registry
    ANSWER = "ANSWER"  # a file with an answer of ECR: when the image was pushed and what Inspector covers is not in it
    LIST = "LIST"  # a list that is whole: another scanner's file, or a record from before these rules


@dataclass(frozen=True, slots=True)
class ScanStatus:
    """The head of one image's scan: no findings in it, whatever their number. Times are RFC 3339."""

    image: Digest
    status: str | None = None  # as ECR says it; None: no scan is known
    description: str = ""
    completed_at: str | None = None
    counts: Mapping[Severity, int] = field(default_factory=dict)
    lists_findings: bool = False  # in the form of its scanner
    basis: Basis = Basis.BASIC
    has_counts: bool = False  # the counts are in the answer, be they empty
    lists_others: bool = False  # it lists findings in the form of the other scanner
    pushed_at: str | None = None  # the image
    coverage: tuple[Coverage, ...] = ()
    clean_since: str | None = (
        None  # when it was first seen that nothing is found, where one look is not enough
    )

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
        """It says so; whether that counts is another question."""
        return self.status in _OVER

    @property
    def is_final(self) -> bool:
        return self.readiness in (Readiness.READY, Readiness.IMPOSSIBLE)

    @property
    def missing(self) -> tuple[str, ...]:
        """What a scan says that is done, and this one does not; in words for people."""
        if self.status is None:
            return ("a scan",)
        if not self.says_it_is_over:
            return (f"the end of the scan (its status is {self.status})",)
        return tuple(_RULES[self.basis](self))

    def seen_clean(self, before: datetime | None, now: datetime) -> datetime | None:
        """Since when it is seen that nothing is found; None where one look is enough.

        It is not of enhanced scanning, whose findings come after its status. `before`: an earlier look that found
        nothing; it does not count when the image was pushed again since.
        """
        if self.basis is not Basis.ENHANCED or self.readiness is not Readiness.READY or self.counts:
            return None
        return before if before is not None and _is_since(before, self.pushed_at) else now

    @property
    def scanned_at(self) -> str | None:
        """When the scanner looked last."""
        looked = (one.last_scanned_at for one in self.coverage)
        return self.completed_at or min((time for time in looked if time), default=None)

    @property
    def is_unsupported(self) -> bool:
        """The scanner cannot read such an image. Basic scanning says FAILED, and only its description tells."""
        if self._refusal:
            return self._refusal.is_unsupported
        failed = self.status == "FAILED" and self.description.startswith("UnsupportedImageError")
        return failed or self.status == "UNSUPPORTED_IMAGE"

    def explain(self) -> str:
        """Why nothing can be said about the image, for a person."""
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
        return next((one for one in self.coverage if one.is_refusal), None)


def _is_since(moment: datetime | str | None, pushed_at: str | None) -> bool:
    """Nothing is later than a push that nobody knows of."""
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
    for one in scan.coverage:
        if not one.has_looked:
            yield f"the end of Inspector's scan (its coverage says {one.reason})"
        elif not _is_since(one.last_scanned_at, scan.pushed_at):
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
    """The head of an answer lists one finding at least where the scan counts any."""
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
