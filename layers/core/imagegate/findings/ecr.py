"""Findings as Amazon's scanners give them: ECR's own (basic) and Amazon Inspector's (enhanced).

Shapes: ImageScanFinding and EnhancedImageScanFinding of DescribeImageScanFindings, Finding of Inspector's ListFindings
(the second plus `epss`), with times as botocore reads them or as JSON text has them. An image can have 100,000 of
them, so there are only look-ups here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from imagegate.canonical_json import parse_timestamp, timestamp
from imagegate.errors import RejectedInputError
from imagegate.findings.finding import Finding, Package, Severity
from imagegate.findings.scan import Basis

# Inspector's PackageManager (botocore, inspector2 model, and names that ECR was seen to use) → package URL type.
# OS packages are deb, rpm or apk, and neither service says which.
_ECOSYSTEMS: Mapping[str, str] = {
    **dict.fromkeys(("NODEPKG", "NPM", "YARN", "PNPM"), "npm"),
    **dict.fromkeys(("PYTHONPKG", "PIP", "PIPENV", "POETRY", "UV"), "pypi"),
    **dict.fromkeys(("JAR", "POM", "GRADLE", "MAVEN"), "maven"),
    **dict.fromkeys(("GOBINARY", "GOMOD", "GO_MODULE", "GO"), "golang"),
    **dict.fromkeys(("BUNDLER", "GEMSPEC"), "gem"),
    **dict.fromkeys(("NUGET", "DOTNET_CORE"), "nuget"),
    "CARGO": "cargo",
    "COMPOSER": "composer",
    "GENERIC": "generic",
}
# What the ids of advisories begin with; related vulnerabilities can be links, too.
_ADVISORIES = (
    *("CVE-", "GHSA-", "ALAS", "RHSA-", "RHBA-", "RHEA-", "ELSA-", "RLSA-", "ALSA-", "DSA-", "DLA-", "USN-"),
    *("SUSE-", "openSUSE-", "GO-", "PYSEC-", "RUSTSEC-", "SNYK-", "OSV-", "MAL-", "TEMP-", "CGA-", "BIT-"),
)
_NO_FIX = ("NotAvailable", "", None)
_YES_NO: Mapping[object, bool] = {"YES": True, "NO": False}


def basic(raw: Any) -> Finding:
    """Read an element of `findings`: one package at most, and not a word about fixes or exploits."""
    attributes = {entry["key"]: entry.get("value") for entry in raw.get("attributes", ())}
    name = attributes.get("package_name")
    return Finding(
        vulnerability=raw.get("name") or "unnamed",
        severity=Severity.parse(raw.get("severity")),
        packages=(Package(name, attributes.get("package_version") or None),) if name else (),
        url=raw.get("uri") or None,
    )


def enhanced(raw: Any) -> Finding:
    """Read an element of `enhancedFindings`, or of Inspector's `findings`.

    However many packages it names, it counts once, as in the scan's summary.
    """
    details = raw.get("packageVulnerabilityDetails") or {}
    packages = tuple([_package(package) for package in details.get("vulnerablePackages") or ()])
    name = details.get("vulnerabilityId") or raw.get("title") or "unnamed"
    created = details.get("vendorCreatedAt")
    return Finding(
        vulnerability=name,
        severity=Severity.parse(raw.get("severity")),
        packages=packages,
        aliases=_aliases(name, details.get("relatedVulnerabilities")),
        fixable=_fixable(raw.get("fixAvailable"), packages),
        exploit=_YES_NO.get(raw.get("exploitAvailable")),
        epss=(raw.get("epss") or {}).get("score"),
        published=created and published(created),
        url=details.get("sourceUrl") or None,
        arn=raw.get("findingArn") or None,
    )


def lists_others(found: Any, basis: Basis) -> bool:
    """`imageScanFindings` has findings in the form of the other scanner."""
    return any(found.get(form) for other, form in _FORMS.items() if other is not basis)


def listed(found: Any, basis: Basis) -> Iterator[Finding]:
    """The findings of this scanner."""
    return map(_READERS[basis], found.get(_FORMS[basis], ()))


def published(value: object) -> str | None:
    """RFC 3339, or a day, of what botocore reads as a time and JSON has as text or seconds; None: it is neither."""
    try:
        if isinstance(value, datetime):
            return timestamp(value)
        if isinstance(value, int | float):
            return timestamp(datetime.fromtimestamp(value, UTC))
        if isinstance(value, str) and len(value) == len("2026-11-21"):
            return date.fromisoformat(value).isoformat()
        return timestamp(parse_timestamp(value))
    except (RejectedInputError, ValueError, OverflowError, OSError):
        return None


def _package(raw: Any) -> Package:
    fixed = raw.get("fixedInVersion")
    return Package(
        name=raw.get("name") or "",
        installed=_installed(raw),
        # ECR writes the epoch 0 in fixed versions, and beside installed ones: without it both compare.
        fixed=None if fixed in _NO_FIX else fixed.removeprefix("0:"),
        ecosystem=_ECOSYSTEMS.get(raw.get("packageManager")),
        layer=raw.get("sourceLayerHash") or None,
        path=raw.get("filePath") or None,
    )


def _installed(raw: Any) -> str | None:
    """`[epoch:]version[-release]`, as distributions write it."""
    version = raw.get("version")
    if not version:
        return None
    epoch, release = raw.get("epoch"), raw.get("release")
    if release:
        version = f"{version}-{release}"
    return f"{epoch}:{version}" if epoch else version


def _aliases(name: str, related: Any) -> tuple[str, ...]:
    if not related:
        return ()
    return tuple(dict.fromkeys(other for other in related if other != name and other.startswith(_ADVISORIES)))


def _fixable(said: object, packages: tuple[Package, ...]) -> bool | None:
    """Inspector's PARTIAL: for some packages only. A yes without a version for each package is no yes."""
    if said == "YES":
        return True if all(package.fixed for package in packages) else None
    return False if said in ("NO", "PARTIAL") else None


# The findings of the two scanners have two forms, and each a member of the answer.
_FORMS: Mapping[Basis, str] = {Basis.BASIC: "findings", Basis.ENHANCED: "enhancedFindings"}
_READERS: Mapping[Basis, Callable[[Any], Finding]] = {Basis.BASIC: basic, Basis.ENHANCED: enhanced}
