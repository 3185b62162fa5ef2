"""The difference between an image and the current one of the next stage: findings, size, base and packages.

A package without findings is not in a scan, and so is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagegate.findings.finding import Finding, Place, Severity

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef

NAMED = 10  # the most findings, packages and platforms that are named; the rest is counted
_RANK = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Seen:
    """A vulnerability in one package of the image."""

    severity: Severity
    vulnerability: str
    package: str = ""
    installed: str | None = None
    fixed: str | None = None
    cvss: float | None = None
    description: str | None = None


Places = Mapping[Place, Seen]


def seen(findings: Iterable[Finding]) -> dict[Place, Seen]:
    """Return each place once, with its gravest severity on any platform."""
    places: dict[Place, Seen] = {}
    for finding in findings:
        for place, one in zip(finding.places, _each(finding), strict=True):
            known = places.get(place)
            if known is None or _RANK[one.severity] < _RANK[known.severity]:
                places[place] = one
    return places


def _each(finding: Finding) -> Iterator[Seen]:
    if not finding.packages:
        yield Seen(
            finding.severity, finding.vulnerability, cvss=finding.cvss, description=finding.description
        )
    for package in finding.packages:
        yield Seen(
            finding.severity,
            finding.vulnerability,
            package.name,
            package.installed,
            package.fixed,
            finding.cvss,
            finding.description,
        )


@dataclass(frozen=True, slots=True)
class ComparedPlatform:
    """One platform of an image; a single-platform image has one without a name."""

    platform: str = ""
    size: int | None = None  # bytes, compressed; None if not known
    base: str = ""


@dataclass(frozen=True, slots=True)
class ComparedImage:
    """One image to compare. `places` is None if its findings were not kept."""

    image: ImageRef
    tags: tuple[str, ...] = ()
    places: Places | None = None
    parts: tuple[ComparedPlatform, ...] = ()


@dataclass(frozen=True, slots=True)
class SeverityChange:
    severity: Severity
    added: int
    removed: int
    still: int


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package whose version differs. A version is None if the image has no such package, or no finding in it."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class PartChange:
    platform: str
    before: ComparedPlatform | None
    after: ComparedPlatform | None


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two images. `severities` is None if the findings of one were not kept."""

    before: ComparedImage
    severities: tuple[SeverityChange, ...] | None
    added: tuple[Seen, ...]  # the gravest first, all of them
    removed: tuple[Seen, ...]
    packages: tuple[PackageChange, ...]
    parts: tuple[PartChange, ...]

    @property
    def summary(self) -> str:
        """A summary: `Adds 1 HIGH, 2 LOW; removes none.`"""
        changes = self.severities or ()
        added = [f"{one.added} {one.severity}" for one in changes if one.added]
        removed = [f"{one.removed} {one.severity}" for one in changes if one.removed]
        return f"Adds {', '.join(added) or 'no findings'}; removes {', '.join(removed) or 'none'}."


def difference(before: ComparedImage, after: ComparedImage) -> Difference:
    """Return what changes if `after` replaces `before`."""
    parts = tuple(_parts(before, after))
    if before.places is None or after.places is None:
        return Difference(before, None, (), (), (), parts)
    return Difference(
        before,
        tuple(_severities(before.places, after.places)),
        _gravest(before.places, after.places),
        _gravest(after.places, before.places),
        tuple(_packages(before.places, after.places)),
        parts,
    )


def _gravest(without: Places, among: Places) -> tuple[Seen, ...]:
    left = [one for place, one in among.items() if place not in without]
    return tuple(sorted(left, key=lambda one: (_RANK[one.severity], one.vulnerability, one.package)))


def _severities(before: Places, after: Places) -> Iterator[SeverityChange]:
    for severity in Severity:
        new = [place for place, one in after.items() if one.severity is severity]
        old = [place for place, one in before.items() if one.severity is severity]
        still = sum(place in before for place in new)
        change = SeverityChange(severity, len(new) - still, sum(place not in after for place in old), still)
        if new or old:
            yield change


def _packages(before: Places, after: Places) -> Iterator[PackageChange]:
    old, new = _versions(before), _versions(after)
    for name in sorted({*old, *new} - {""}):
        if old.get(name) != new.get(name):
            yield PackageChange(name, old.get(name), new.get(name))


def _versions(places: Places) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for one in places.values():
        found.setdefault(one.package, set()).add(one.installed or "unknown version")
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def _parts(before: ComparedImage, after: ComparedImage) -> Iterator[PartChange]:
    if len(before.parts) == len(after.parts) == 1:  # one of them may not name its platform
        yield PartChange(after.parts[0].platform, before.parts[0], after.parts[0])
        return
    old = {part.platform: part for part in before.parts}
    new = {part.platform: part for part in after.parts}
    for platform in sorted({*old, *new}):
        yield PartChange(platform, old.get(platform), new.get(platform))
