"""Harbor's vulnerability report, of its API or of a scanner adapter (goharbor/pluggable-scanner-spec)."""

from __future__ import annotations

from collections.abc import Iterable

from imagegate.findings.finding import Finding, Package
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.about import description_in, highest_cvss
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import is_digest, preferred
from imagegate_cli.scanners.report import ScannerReport, knows
from imagegate_cli.scanners.severities import by_word

_MEDIA_TYPES = (
    "application/vnd.security.vulnerability.report;",
    "application/vnd.scanner.adapter.vuln.report.harbor+json;",
)
_REPORT = frozenset({"generated_at", "scanner", "severity", "vulnerabilities", "artifact"})
_MEMBERS = ("generated_at", "scanner", "vulnerabilities")
# An empty version of these means that they know of no fix.
_KNOW_FIXES = ("trivy", "clair")


def is_report(document: Raw) -> bool:
    return any(key.startswith(_MEDIA_TYPES) for key in document) or all(key in document for key in _MEMBERS)


def read(document: Raw) -> ScannerReport:
    """Read a report. Raise `MalformedError`, also if it is about several images."""
    keys = [key for key in document if key.startswith(_MEDIA_TYPES)]
    if len(keys) > 1:
        raise MalformedError(f"{len(keys)} reports of one image; keep one of them")
    report = fields.inner(document, keys[0]) if keys else document
    others = fields.unread_sections(document, frozenset(keys)) if keys else {}
    scanner = fields.optional(report, "scanner", "name") or "the scanner"
    knows_fixes = scanner.lower() in _KNOW_FIXES
    try:
        findings = fields.each(report, "vulnerabilities", read=lambda one: _finding(one, knows_fixes))
        digest = _digest(report)
    except MalformedError as error:
        raise error.within(keys[0] if keys else "") from error
    repository = fields.optional(report, "artifact", "repository")
    return ScannerReport(
        scanner="harbor",
        findings=findings,
        knows=knows("harbor"),
        target=f"{repository}@{digest}" if repository and digest else repository or digest,
        digest=digest,
        completed_at=fields.moment(report, "generated_at"),
        why=_why_incomplete(report, findings),
        notes=tuple(fields.unread_notes(others | fields.unread_sections(report, _REPORT), "Harbor")),
    )


def _finding(raw: Raw, knows_fixes: bool) -> Finding:
    name, aliases = preferred(fields.text(raw, "id"), ())
    fixed = fields.optional(raw, "fix_version")
    knows_no_fix = knows_fixes and "fix_version" in raw
    return Finding(
        vulnerability=name,
        severity=by_word(fields.text(raw, "severity")),
        packages=(Package(fields.text(raw, "package"), fields.optional(raw, "version"), fixed),),
        aliases=aliases,
        fixable=True if fixed else False if knows_no_fix else None,
        url=next(iter(fields.texts(raw, "links")), None),
        cvss=highest_cvss([raw.get("preferred_cvss")], "score_v3"),
        description=description_in(raw),
    )


def _digest(report: Raw) -> str | None:
    """Return the digest that all findings are about, or None."""
    listed: Iterable[list[str]] = fields.each(
        report, "vulnerabilities", read=lambda one: fields.texts(one, "artifact_digests")
    )
    digests = {digest for several in listed for digest in several}
    own = fields.optional(report, "artifact", "digest")
    digests |= {own} if own else set()
    if len(digests) > 1:
        raise MalformedError(
            f"of {len(digests)} images; ask for the report of one platform", "vulnerabilities"
        )
    digest = digests.pop() if digests else None
    return digest if digest and is_digest(digest) else None


def _why_incomplete(report: Raw, findings: list[Finding]) -> str:
    if fields.moment(report, "generated_at") is None:
        return "it does not say when it was generated: the scan is not over"
    severity = fields.optional(report, "severity")
    if not findings and severity not in (None, "None", "Unknown"):
        return f"its worst severity is {severity}, and it lists no vulnerabilities"
    return ""
