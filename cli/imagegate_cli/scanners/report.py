"""One scanner's report about one image, in our terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from imagegate.findings.finding import Finding, FindingKind, Package, Severity

# Facts beside vulnerability, severity and package: "fix" (does one exist), "exploit" (is one available), "epss",
# "kev" (is it known to be exploited), "layer" (which layer has the package).
_KNOWS: Mapping[str, frozenset[str]] = {
    "enhanced": frozenset({"fix", "exploit", "layer"}),
    "inspector": frozenset({"fix", "exploit", "epss", "layer"}),
    "asff": frozenset({"fix", "exploit", "layer"}),
    "inspector-scan": frozenset({"fix"}),
    "trivy": frozenset({"fix", "layer"}),
    "trivy-operator": frozenset({"fix"}),
    "grype": frozenset({"fix", "layer"}),
    "snyk": frozenset({"fix"}),
    "harbor": frozenset(),
    "gitlab": frozenset(),
    "cyclonedx": frozenset(),
    "basic": frozenset(),
    "sarif": frozenset(),
}
# The kinds of findings, beside vulnerabilities, that a scanner may report.
_TELLS: Mapping[str, frozenset[FindingKind]] = {
    "trivy": frozenset(FindingKind),
    "sarif": frozenset(FindingKind),  # Trivy's
    "snyk": frozenset({FindingKind.LICENSE}),
}
# The scanner with the most facts comes first: if two contradict each other in a detail, the first wins.
SCANNERS = tuple(_KNOWS)


def knows(scanner: str) -> frozenset[str]:
    """Return the facts that every report of this scanner has; `ScannerReport.knows` has those of one report."""
    return _KNOWS[scanner]


def kinds_told(scanner: str) -> frozenset[FindingKind]:
    """Return the kinds of findings, beside vulnerabilities, that this scanner looks for."""
    return _TELLS.get(scanner, frozenset())


@dataclass(frozen=True, slots=True)
class ScannerReport:
    """The content of a report. An attribute that the file does not say is None or empty."""

    scanner: str  # one of SCANNERS
    findings: list[Finding]  # as many as the scanner counts
    knows: frozenset[str]
    target: str | None = None  # what was scanned, as the scanner names it
    references: tuple[str, ...] = ()  # other names of the image: `registry/repository:tag`, `…@sha256:…`
    packages: tuple[Package, ...] = ()  # that were scanned, if the scanner lists them
    config: dict[str, Any] | None = None  # the image's configuration (OCI image specification)
    digest: str | None = None  # of the manifest or the index
    platform: str | None = None  # os/architecture[/variant]
    completed_at: datetime | None = None
    status: str | None = None  # ECR's imageScanStatus.status
    description: str = ""  # ECR's imageScanStatus.description
    counts: Mapping[Severity, int] = field(default_factory=dict)  # ECR's findingSeverityCounts
    has_counts: bool = False  # the answer has them, even if empty
    why: str = ""  # why the file does not show the whole result of a scan; empty: it does
    notes: tuple[str, ...] = ()  # for readers of the verdict

    @property
    def is_complete(self) -> bool:
        """True if an image may pass by this report; otherwise `why` says why not."""
        return not self.why
