"""Trivy Operator's `VulnerabilityReport` of one container (`kubectl get vulnerabilityreport NAME -o json`).

Source: aquasecurity/trivy-operator, the custom resource definition aquasecurity.github.io/v1alpha1.
"""

from __future__ import annotations

from imagegate.findings.ecr import read_cvss
from imagegate.findings.finding import Finding, Package
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.about import description_in
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import is_digest, preferred, type_of
from imagegate_cli.scanners.report import ScannerReport, knows
from imagegate_cli.scanners.severities import by_word

_KINDS = ("VulnerabilityReport", "ClusterVulnerabilityReport")
_GROUP = "aquasecurity.github.io/"
_REPORT = frozenset(
    {"artifact", "os", "registry", "scanner", "summary", "updateTimestamp", "vulnerabilities"}
)
_EMPTY = (
    "it lists no vulnerabilities and no operating system, so nobody can tell whether Trivy found nothing or read"
    " nothing"
)


def is_report(document: Raw) -> bool:
    items = document.get("items")
    if document.get("kind") == "List" and isinstance(items, list):
        return bool(items) and all(isinstance(one, dict) and _is_one(one) for one in items)
    return _is_one(document)


def _is_one(document: Raw) -> bool:
    version = document.get("apiVersion")
    return document.get("kind") in _KINDS and isinstance(version, str) and version.startswith(_GROUP)


def read(document: Raw) -> ScannerReport:
    """Read a report. Raise `MalformedError`, also for a list of several reports."""
    items = fields.elements(document, "items")
    if len(items) > 1:
        raise MalformedError(f"{len(items)} reports; give one file for each container", "items")
    raw: Raw = items[0] if items else document
    report = fields.inner(raw, "report")
    try:
        findings = fields.each(report, "vulnerabilities", read=_finding)
        target, digest = _target(report)
        return ScannerReport(
            scanner="trivy-operator",
            findings=findings,
            knows=knows("trivy-operator"),
            target=target,
            digest=digest,
            completed_at=fields.moment(report, "updateTimestamp"),
            why=_why_incomplete(report, findings),
            notes=tuple(fields.unread_notes(fields.unread_sections(report, _REPORT), "Trivy Operator")),
        )
    except MalformedError as error:
        raise error.within("report") from error


def _finding(raw: Raw) -> Finding:
    name, aliases = preferred(fields.text(raw, "vulnerabilityID"), ())
    fixed = fields.optional(raw, "fixedVersion")
    purl = fields.optional(raw, "packagePURL")
    package = Package(
        name=fields.text(raw, "resource"),
        installed=fields.optional(raw, "installedVersion"),
        fixed=fixed,
        ecosystem=type_of(purl),
        purl=purl,
        path=fields.optional(raw, "packagePath") or fields.optional(raw, "target"),
    )
    return Finding(
        vulnerability=name,
        severity=by_word(fields.text(raw, "severity")),
        packages=(package,),
        aliases=aliases,
        fixable=fixed is not None if "fixedVersion" in raw else None,
        published=fields.day_or_moment(raw, "publishedDate"),
        url=fields.optional(raw, "primaryLink"),
        cvss=read_cvss(raw.get("score")),
        description=description_in(raw, "title"),
    )


def _target(report: Raw) -> tuple[str | None, str | None]:
    """Return the name of the image and its digest."""
    server = fields.optional(report, "registry", "server")
    repository = fields.optional(report, "artifact", "repository")
    tag = fields.optional(report, "artifact", "tag")
    digest = fields.optional(report, "artifact", "digest")
    known = digest if digest and is_digest(digest) else None
    if repository is None:
        return known, known
    name = f"{server}/{repository}" if server else repository
    return (f"{name}:{tag}" if tag else f"{name}@{known}" if known else name), known


def _why_incomplete(report: Raw, findings: list[Finding]) -> str:
    if not report:
        return "it has no report"
    summary = fields.inner(report, "summary")
    for level in ("critical", "high", "medium", "low"):
        counted = fields.number(summary, f"{level}Count", highest=1e6) or 0
        listed = sum(finding.severity is by_word(level) for finding in findings)
        if listed < counted:
            return f"it lists {listed} of {counted:g} {level.upper()} findings that its summary counts"
    has_system = fields.optional(report, "os", "family") not in (None, "none")
    return "" if findings or has_system else _EMPTY
