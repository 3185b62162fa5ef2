"""CycloneDX 1.4 to 1.6 with `vulnerabilities`, as Grype, Trivy and Inspector write it.

Rule: an SBOM without vulnerabilities proves nothing, unless its tool always looks for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import unquote

from imagegate.findings.finding import Finding, Package, Severity
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.about import description_in
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import digest_in, package_of, preferred
from imagegate_cli.scanners.parsers.cyclonedx_ratings import cvss_of, epss_of, severity_of
from imagegate_cli.scanners.report import ScannerReport, knows
from imagegate_cli.scanners.severities import by_word

_FORMAT = "CycloneDX"
_ANSWER = frozenset({"sbom", "ResponseMetadata"})
_INSPECTOR = "amazon:inspector:sbom_scanner:"
_TRIVY = "aquasecurity:trivy:"
_NO_FIX = ("NotAvailable", "")
_READ = frozenset(
    {
        *("metadata", "components", "vulnerabilities", "dependencies", "services", "externalReferences"),
        *("properties", "compositions", "annotations", "formulation", "definitions", "signature"),
    }
)
_EMPTY = (
    "it lists no vulnerabilities, and does not say that anybody looked for them; give the scanner's own JSON, or an"
    " SBOM that a scanner completed (trivy image --format cyclonedx --scanners vuln)"
)


def is_report(document: Raw) -> bool:
    return _bom(document).get("bomFormat") == _FORMAT


def read(document: Raw) -> ScannerReport:
    """Read an SBOM with vulnerabilities. Raise `MalformedError` with the path of a field that is wrong."""
    bom = _bom(document)
    try:
        return _read(bom)
    except MalformedError as error:
        raise error.within("" if bom is document else "sbom") from error


def _read(bom: Raw) -> ScannerReport:
    components = _Components(bom)
    of_inspector = any(name.startswith(_INSPECTOR) for name in properties_of(bom, "metadata"))
    tools = _tools(bom)
    read_one = _VulnerabilityParser(components, of_inspector, "trivy" in tools)
    listed = fields.each(bom, "vulnerabilities", read=read_one.findings)
    subject = properties_of(bom, "metadata", "component")
    repo_digests = subject.get(f"{_TRIVY}RepoDigest", [])
    references = [*subject.get(f"{_TRIVY}RepoTag", []), *repo_digests]
    target = fields.optional(bom, "metadata", "component", "name")
    findings = [finding for several in listed for finding in several]
    # Inspector counts also if it finds nothing, and leaves out an empty list; Grype writes one.
    always_scans = of_inspector or ("grype" in tools and "vulnerabilities" in bom)
    why = "" if listed or always_scans else _EMPTY
    return ScannerReport(
        scanner="cyclonedx",
        findings=findings,
        knows=knows("cyclonedx"),
        target=target,
        references=tuple(references),
        packages=tuple(components.packages),
        digest=digest_in([target or ""]) or digest_in(repo_digests),
        completed_at=fields.moment(bom, "metadata", "timestamp"),
        why=why or _why_short(bom, findings),
        notes=tuple(_notes(bom)),
    )


def _bom(document: Raw) -> Raw:
    """Return the SBOM itself, with or without the answer of Inspector Scan around it."""
    inner = document.get("sbom") if set(document) <= _ANSWER else document
    return inner if isinstance(inner, dict) else {}


def properties_of(raw: Raw, *keys: str) -> dict[str, list[str]]:
    """Return the values of the properties of an element by their names."""
    values: dict[str, list[str]] = {}
    for name, value in fields.each(
        raw, *keys, "properties", read=lambda one: (fields.text(one, "name"), fields.optional(one, "value"))
    ):
        values.setdefault(name, []).append(value or "")
    return values


class _Components:
    """The components of an SBOM by their references, also nested ones."""

    def __init__(self, bom: Raw) -> None:
        self._by_ref: dict[str, Package] = {}
        self.packages: list[Package] = []
        for raw in _nested(bom):
            package = self._package(raw)
            ref = fields.optional(raw, "bom-ref")
            if ref:
                self._by_ref[ref] = package
            if package.purl:
                self.packages.append(package)

    def _package(self, raw: Raw) -> Package:
        properties = properties_of(raw)
        purl = fields.optional(raw, "purl")
        by_url = package_of(purl) if purl else None
        paths = [*properties.get(f"{_INSPECTOR}path", []), *properties.get(f"{_TRIVY}FilePath", [])]
        layers = [*properties.get(f"{_TRIVY}LayerDigest", []), *properties.get(f"{_TRIVY}LayerDiffID", [])]
        name, version = fields.text(raw, "name"), fields.optional(raw, "version")
        package = by_url or Package(name, version)
        return replace(
            package,
            installed=version or package.installed,
            layer=next(filter(None, layers), None),
            path=next(filter(None, paths), None),
        )

    def at(self, ref: str) -> Package:
        """Return the component of a reference, also of a BOM-Link (`urn:cdx:…#ref`)."""
        own = unquote(ref.partition("#")[2]) if ref.startswith("urn:cdx:") and "#" in ref else ref
        return self._by_ref.get(own) or package_of(own) or Package(own)


def _nested(bom: Raw) -> Iterator[Raw]:
    """Yield all components."""
    subject = fields.inner(bom, "metadata", "component")
    components = fields.each(bom, "components", read=lambda one: one)
    waiting = deque([subject, *components] if subject else components)
    while waiting:
        component = waiting.popleft()
        yield component
        waiting.extend(fields.each(component, "components", read=lambda one: one))


class _VulnerabilityParser:
    """A parser of vulnerabilities and the packages that they affect."""

    def __init__(self, components: _Components, of_inspector: bool, of_trivy: bool) -> None:
        self._components = components
        self._of_inspector = of_inspector
        self._of_trivy = of_trivy

    def findings(self, raw: Raw) -> list[Finding]:
        """Return a finding for each package; of Inspector one for all, as in its own counts."""
        properties = properties_of(raw)
        references = fields.each(raw, "references", read=lambda one: fields.optional(one, "id"))
        name, aliases = preferred(fields.text(raw, "id"), filter(None, references))
        finding = Finding(
            vulnerability=name,
            severity=severity_of(raw, of_trivy=self._of_trivy),
            aliases=aliases,
            exploit=True if "true" in properties.get(f"{_INSPECTOR}exploit_available", []) else None,
            known_exploited=True if properties.get(f"{_INSPECTOR}cisa_kev_date_added") else None,
            epss=epss_of(raw),
            published=fields.day_or_moment(raw, "created") or fields.day_or_moment(raw, "published"),
            url=fields.optional(raw, "source", "url"),
            cvss=cvss_of(raw),
            description=description_in(raw),
        )
        packages = fields.each(raw, "affects", read=lambda one: self._package(one, properties))
        if not packages:
            return [finding]
        if not self._of_inspector:
            return [replace(finding, packages=(package,), fixable=fix) for package, fix in packages]
        answers = [fix for _, fix in packages]
        fixable = False if False in answers else None if None in answers else True
        return [replace(finding, packages=tuple(package for package, _ in packages), fixable=fixable)]

    def _package(self, raw: Raw, properties: Mapping[str, list[str]]) -> tuple[Package, bool | None]:
        """Return an affected package, and whether it has a fix, which only Inspector says."""
        ref = fields.text(raw, "ref")
        fixes = properties.get(f"{_INSPECTOR}fixed_version:{ref}", [])
        fixed = next((version for version in fixes if version not in _NO_FIX), None)
        return replace(self._components.at(ref), fixed=fixed), (fixed is not None) if fixes else None


def _tools(bom: Raw) -> set[str]:
    """Return the names of the tools, of which version 1.5 changed the form."""
    tools = fields.inner(bom, "metadata").get("tools")
    path = ("metadata", "tools") if isinstance(tools, list) else ("metadata", "tools", "components")
    names = fields.each(bom, *path, read=lambda one: fields.optional(one, "name"))
    return {name.lower() for name in names if name}


def _why_short(bom: Raw, findings: list[Finding]) -> str:
    """Say that findings are missing if Inspector counts more than the SBOM lists."""
    for name, values in properties_of(bom, "metadata").items():
        level = name.removeprefix(_INSPECTOR).removesuffix("_vulnerabilities")
        severity = by_word(level)
        if not name.startswith(_INSPECTOR) or severity is Severity.UNDEFINED:
            continue
        listed = sum(finding.severity is severity for finding in findings)
        if not values[0].isdecimal() or listed < int(values[0][:9]):
            return f"it lists {listed} of {values[0][:20]} {severity} findings that Inspector counts"
    return ""


def _notes(bom: Raw) -> Iterator[str]:
    states = fields.each(bom, "vulnerabilities", read=lambda one: fields.optional(one, "analysis", "state"))
    number = sum(1 for state in states if state)
    if number:
        yield (
            f"{number} findings have an analysis in the SBOM and count like all others; give it as OpenVEX or CSAF"
            " with --vex"
        )
    yield from fields.unread_notes(fields.unread_sections(bom, _READ), "the SBOM")
