"""Answers of `aws inspector-scan scan-sbom --output-format INSPECTOR`, also as saved by CI plugins.

Source: Amazon Inspector User Guide, "Creating a custom CI/CD pipeline integration".
"""

from __future__ import annotations

from collections.abc import Mapping

from imagegate.findings.finding import Finding, Package, Severity
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.about import description_in, highest_cvss, listed
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import package_of, preferred
from imagegate_cli.scanners.report import ScannerReport, knows
from imagegate_cli.scanners.severities import by_word

_PARSED = "SBOM parsed successfully"
_NO_FIX = ("NotAvailable", "", None)
_ANSWER = frozenset({"sbom", "ResponseMetadata"})
_RESULT = frozenset({"status", "inspector"})
_INSPECTOR = frozenset({"messages", "vulnerability_count", "vulnerabilities"})


def is_report(document: Raw) -> bool:
    return isinstance(_result(document).get("inspector"), dict)


def read(document: Raw) -> ScannerReport:
    """Read an answer. Raise `MalformedError` with the path of a field that cannot be read."""
    result = _result(document)
    try:
        inspector = fields.inner(result, "inspector")
        findings = fields.each(inspector, "vulnerabilities", read=_finding)
        counts = _counts(inspector)
        unread = fields.unread_sections(result, _RESULT) | fields.unread_sections(inspector, _INSPECTOR)
        return ScannerReport(
            scanner="inspector-scan",
            findings=findings,
            knows=knows("inspector-scan"),
            why=_why_incomplete(result, findings, counts),
            notes=(*_skipped(inspector), *fields.unread_notes(unread, "Inspector")),
        )
    except MalformedError as error:
        raise error.within("sbom" if "sbom" in document else "") from error


def _result(document: Raw) -> Raw:
    """Return the report itself, with or without the answer of the service around it."""
    result = document.get("sbom") if set(document) <= _ANSWER else document
    return result if isinstance(result, dict) else {}


def _finding(raw: Raw) -> Finding:
    """Read a vulnerability. It counts once for all its packages, as in Inspector's own counts."""
    name, aliases = preferred(fields.text(raw, "id"), fields.texts(raw, "related"))
    packages = fields.each(raw, "affects", read=_package)
    answers = [fixable for _, fixable in packages]
    return Finding(
        vulnerability=name,
        severity=by_word(fields.text(raw, "severity")),
        packages=tuple(package for package, _ in packages),
        aliases=aliases,
        fixable=False if False in answers else True if answers and None not in answers else None,
        exploit=fields.flag(raw, "properties", "exploit_available"),
        # Absent does not say that it is in no catalogue.
        known_exploited=True if fields.optional(raw, "properties", "cisa_kev_date_added") else None,
        epss=fields.number(raw, "properties", "epss", highest=1),
        published=fields.day_or_moment(raw, "created"),
        url=fields.optional(raw, "source"),
        cvss=highest_cvss(listed(fields.inner(raw, "properties").get("cvss")), "cvss3_base_score"),
        description=description_in(raw),
    )


def _package(raw: Raw) -> tuple[Package, bool | None]:
    """Return a package, and whether it has a fix; `installed_version` is its package URL."""
    url = fields.text(raw, "installed_version")
    package = package_of(url) or Package(url)
    fixed = fields.optional(raw, "fixed_version")
    path = fields.optional(raw, "path")
    has_fix = fixed not in _NO_FIX
    fixable = has_fix if "fixed_version" in raw else None
    return (
        Package(
            name=package.name,
            installed=package.installed,
            fixed=fixed if has_fix else None,
            ecosystem=package.ecosystem,
            purl=package.purl,
            path=path,
        ),
        fixable,
    )


def _counts(inspector: Raw) -> Mapping[Severity, int]:
    counts: dict[Severity, int] = {}
    for level, number in fields.inner(inspector, "vulnerability_count").items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise MalformedError("not a number of findings", "vulnerability_count", ascii(level[:40])[1:-1])
        severity = by_word(level)
        counts[severity] = counts.get(severity, 0) + number
    return counts


def _why_incomplete(result: Raw, findings: list[Finding], counts: Mapping[Severity, int]) -> str:
    status = fields.optional(result, "status") or ""
    if not status.startswith(_PARSED):
        return f"Inspector does not say that it parsed the SBOM (status: {status or 'none'})"
    if not counts and not findings:
        return "Inspector neither counts nor lists vulnerabilities"
    severities = [finding.severity for finding in findings]
    for severity, number in counts.items():
        if severity is not Severity.UNDEFINED and severities.count(severity) < number:
            return (
                f"it lists {severities.count(severity)} of {number} {severity} findings that Inspector counts"
            )
    return ""


def _skipped(inspector: Raw) -> list[str]:
    skipped = fields.each(inspector, "messages", read=lambda one: fields.optional(one, "info") or "")
    if not skipped:
        return []
    return [f"Inspector skipped {len(skipped)} components of the SBOM ({skipped[0][:80]})"]
