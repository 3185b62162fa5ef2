"""Trivy's JSON (`trivy image --format json`): pkg/types/report.go and vulnerability.go of Trivy, SchemaVersion 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagegate.findings.finding import Finding, FindingKind, Package, Severity
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.about import description_in, highest_cvss
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import digest_in, platform_of, preferred, type_of
from imagegate_cli.scanners.report import ScannerReport, knows

_SCHEMA = 2
_IMAGE = "container_image"
# Result.Type (pkg/fanal/types/const.go) → package URL type, for packages without a package URL.
_ECOSYSTEMS: Mapping[str, str] = {
    **dict.fromkeys(("debian", "ubuntu", "echo"), "deb"),
    **dict.fromkeys(("alpine", "wolfi", "chainguard", "minimos"), "apk"),
    **dict.fromkeys(("alma", "amazon", "azurelinux", "cbl-mariner", "centos", "fedora", "oracle"), "rpm"),
    **dict.fromkeys(("photon", "redhat", "rocky", "sles", "slem", "opensuse", "opensuse-leap"), "rpm"),
    **dict.fromkeys(("bottlerocket", "centos-stream", "opensuse-tumbleweed"), "rpm"),
    **dict.fromkeys(("bundler", "gemspec"), "gem"),
    **dict.fromkeys(("cargo", "rustbinary"), "cargo"),
    **dict.fromkeys(("composer", "composer-vendor"), "composer"),
    **dict.fromkeys(("npm", "bun", "node-pkg", "yarn", "pnpm", "javascript"), "npm"),
    **dict.fromkeys(("nuget", "dotnet-core", "packages-props"), "nuget"),
    **dict.fromkeys(("pip", "pipenv", "poetry", "uv", "pylock", "python-pkg"), "pypi"),
    **dict.fromkeys(("conda-pkg", "conda-environment"), "conda"),
    **dict.fromkeys(("jar", "pom", "gradle", "sbt"), "maven"),
    **dict.fromkeys(("gobinary", "gomod"), "golang"),
    **{name: name for name in ("conan", "cocoapods", "swift", "pub", "hex", "bitnami", "julia")},
}
_LANGUAGE = "lang-pkgs"
_PACKAGES = ("os-pkgs", _LANGUAGE)
# Statuses of checks that passed or are exempt (pkg/types/misconfiguration.go).
_NOT_FINDINGS = ("PASS", "EXCEPTION")
# Members that are read, or that report no findings; any other member is named in a note.
_REPORT = frozenset(
    {
        *("SchemaVersion", "Trivy", "ReportID", "CreatedAt", "ArtifactID", "ArtifactName", "ArtifactType"),
        *("Metadata", "Results"),
    }
)
_RESULT = frozenset(
    {
        *("Target", "Class", "Type", "Packages", "Vulnerabilities", "MisconfSummary", "Misconfigurations"),
        *("Secrets", "Licenses", "ExperimentalModifiedFindings"),
    }
)


def is_report(document: Raw) -> bool:
    return "SchemaVersion" in document


def read(document: Raw) -> ScannerReport:
    """Read a report of Trivy. Raise `MalformedError` with the path of a field that cannot be read."""
    version = document.get("SchemaVersion")
    if version != _SCHEMA:
        raise MalformedError(f"{_SCHEMA} is understood, not {str(version)[:20]!a}", "SchemaVersion")
    results = fields.each(document, "Results", read=_Result)
    config = fields.plain_object(document, "Metadata", "ImageConfig")
    target = fields.optional(document, "ArtifactName")
    return ScannerReport(
        scanner="trivy",
        findings=[finding for result in results for finding in result.findings],
        knows=knows("trivy"),
        target=target,
        references=tuple(
            text for key in ("RepoTags", "RepoDigests") for text in fields.texts(document, "Metadata", key)
        ),
        packages=tuple(package for result in results for package in result.packages),
        config=config,
        digest=digest_in([target or ""]) or digest_in(fields.texts(document, "Metadata", "RepoDigests")),
        platform=platform_of(config),
        completed_at=fields.moment(document, "CreatedAt"),
        why=_why_incomplete(results),
        notes=tuple(_notes(document, results)),
    )


class _Result:
    """One element of `Results`: the packages of the operating system, those of one language in one file, or a file."""

    def __init__(self, raw: Raw) -> None:
        kind = fields.optional(raw, "Class")
        self.target = (fields.optional(raw, "Target") or "").lstrip("/")
        self.shows_packages = kind in _PACKAGES
        ecosystem = _ECOSYSTEMS.get(fields.optional(raw, "Type") or "")
        place = self.target if kind == _LANGUAGE else None
        self.vulnerabilities = fields.each(
            raw, "Vulnerabilities", read=lambda one: _finding(one, ecosystem, place)
        )
        listed = fields.each(raw, "Packages", read=lambda one: _package(one, ecosystem, place))
        self.packages = [package for package in listed if package is not None]
        others: list[Finding | None] = fields.each(raw, "Secrets", read=self._secret)
        others += fields.each(raw, "Misconfigurations", read=self._misconfiguration)
        others += fields.each(raw, "Licenses", read=self._license)
        self.others = [finding for finding in others if finding is not None]
        self.set_aside = len(fields.elements(raw, "ExperimentalModifiedFindings"))
        self.unread = fields.unread_sections(raw, _RESULT)

    @property
    def findings(self) -> list[Finding]:
        """The same findings as in Trivy's SARIF, so that both forms of one scan have one verdict."""
        return self.vulnerabilities + self.others

    def _secret(self, raw: Raw) -> Finding:
        return self._other_finding(FindingKind.SECRET, raw, fields.text(raw, "RuleID"), self.target)

    def _misconfiguration(self, raw: Raw) -> Finding | None:
        if fields.optional(raw, "Status") in _NOT_FINDINGS:
            return None
        return self._other_finding(FindingKind.MISCONFIGURATION, raw, fields.text(raw, "ID"), self.target)

    def _license(self, raw: Raw) -> Finding:
        package = fields.optional(raw, "PkgName") or ""
        name = f"{package}:{fields.text(raw, 'Name')}"
        where = package or fields.optional(raw, "FilePath") or self.target
        return self._other_finding(FindingKind.LICENSE, raw, name, where)

    def _other_finding(self, kind: FindingKind, raw: Raw, name: str, where: str) -> Finding:
        severity = Severity.parse(fields.optional(raw, "Severity"))
        description = description_in(raw, "Title", "Description")
        return Finding(name, severity, (Package(where),) if where else (), kind=kind, description=description)


