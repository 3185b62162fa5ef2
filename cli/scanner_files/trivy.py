"""Trivy's JSON (`trivy image --format json`): pkg/types/report.go and vulnerability.go of Trivy, SchemaVersion 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.scanner_files import fields
from cli.scanner_files.fields import MalformedError, Raw
from cli.scanner_files.naming import digest_in, platform_of, preferred, type_of
from cli.scanner_files.report import Report, knows
from imagegate.domain.finding import Finding, Package, Severity

_SCHEMA = 2
_IMAGE = "container_image"
# Result.Type (pkg/fanal/types/const.go) → package URL type, for what has no package URL.
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
_PACKAGES = ("os-pkgs", "lang-pkgs")


def is_report(document: Raw) -> bool:
    return "SchemaVersion" in document


def read(document: Raw) -> Report:
    """Raise `MalformedError`."""
    version = document.get("SchemaVersion")
    if version != _SCHEMA:
        raise MalformedError(f"{_SCHEMA} is understood, not {str(version)[:20]!a}", "SchemaVersion")
    results = fields.each(document, "Results", read=_Result)
    config = fields.plain(document, "Metadata", "ImageConfig")
    target = fields.optional(document, "ArtifactName")
    return Report(
        scanner="trivy",
        findings=[finding for result in results for finding in result.findings],
        knows=knows("trivy"),
        target=target,
        config=config,
        digest=digest_in([target or ""]) or digest_in(fields.texts(document, "Metadata", "RepoDigests")),
        platform=platform_of(config),
        completed_at=fields.moment(document, "CreatedAt"),
        why=_why(results),
        notes=tuple(_notes(document, results)),
    )


class _Result:
    """One element of `Results`: the packages of the operating system, or those of one language in one place."""

    def __init__(self, raw: Raw) -> None:
        kind = fields.optional(raw, "Type")
        self.shows_packages = fields.optional(raw, "Class") in _PACKAGES
        ecosystem = _ECOSYSTEMS.get(kind or "")
        self.findings = fields.each(raw, "Vulnerabilities", read=lambda one: _finding(one, ecosystem))
        self.set_aside = len(fields.elements(raw, "ExperimentalModifiedFindings"))


def _finding(raw: Raw, ecosystem: str | None) -> Finding:
    name, aliases = preferred(fields.text(raw, "VulnerabilityID"), fields.texts(raw, "VendorIDs"))
    fixed = fields.optional(raw, "FixedVersion")
    purl = fields.optional(raw, "PkgIdentifier", "PURL")
    package = Package(
        name=fields.text(raw, "PkgName"),
        installed=fields.optional(raw, "InstalledVersion"),
        fixed=fixed,
        ecosystem=type_of(purl) or ecosystem,
        purl=purl,
        # The digest is what a manifest names the layer by; images that were not pulled have only the other.
        layer=fields.optional(raw, "Layer", "Digest") or fields.optional(raw, "Layer", "DiffID"),
        path=fields.optional(raw, "PkgPath"),
    )
    return Finding(
        vulnerability=name,
        severity=Severity.parse(fields.text(raw, "Severity")),
        packages=(package,),
        aliases=aliases,
        fixable=fixed is not None,
        published=fields.day_or_moment(raw, "PublishedDate"),
        url=fields.optional(raw, "PrimaryURL"),
    )


def _why(results: list[_Result]) -> str:
    """No packages that were looked at is not the same as no vulnerabilities."""
    if any(result.shows_packages or result.findings for result in results):
        return ""
    return (
        "Trivy names no packages that it looked at, so it cannot be told whether it found nothing or read nothing"
        " (scan with --scanners vuln --list-all-pkgs)"
    )


def _notes(document: Raw, results: list[_Result]) -> list[str]:
    notes = []
    kind = fields.optional(document, "ArtifactType")
    if kind and kind != _IMAGE:
        notes.append(f"Trivy looked at a {kind.replace('_', ' ')}, not at a container image")
    system: Any = fields.inner(document, "Metadata", "OS")
    if system.get("EOSL") is True:
        name = " ".join(filter(None, (fields.optional(system, "Family"), fields.optional(system, "Name"))))
        notes.append(
            f"{name} is no longer supported by its distributor: not all of its vulnerabilities are known"
        )
    set_aside = sum(result.set_aside for result in results)
    if set_aside:
        notes.append(
            f"{set_aside} findings were set aside by Trivy's own settings (.trivyignore, VEX), not by the policy"
        )
    return notes
