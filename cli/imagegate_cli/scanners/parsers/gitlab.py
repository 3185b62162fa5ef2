"""GitLab's container scanning report (security-report-schemas, container-scanning-report-format), of any analyzer."""

from __future__ import annotations

import re

from imagegate.findings.finding import Finding, Package
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.about import description_in
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import digest_in, preferred
from imagegate_cli.scanners.report import ScannerReport, knows
from imagegate_cli.scanners.severities import by_word

_KIND = "container_scanning"
_REPORT = frozenset({"version", "schema", "scan", "vulnerabilities", "remediations", "dependency_files"})
_UPGRADE = re.compile(r"Upgrade \S+ (?:from \S+ )?to (\S.*)")
_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
# Identifiers that are no names of vulnerabilities.
_OTHER_IDENTIFIERS = ("cwe", "owasp")


def is_report(document: Raw) -> bool:
    listed, scan = document.get("vulnerabilities"), document.get("scan")
    if not isinstance(listed, list):
        return False
    if isinstance(scan, dict):
        return scan.get("type") == _KIND
    # Before version 15 the scan was optional, and each vulnerability had a category.
    return any(isinstance(one, dict) and one.get("category") == _KIND for one in listed)


def read(document: Raw) -> ScannerReport:
    """Read a report. Raise `MalformedError`, also if it is about several images."""
    findings = fields.each(document, "vulnerabilities", read=_finding)
    images = sorted(set(filter(None, fields.each(document, "vulnerabilities", read=_image))))
    if len(images) > 1:
        raise MalformedError(f"of {len(images)} images; give one report for each", "vulnerabilities")
    return ScannerReport(
        scanner="gitlab",
        findings=findings,
        knows=knows("gitlab"),
        target=images[0] if images else None,
        digest=digest_in(images),
        completed_at=fields.moment(_scan_times(document), "end_time"),
        why=_why_incomplete(document),
        notes=(
            *_flagged(document),
            *fields.unread_notes(fields.unread_sections(document, _REPORT), "the file"),
        ),
    )


def _finding(raw: Raw) -> Finding:
    identifiers = [name for name in fields.each(raw, "identifiers", read=_identifier) if name]
    name, aliases = preferred(identifiers[0] if identifiers else fields.text(raw, "id"), identifiers[1:])
    dependency = ("location", "dependency")
    upgrade = _UPGRADE.fullmatch(fields.optional(raw, "solution") or "")
    fixed = upgrade[1] if upgrade else None
    package = fields.optional(raw, *dependency, "package", "name")
    version = fields.optional(raw, *dependency, "version")
    return Finding(
        vulnerability=name,
        severity=by_word(fields.text(raw, "severity")),
        packages=(Package(package, version, fixed),) if package else (),
        aliases=aliases,
        fixable=True if fixed else None,
        url=next(iter(fields.each(raw, "links", read=lambda one: fields.optional(one, "url"))), None),
        description=description_in(raw),
    )


def _identifier(raw: Raw) -> str | None:
    """Return the value of an identifier that names the vulnerability."""
    value = fields.text(raw, "value")
    return None if fields.optional(raw, "type") in _OTHER_IDENTIFIERS else value


def _image(raw: Raw) -> str | None:
    return fields.optional(raw, "location", "image")


def _scan_times(document: Raw) -> Raw:
    """Return the times of the scan; GitLab writes them in UTC without a zone."""
    end = fields.optional(document, "scan", "end_time")
    return {"end_time": f"{end}Z" if end and _LOCAL_TIME.fullmatch(end) else end}


def _why_incomplete(document: Raw) -> str:
    if document.get("scan") is None:
        return (
            ""
            if document["vulnerabilities"]
            else "it lists no vulnerabilities, and does not say that it scanned"
        )
    status = fields.optional(document, "scan", "status")
    return "" if status == "success" else f"the scan's status is {status}"


def _flagged(document: Raw) -> list[str]:
    """Note findings that an analyzer flags as false positives: they count."""
    flags = fields.each(document, "vulnerabilities", read=lambda one: len(fields.elements(one, "flags")))
    number = sum(1 for flag in flags if flag)
    return (
        [f"{number} findings that are flagged as likely false positives count like all others"]
        if number
        else []
    )