def _package(raw: Raw, ecosystem: str | None, place: str | None) -> Package | None:
    """Return a package that Trivy scanned, or None if it has no name."""
    name, purl = fields.optional(raw, "Name"), fields.optional(raw, "Identifier", "PURL")
    if name is None:
        return None
    return Package(
        name=name,
        installed=fields.optional(raw, "Version"),
        ecosystem=type_of(purl) or ecosystem,
        purl=purl,
        path=fields.optional(raw, "FilePath") or place,
    )


def _finding(raw: Raw, ecosystem: str | None, place: str | None) -> Finding:
    name, aliases = preferred(fields.text(raw, "VulnerabilityID"), fields.texts(raw, "VendorIDs"))
    fixed = fields.optional(raw, "FixedVersion")
    purl = fields.optional(raw, "PkgIdentifier", "PURL")
    package = Package(
        name=fields.text(raw, "PkgName"),
        installed=fields.optional(raw, "InstalledVersion"),
        fixed=fixed,
        ecosystem=type_of(purl) or ecosystem,
        purl=purl,
        # Manifests name layers by digest; images that were not pulled have only the DiffID.
        layer=fields.optional(raw, "Layer", "Digest") or fields.optional(raw, "Layer", "DiffID"),
        path=fields.optional(raw, "PkgPath") or place,
    )
    return Finding(
        vulnerability=name,
        severity=Severity.parse(fields.text(raw, "Severity")),
        packages=(package,),
        aliases=aliases,
        fixable=fixed is not None,
        published=fields.day_or_moment(raw, "PublishedDate"),
        url=fields.optional(raw, "PrimaryURL"),
        cvss=_cvss(raw.get("CVSS")),
        description=description_in(raw, "Title", "Description"),
    )


def _cvss(ratings: Any) -> float | None:
    """Return the highest score of the newest version of CVSS that any source gives (`nvd`, `ghsa`, `redhat`, …)."""
    sources = list(ratings.values()) if isinstance(ratings, dict) else []
    versions = (highest_cvss(sources, name) for name in ("V40Score", "V3Score", "V2Score"))
    return next((score for score in versions if score is not None), None)


def _why_incomplete(results: list[_Result]) -> str:
    """Say why the report is incomplete: without scanned packages, no vulnerabilities proves nothing."""
    if any(result.shows_packages or result.vulnerabilities for result in results):
        return ""
    return (
        "Trivy lists no packages that it scanned, so nobody can tell whether it found nothing or read nothing"
        " (scan with --scanners vuln --list-all-pkgs)"
    )


def _notes(document: Raw, results: list[_Result]) -> list[str]:
    notes = []
    kind = fields.optional(document, "ArtifactType")
    if kind and kind != _IMAGE:
        notes.append(f"Trivy scanned a {kind.replace('_', ' ')}, not a container image")
    system: Any = fields.inner(document, "Metadata", "OS")
    if system.get("EOSL") is True:
        name = " ".join(filter(None, (fields.optional(system, "Family"), fields.optional(system, "Name"))))
        notes.append(
            f"{name} is no longer supported by its distributor: not all of its vulnerabilities are known"
        )
    unread: dict[str, int] = fields.unread_sections(document, _REPORT)
    for result in results:
        unread |= {name: unread.get(name, 0) + number for name, number in result.unread.items()}
    notes += fields.unread_notes(unread, "Trivy")
    set_aside = sum(result.set_aside for result in results)
    if set_aside:
        notes.append(
            f"{set_aside} findings were set aside by Trivy's own settings (.trivyignore, VEX), not by the policy"
        )
    return notes
