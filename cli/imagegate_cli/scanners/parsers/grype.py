"""Grype's JSON (`grype -o json`): grype/presenter/models of Grype."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from imagegate.findings.finding import Finding, Package, Severity
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.about import description_in, highest_cvss, listed
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import digest_in, platform_of, preferred, type_of
from imagegate_cli.scanners.report import ScannerReport, knows

# The package types of Syft → package URL type, for packages without a package URL.
_ECOSYSTEMS: Mapping[str, str] = {
    "java-archive": "maven",
    "jenkins-plugin": "maven",
    "python": "pypi",
    "go-module": "golang",
    "rust-crate": "cargo",
    "php-composer": "composer",
    "dotnet": "nuget",
    "dart-pub": "pub",
    "pod": "cocoapods",
    **{name: name for name in ("deb", "rpm", "apk", "alpm", "gem", "npm", "conda", "conan", "hex", "swift")},
}
# ECR's word for what Grype, as Debian, calls negligible.
_SEVERITIES: Mapping[str, Severity] = {"negligible": Severity.INFORMATIONAL}
# fix.state (grype/vulnerability/fix.go); any other state means unknown.
_FIXABLE: Mapping[str, bool] = {"fixed": True, "not-fixed": False, "wont-fix": False}

_KNOWN = frozenset({"matches", "ignoredMatches", "source", "distro", "descriptor"})


def is_report(document: Raw) -> bool:
    return "matches" in document and ("descriptor" in document or "source" in document)


def read(document: Raw) -> ScannerReport:
    """Read a report of Grype. Raise `MalformedError` with the path of a field that cannot be read."""
    if document["matches"] is None:
        raise MalformedError("missing", "matches")
    catalogues = _catalogues(document)
    name, image = _source(document)
    ignored = len(fields.elements(document, "ignoredMatches"))
    note = f"{ignored} matches were set aside by Grype's own rules (ignore, VEX), not by the policy"
    return ScannerReport(
        scanner="grype",
        findings=fields.each(document, "matches", read=lambda match: _finding(match, catalogues)),
        knows=knows("grype") | catalogues,
        target=name,
        config=_config(image),
        digest=digest_in([name or ""]) or digest_in(fields.texts(image, "repoDigests")),
        platform=platform_of(image),
        completed_at=fields.moment(document, "descriptor", "timestamp"),
        why=_why_incomplete(document),
        notes=(
            *((note,) if ignored else ()),
            *fields.unread_notes(fields.unread_sections(document, _KNOWN), "Grype"),
        ),
    )


def _source(document: Raw) -> tuple[str | None, Raw]:
    """Return the name of what was scanned, and its metadata if it is an image."""
    if isinstance(fields.inner(document, "source").get("target"), str):
        return fields.optional(document, "source", "target"), {}
    image = fields.inner(document, "source", "target")
    return fields.optional(image, "userInput"), image


def _catalogues(document: Raw) -> frozenset[str]:
    """Return which of EPSS and KEV this report uses. A match without an entry is then known to have none."""
    providers = fields.inner(document, "descriptor", "db", "providers")
    catalogues = frozenset({"epss", "kev"} & set(providers))
    return catalogues.union(*fields.each(document, "matches", read=_catalogues_of_match))


def _catalogues_of_match(match: Raw) -> frozenset[str]:
    lists = {"epss": "epss", "kev": "knownExploited"}
    return frozenset(name for name, key in lists.items() if _from_all_advisories(match, key))


def _finding(match: Raw, catalogues: frozenset[str]) -> Finding:
    name, aliases = preferred(
        fields.text(match, "vulnerability", "id"),
        fields.each(match, "relatedVulnerabilities", read=lambda one: fields.text(one, "id")),
    )
    severity = fields.optional(match, "vulnerability", "severity")
    fixed, fixable = _fix(match)
    return Finding(
        vulnerability=name,
        severity=_SEVERITIES.get((severity or "").lower()) or Severity.parse(severity),
        packages=(_package(match, fixed),),
        aliases=aliases,
        fixable=fixable,
        known_exploited=bool(_from_all_advisories(match, "knownExploited")) if "kev" in catalogues else None,
        epss=max(_scores(match), default=0.0) if "epss" in catalogues else None,
        url=fields.optional(match, "vulnerability", "dataSource"),
        cvss=_cvss(match),
        description=next(filter(None, map(description_in, _advisories(match))), None),
    )


def _advisories(match: Raw) -> list[Any]:
    return [match.get("vulnerability"), *fields.elements(match, "relatedVulnerabilities")]


def _cvss(match: Raw) -> float | None:
    ratings = [one.get("cvss") for one in _advisories(match) if isinstance(one, dict)]
    metrics = [rating.get("metrics") for several in ratings for rating in listed(several)]
    return highest_cvss(metrics, "baseScore")


def _scores(match: Raw) -> list[float]:
    return [score for score in _from_all_advisories(match, "epss", _score) if score is not None]


def _score(epss: Raw) -> float | None:
    return fields.number(epss, "epss", highest=1)


def _from_all_advisories(match: Raw, key: str, read: Callable[[Raw], Any] = lambda one: one) -> list[Any]:
    """Read a list of the vulnerability itself and of all its related advisories."""
    values = fields.each(match, "vulnerability", key, read=read)
    for more in fields.each(
        match, "relatedVulnerabilities", read=lambda one: fields.each(one, key, read=read)
    ):
        values += more
    return values


def _package(match: Raw, fixed: str | None) -> Package:
    purl = fields.optional(match, "artifact", "purl")
    kind = fields.optional(match, "artifact", "type")
    places = fields.each(match, "artifact", "locations", read=_place)
    path, layer = places[0] if places else (None, None)
    return Package(
        name=fields.text(match, "artifact", "name"),
        installed=fields.optional(match, "artifact", "version"),
        fixed=fixed,
        ecosystem=type_of(purl) or _ECOSYSTEMS.get(kind or ""),
        purl=purl,
        layer=layer,
        path=path,
    )


def _place(location: Raw) -> tuple[str | None, str | None]:
    return fields.optional(location, "path"), fields.optional(location, "layerID")


def _fix(match: Raw) -> tuple[str | None, bool | None]:
    """Return the fixed version, and whether a fix exists. Newer versions of Grype suggest one of several."""
    state = fields.optional(match, "vulnerability", "fix", "state")
    versions = fields.texts(match, "vulnerability", "fix", "versions")
    suggested = fields.each(
        match, "matchDetails", read=lambda detail: fields.optional(detail, "fix", "suggestedVersion")
    )
    fixable = _FIXABLE.get(state or "")
    if not fixable or not versions:
        return None, None if fixable else fixable
    return next(filter(None, suggested), ", ".join(versions)), True


def _config(image: Raw) -> dict[str, Any] | None:
    """Decode the image configuration, which Syft stores as base64."""
    packed = fields.optional(image, "config")
    if packed is None:
        return None
    try:
        return fields.plain_object({"config": json.loads(base64.b64decode(packed, validate=True))}, "config")
    except (ValueError, MalformedError) as error:
        raise MalformedError("not JSON in base64", "source", "target", "config") from error


def _why_incomplete(document: Raw) -> str:
    fault = fields.optional(document, "descriptor", "db", "error") or fields.optional(
        document, "descriptor", "db", "status", "error"
    )
    return f"Grype had no sound database of vulnerabilities: {fault}" if fault else ""
