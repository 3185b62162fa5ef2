"""Readers for the findings of Amazon's scanners: ECR's own (basic) and Amazon Inspector's (enhanced).

Shapes: ImageScanFinding and EnhancedImageScanFinding of DescribeImageScanFindings, and Finding of Inspector's
ListFindings (the second one plus `epss`). Times are `datetime` objects from botocore, or text or numbers from JSON. An
image can have 100,000 findings, so these readers only look up values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypedDict

from imagegate.canonical_json import parse_timestamp, timestamp
from imagegate.errors import RejectedInputError
from imagegate.findings.finding import Finding, Package, Severity, count_severities
from imagegate.findings.scan import Basis, ScanStatus

if TYPE_CHECKING:
    from imagegate.oci.image import Digest

# Inspector's PackageManager (botocore, inspector2 model, and names seen in answers of ECR) → package URL type.
# Packages of operating systems are deb, rpm or apk; neither service says which.
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
# How the ids of advisories begin; `relatedVulnerabilities` has links as well.
_ADVISORIES = (
    *("CVE-", "GHSA-", "ALAS", "RHSA-", "RHBA-", "RHEA-", "ELSA-", "RLSA-", "ALSA-", "DSA-", "DLA-", "USN-"),
    *("SUSE-", "openSUSE-", "GO-", "PYSEC-", "RUSTSEC-", "SNYK-", "OSV-", "MAL-", "TEMP-", "CGA-", "BIT-"),
)
_NO_FIX = ("NotAvailable", "", None)
_HIGHEST_CVSS = 10
# Attributes of a basic finding, the newest version of CVSS first.
_CVSS_ATTRIBUTES = ("CVSS4_SCORE", "CVSS3_SCORE", "CVSS2_SCORE")
_YES_NO: Mapping[object, bool] = {"YES": True, "NO": False}


class VulnerablePackage(TypedDict, total=False):
    """The members that are read of a package; the types below are alike. Most of what the services send is not read."""

    name: Any
    version: Any
    epoch: Any
    release: Any
    fixedInVersion: Any
    packageManager: Any
    sourceLayerHash: Any
    filePath: Any


class VulnerabilityDetails(TypedDict, total=False):
    vulnerablePackages: list[VulnerablePackage] | None
    vulnerabilityId: Any
    relatedVulnerabilities: Any
    vendorCreatedAt: Any
    sourceUrl: Any


class EnhancedFinding(TypedDict, total=False):
    packageVulnerabilityDetails: VulnerabilityDetails | None
    title: Any
    severity: Any
    fixAvailable: Any
    exploitAvailable: Any
    epss: Any
    findingArn: Any
    description: Any
    score: Any


class ScanFindings(TypedDict, total=False):
    imageScanCompletedAt: Any
    findingSeverityCounts: Any
    findings: Any
    enhancedFindings: list[EnhancedFinding] | None


class ScanPage(TypedDict, total=False):
    """An answer of DescribeImageScanFindings."""

    imageScanStatus: Any
    imageScanFindings: ScanFindings
    nextToken: Any


def parse_basic_finding(raw: Any) -> Finding:
    """Read an element of `findings`. It has one package at most, and says nothing about fixes or exploits."""
    attributes = {entry["key"]: entry.get("value") for entry in raw.get("attributes", ())}
    name = attributes.get("package_name")
    return Finding(
        vulnerability=raw.get("name") or "unnamed",
        severity=Severity.parse(raw.get("severity")),
        packages=(Package(name, attributes.get("package_version") or None),) if name else (),
        url=raw.get("uri") or None,
        cvss=read_cvss(next(filter(None, map(attributes.get, _CVSS_ATTRIBUTES)), None)),
        description=read_description(raw.get("description")),
    )


def parse_enhanced_finding(raw: Any) -> Finding:
    """Read an element of `enhancedFindings`, or of Inspector's `findings`.

    It counts as one finding, whatever the number of its packages, as in the scan's summary.
    """
    details = raw.get("packageVulnerabilityDetails") or {}
    packages = tuple([_package(package) for package in details.get("vulnerablePackages") or ()])
    name = details.get("vulnerabilityId") or raw.get("title") or "unnamed"
    created, score = details.get("vendorCreatedAt"), raw.get("score")
    return Finding(
        vulnerability=name,
        severity=Severity.parse(raw.get("severity")),
        packages=packages,
        aliases=_aliases(name, details.get("relatedVulnerabilities")),
        fixable=_fixable(raw.get("fixAvailable"), packages),
        exploit=_YES_NO.get(raw.get("exploitAvailable")),
        epss=(raw.get("epss") or {}).get("score"),
        published=created and read_time(created),
        url=details.get("sourceUrl") or None,
        arn=raw.get("findingArn") or None,
        cvss=score if type(score) is float and 0 < score <= _HIGHEST_CVSS else _other_score(raw, details),
        description=read_description(raw.get("description")),
    )


def lists_other_findings(scan_findings: Any, basis: Basis) -> bool:
    """Return True if `imageScanFindings` has findings in the form of the other scanner."""
    return any(scan_findings.get(form) for other, form in _FORMS.items() if other is not basis)


def read_findings(scan_findings: Any, basis: Basis) -> Iterator[Finding]:
    """Read the findings of this scanner from `imageScanFindings`."""
    return map(_READERS[basis], scan_findings.get(_FORMS[basis]) or ())


def read_cvss(value: object) -> float | None:
    """Return a score up to 10, also if it is written as text; or None for 0, which means unknown, and anything else."""
    try:
        score = float(value) if isinstance(value, int | float | str) and value is not True else 0.0
    except (ValueError, OverflowError):
        return None
    return score if 0 < score <= _HIGHEST_CVSS else None


def read_description(value: object) -> str | None:
    return value if value and isinstance(value, str) else None


def _other_score(raw: Any, details: Any) -> float | None:
    """Return Inspector's score as its own API names it, else the highest of CVSS; the pipeline reads neither."""
    ratings = details.get("cvss")
    listed = (
        [one.get("baseScore") for one in ratings if isinstance(one, dict)]
        if isinstance(ratings, list)
        else []
    )
    scores = [read_cvss(value) for value in (raw.get("score"), raw.get("inspectorScore"), *listed)]
    return next((score for score in scores if score is not None), None)


