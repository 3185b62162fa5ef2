"""Snyk's JSON (`snyk container test --json`): the packages of the system, and `applications` of languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imagegate.findings.ecr import read_cvss
from imagegate.findings.finding import Finding, FindingKind, Package
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.about import description_in
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import digest_in, preferred
from imagegate_cli.scanners.report import ScannerReport, knows
from imagegate_cli.scanners.severities import by_word, worst

# packageManager of a vulnerability (`debian:11`) or of a project → package URL type.
_ECOSYSTEMS: Mapping[str, str] = {
    **dict.fromkeys(("deb", "debian", "ubuntu"), "deb"),
    **dict.fromkeys(("apk", "alpine", "wolfi", "chainguard"), "apk"),
    **dict.fromkeys(("rpm", "rhel", "centos", "amzn", "ol", "oracle", "sles", "rocky", "almalinux"), "rpm"),
    **dict.fromkeys(("npm", "yarn", "pnpm"), "npm"),
    **dict.fromkeys(("pip", "poetry", "pipenv"), "pypi"),
    **dict.fromkeys(("maven", "gradle", "sbt"), "maven"),
    **dict.fromkeys(("gomodules", "golangdep", "golang"), "golang"),
    "rubygems": "gem",
    "composer": "composer",
    "nuget": "nuget",
}
_SYSTEMS = ("deb", "apk", "rpm")
_EXPLOITS: Mapping[str, bool] = {
    **dict.fromkeys(("proof of concept", "functional", "mature", "high", "attacked"), True),
    **dict.fromkeys(("no known exploit", "no data", "unproven"), False),
}
_PROJECT = frozenset(
    {
        *("vulnerabilities", "applications", "licensesPolicy", "ignoreSettings", "docker", "filtered"),
        *("remediation", "severityMap", "scanResult", "depGraph", "issuesData", "facts", "meta", "payload"),
    }
)
_LICENSE = "license"
_IMAGE_PREFIX = "docker-image|"


def is_report(document: Any) -> bool:
    projects = document if isinstance(document, list) else [document]
    return bool(projects) and all(isinstance(one, dict) and _is_project(one) for one in projects)


def _is_project(document: Raw) -> bool:
    has_list = isinstance(document.get("vulnerabilities"), list)
    is_snyk = "packageManager" in document or "dependencyCount" in document or "projectName" in document
    has_failed = document.get("ok") is False and "error" in document
    return (has_list and "ok" in document and is_snyk) or has_failed


def read(document: Any) -> ScannerReport:
    """Read a report, also a list of projects. Raise `MalformedError` with the path of a field that is wrong."""
    projects = list(_projects(document))
    findings: dict[tuple[str, ...], Finding] = {}
    for path, project in projects:
        try:
            read_one = _reader(fields.optional(project, "packageManager"))
            for key, finding in fields.each(project, "vulnerabilities", read=read_one):
                # Snyk lists a vulnerability once for each way to its package.
                findings.setdefault((path, *key), finding)
        except MalformedError as error:
            raise error.within(path) from error
    first = projects[0][1]
    target = fields.optional(first, "path") if _is_image(first) else None
    return ScannerReport(
        scanner="snyk",
        findings=list(findings.values()),
        knows=knows("snyk"),
        target=target,
        digest=digest_in([target or ""]),
        platform=fields.optional(first, "platform"),
        why=next(filter(None, (_why_incomplete(project) for _, project in projects)), ""),
        notes=tuple(dict.fromkeys(note for _, project in projects for note in _notes(project))),
    )


def _projects(document: Any) -> Iterator[tuple[str, Raw]]:
    """Yield each project with its path in the document."""
    for number, project in enumerate(document if isinstance(document, list) else [document]):
        path = f"[{number}]" if isinstance(document, list) else ""
        yield path, project
        prefix = f"{path}." if path else ""
        for inner, application in enumerate(fields.each(project, "applications", read=lambda one: one)):
            yield f"{prefix}applications[{inner}]", application


def _reader(manager: str | None) -> Any:
    return lambda raw: _finding(raw, manager)


def _finding(raw: Raw, manager: str | None) -> tuple[tuple[str, ...], Finding]:
    """Return a finding, and what it is equal to others by."""
    own = fields.text(raw, "id")
    others = [name for kind in ("CVE", "GHSA", "RHSA") for name in fields.texts(raw, "identifiers", kind)]
    name, aliases = preferred(own, others)
    package = _package(raw, manager)
    fixed = package.fixed
    knows_fixes = "fixedIn" in raw and raw["fixedIn"] is not None
    # Older versions wrote high for critical, and the true one beside it.
    words = (fields.text(raw, "severity"), fields.optional(raw, "severityWithCritical"))
    exploit = fields.optional(raw, "exploitMaturity") or fields.optional(raw, "exploit") or ""
    finding = Finding(
        vulnerability=name,
        severity=worst(map(by_word, words)),
        packages=(package,),
        aliases=aliases,
        fixable=True if fixed else False if knows_fixes else None,
        exploit=_EXPLOITS.get(exploit.lower()),
        epss=fields.decimal(raw, "epssDetails", "probability", highest=1),
        published=fields.day_or_moment(raw, "publicationTime"),
        kind=FindingKind.LICENSE if _is_license(raw) else FindingKind.VULNERABILITY,
        url=f"https://security.snyk.io/vuln/{own}" if own.startswith("SNYK-") else None,
        cvss=read_cvss(raw.get("cvssScore")),
        description=description_in(raw, "title"),
    )
    return (own, package.name, package.installed or ""), finding


def _package(raw: Raw, manager: str | None) -> Package:
    kind = (fields.optional(raw, "packageManager") or manager or "").partition(":")[0]
    ecosystem = _ECOSYSTEMS.get(kind.lower())
    name = (
        fields.optional(raw, "name") or fields.optional(raw, "packageName") or fields.text(raw, "moduleName")
    )
    if ecosystem in _SYSTEMS:
        # `gcc-10/libgcc-s1`: the source package and its binary package.
        name = name.rpartition("/")[2] or name
    versions = fields.texts(raw, "fixedIn")
    fixed = fields.optional(raw, "nearestFixedInVersion") or ", ".join(versions) or None
    return Package(name, fields.optional(raw, "version"), fixed, ecosystem)


def _is_image(project: Raw) -> bool:
    name = fields.optional(project, "projectName") or ""
    return name.startswith(_IMAGE_PREFIX) or isinstance(project.get("docker"), dict)


def _why_incomplete(project: Raw) -> str:
    error = fields.optional(project, "error")
    if error:
        return f"Snyk failed: {error[:200]}"
    listed = fields.elements(project, "vulnerabilities")
    if project.get("ok") is False and not listed:
        return "Snyk says that there are vulnerabilities, and lists none"
    if not listed and not fields.number(project, "dependencyCount", highest=1e9):
        return "Snyk names no packages that it tested"
    return ""


def _notes(project: Raw) -> Iterator[str]:
    threshold = fields.optional(project, "severityThreshold")
    if threshold:
        yield f"Snyk lists only findings from severity {threshold} on (--severity-threshold)"
    ignored = len(fields.elements(project, "filtered", "ignore"))
    if ignored:
        yield f"{ignored} findings were set aside by Snyk's own policy (.snyk), not by the policy"
    yield from fields.unread_notes(fields.unread_sections(project, _PROJECT), "Snyk")


def _is_license(raw: object) -> bool:
    return isinstance(raw, dict) and raw.get("type") == _LICENSE
