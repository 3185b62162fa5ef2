"""Grype's JSON (`grype -o json`): grype/presenter/models of Grype."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from imagegate.findings.finding import Finding, Package, Severity
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import digest_in, platform_of, preferred, type_of
from imagegate_cli.scanners.report import ScannerReport, knows

# The package types of Syft → package URL type, for what has no package URL.
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
# fix.state (grype/vulnerability/fix.go); what is not named here is unknown.
_FIXABLE: Mapping[str, bool] = {"fixed": True, "not-fixed": False, "wont-fix": False}

_KNOWN = frozenset({"matches", "ignoredMatches", "source", "distro", "descriptor"})


def is_report(document: Raw) -> bool:
    return "matches" in document and ("descriptor" in document or "source" in document)


def read(document: Raw) -> ScannerReport:
    """Raise `MalformedError`."""
    if document["matches"] is None:
        raise MalformedError("missing", "matches")
    told = _told(document)
    name, image = _source(document)
    ignored = len(fields.elements(document, "ignoredMatches"))
    note = f"{ignored} matches were set aside by Grype's own rules (ignore, VEX), not by the policy"
    return ScannerReport(
        scanner="grype",
        findings=fields.each(document, "matches", read=lambda match: _finding(match, told)),
        knows=knows("grype") | told,
        target=name,
        config=_config(image),
        digest=digest_in([name or ""]) or digest_in(fields.texts(image, "repoDigests")),
        platform=platform_of(image),
        completed_at=fields.moment(document, "descriptor", "timestamp"),
        why=_why(document),
        notes=(*((note,) if ignored else ()), *fields.counted(fields.left_over(document, _KNOWN), "Grype")),
    )


def _source(document: Raw) -> tuple[str | None, Raw]:
    """What was scanned: its name, and what is known of it if it is an image."""
    if isinstance(fields.inner(document, "source").get("target"), str):
        return fields.optional(document, "source", "target"), {}
    image = fields.inner(document, "source", "target")
    return fields.optional(image, "userInput"), image


def _told(document: Raw) -> frozenset[str]:
    """Which of EPSS and KEV this document tells, be it for one match: what is not there is none then."""
    providers = fields.inner(document, "descriptor", "db", "providers")
    told = frozenset({"epss", "kev"} & set(providers))
    return told.union(*fields.each(document, "matches", read=_told_by))


def _told_by(match: Raw) -> frozenset[str]:
    lists = {"epss": "epss", "kev": "knownExploited"}
    return frozenset(name for name, key in lists.items() if _of_all(match, key))


def _finding(match: Raw, told: frozenset[str]) -> Finding:
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
        known_exploited=bool(_of_all(match, "knownExploited")) if "kev" in told else None,
        epss=max(_scores(match), default=0.0) if "epss" in told else None,
        url=fields.optional(match, "vulnerability", "dataSource"),
    )


def _scores(match: Raw) -> list[float]:
    return [score for score in _of_all(match, "epss", _score) if score is not None]


def _score(epss: Raw) -> float | None:
    return fields.number(epss, "epss", highest=1)


def _of_all(match: Raw, key: str, read: Callable[[Raw], Any] = lambda one: one) -> list[Any]:
    """What a list of the vulnerability says, as the advisory has it and as others have it."""
    found = fields.each(match, "vulnerability", key, read=read)
    for more in fields.each(
        match, "relatedVulnerabilities", read=lambda one: fields.each(one, key, read=read)
    ):
        found += more
    return found


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
    """The version that mends it, and whether there is one. Newer versions of Grype choose one of several."""
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
    """Syft keeps the bytes of the image's configuration in base64."""
    packed = fields.optional(image, "config")
    if packed is None:
        return None
    try:
        return fields.plain({"config": json.loads(base64.b64decode(packed, validate=True))}, "config")
    except (ValueError, MalformedError) as error:
        raise MalformedError("not JSON in base64", "source", "target", "config") from error


def _why(document: Raw) -> str:
    fault = fields.optional(document, "descriptor", "db", "error") or fields.optional(
        document, "descriptor", "db", "status", "error"
    )
    return f"Grype had no sound database of vulnerabilities: {fault}" if fault else ""
