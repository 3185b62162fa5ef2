"""The table of formats that `imagegate judge --findings` reads: help, messages and documentation use it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReportFormat:
    """A format, and the command that writes it."""

    parser: str  # the module in `scanners.parsers`
    name: str
    short: str
    command: str
    fixes: bool  # whether it says that there is no fix

    def __str__(self) -> str:
        return f"{self.name} ({self.command})"


# In the order in which they are tried; the documentation has them in this order, too.
FORMATS = (
    ReportFormat("ecr", "ECR's answer", "ECR", "aws ecr describe-image-scan-findings", True),
    ReportFormat("inspector", "Inspector's answer", "Inspector", "aws inspector2 list-findings", True),
    ReportFormat(
        "inspector_scan",
        "Inspector Scan's answer",
        "Inspector Scan",
        "aws inspector-scan scan-sbom --output-format INSPECTOR",
        True,
    ),
    ReportFormat("asff", "Security Hub's findings", "ASFF", "aws securityhub get-findings", True),
    ReportFormat("trivy", "Trivy's report", "Trivy", "trivy image --format json --list-all-pkgs", True),
    ReportFormat(
        "trivy_operator",
        "Trivy Operator's report",
        "VulnerabilityReport",
        "kubectl get vulnerabilityreport NAME -o json",
        True,
    ),
    ReportFormat(
        "harbor", "Harbor's report", "Harbor", "GET …/artifacts/REFERENCE/additions/vulnerabilities", True
    ),
    ReportFormat("grype", "Grype's report", "Grype", "grype -o json", True),
    ReportFormat("snyk", "Snyk's report", "Snyk", "snyk container test --json", True),
    ReportFormat("gitlab", "GitLab's report", "GitLab", "gl-container-scanning-report.json", False),
    ReportFormat(
        "cyclonedx",
        "CycloneDX with vulnerabilities",
        "CycloneDX",
        "grype -o cyclonedx-json, trivy image --format cyclonedx --scanners vuln, inspector-sbomgen --scan-sbom",
        False,
    ),
    ReportFormat("sarif", "SARIF 2.1.0", "SARIF", "--format sarif of most scanners", False),
)


def short_list() -> str:
    """Return the names for a help text: `ECR, Inspector, … or SARIF`."""
    *others, last = [one.short for one in FORMATS]
    return f"{', '.join(others)} or {last}"
