"""One scanner's report about one image, in our terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from imagegate.findings.finding import Finding, Package, Severity

# What a scanner can tell beside vulnerability, severity and package: "fix" (is there one), "exploit" (is one
# available), "epss", "kev" (is it known to be exploited), "layer" (which one brought the package).
_KNOWS: Mapping[str, frozenset[str]] = {
    "enhanced": frozenset({"fix", "exploit", "layer"}),
    "inspector": frozenset({"fix", "exploit", "epss", "layer"}),
    "trivy": frozenset({"fix", "layer"}),
    "grype": frozenset({"fix", "layer"}),
    "basic": frozenset(),
    "sarif": frozenset(),
}
# Who tells most of an image in ECR comes first: where two contradict in a detail, the first is followed.
SCANNERS = tuple(_KNOWS)
_RANK = {severity: rank for rank, severity in enumerate(Severity)}  # UNDEFINED is last


def knows(scanner: str) -> frozenset[str]:
    """What every report of this scanner tells; `Report.knows` says it of one report."""
    return _KNOWS[scanner]


def worst(severities: Iterable[Severity]) -> Severity:
    """The gravest; UNDEFINED only where nobody knows better."""
    return min(severities, key=_RANK.__getitem__)


@dataclass(frozen=True, slots=True)
class ScannerReport:
    """What a file says. What is None or empty, it does not say."""

    scanner: str  # basic, enhanced, inspector, trivy, grype or sarif
    findings: list[Finding]  # as many as the scanner counts
    knows: frozenset[str]
    target: str | None = None  # what was scanned, as the scanner names it
    references: tuple[str, ...] = ()  # other names of the image: `registry/repository:tag`, `…@sha256:…`
    packages: tuple[Package, ...] = ()  # that were looked at, where the scanner lists them
    config: dict[str, Any] | None = None  # the image's configuration (OCI image specification)
    digest: str | None = None  # of the manifest or the index
    platform: str | None = None  # os/architecture[/variant]
    completed_at: datetime | None = None
    status: str | None = None  # ECR's imageScanStatus.status
    description: str = ""  # ECR's imageScanStatus.description
    counts: Mapping[Severity, int] = field(default_factory=dict)  # ECR's findingSeverityCounts
    has_counts: bool = False  # they are in the answer, be they empty
    why: str = ""  # the file does not show the whole result of a scan
    notes: tuple[str, ...] = ()  # what whoever reads the verdict should know

    @property
    def is_complete(self) -> bool:
        """False: nothing but a refusal may be built on it, and `why` says why."""
        return not self.why