def read_time(value: object) -> str | None:
    """Return RFC 3339 text or a day for a `datetime`, a text or seconds since 1970; or None if the value is no time."""
    try:
        if isinstance(value, str):
            return _read_text_time(value)
        if isinstance(value, int | float):
            return timestamp(datetime.fromtimestamp(value, UTC))
        return timestamp(value) if isinstance(value, datetime) else None
    except (RejectedInputError, ValueError, OverflowError, OSError):
        return None


@lru_cache(maxsize=1024)  # the findings of one vulnerability have one time
def _read_text_time(text: str) -> str:
    """Return the time or the day. Raises `ValueError` or `RejectedInputError`."""
    is_day = len(text) == len("2026-11-21")
    return date.fromisoformat(text).isoformat() if is_day else timestamp(parse_timestamp(text))


def _package(raw: Any) -> Package:
    fixed = raw.get("fixedInVersion")
    return Package(
        name=raw.get("name") or "",
        installed=_installed(raw),
        # ECR writes the epoch 0 into fixed versions, but gives the installed version's epoch in a field of its own.
        fixed=None if fixed in _NO_FIX else fixed.removeprefix("0:"),
        ecosystem=_ECOSYSTEMS.get(raw.get("packageManager")),
        layer=raw.get("sourceLayerHash") or None,
        path=raw.get("filePath") or None,
    )


def _installed(raw: Any) -> str | None:
    """Return the version as distributions write it: `[epoch:]version[-release]`."""
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


def _fixable(fix_available: object, packages: tuple[Package, ...]) -> bool | None:
    """Return whether every package has a fix, or None if that is unknown.

    Inspector's PARTIAL means that only some packages have one. YES counts only with a fixed version for each package.
    """
    if fix_available == "YES":
        return None if [package for package in packages if not package.fixed] else True
    return False if fix_available in ("NO", "PARTIAL") else None


# The member of the answer that has the findings of each scanner; the two have different forms.
_FORMS: Mapping[Basis, str] = {Basis.BASIC: "findings", Basis.ENHANCED: "enhancedFindings"}
_READERS: Mapping[Basis, Callable[[Any], Finding]] = {
    Basis.BASIC: parse_basic_finding,
    Basis.ENHANCED: parse_enhanced_finding,
}


def read_status(digest: Digest, head: Any, basis: Basis = Basis.BASIC) -> ScanStatus:
    """Read a response of DescribeImageScanFindings; `{}` if no scan is known.

    The response does not name the scanner: both say COMPLETE, and an empty list has no form.
    """
    state, findings = head.get("imageScanStatus", {}), head.get("imageScanFindings", {})
    completed, counts = findings.get("imageScanCompletedAt"), findings.get("findingSeverityCounts")
    return ScanStatus(
        image=digest,
        status=state.get("status"),
        description=state.get("description", ""),
        completed_at=read_time(completed) if completed else None,
        counts=count_severities(counts or {}),
        lists_findings=any(read_findings(findings, basis)),
        basis=basis,
        has_counts=counts is not None,
        lists_others=lists_other_findings(findings, basis),
    )
