"""Package URLs (purl-spec), and how they match the packages of scanners, most of which come without one.

Read by our own code, not by packageurl-python: see ADR 33.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from imagegate.findings.finding import Package

_PURL = re.compile(
    r"pkg:([a-z][a-z0-9.+-]*)/(?:([^?#]*)/)?([^/?#@]+)(?:@([^/?#]+))?(?:\?([^#]*))?(?:#(.*))?", re.DOTALL
)
# In these types the namespace is a part of the package's name, with this separator; in others it is a distribution.
_SEPARATORS = {"maven": ":", "npm": "/", "golang": "/", "composer": "/"}
# The scanners of ECR do not say which operating system a package belongs to.
_SYSTEMS = frozenset({"deb", "rpm", "apk", "alpm"})
# Packages of unknown kind (purl-spec, type generic).
_GENERIC = "generic"
# In these types the name identifies the package; a package of an operating system needs the distribution as well.
_WHOLE_NAMES = frozenset({"maven", "npm", "golang", "composer", "pypi", "gem", "cargo", "nuget", "hex"})
_IN_URLS = "%:/?#@!$&'()*+,;=-._~"
# These qualifiers say where a package comes from; they do not restrict which package is meant.
_ORIGIN_QUALIFIERS = frozenset({"upstream", "vcs_url", "download_url", "package-id"})


class Match(IntEnum):
    """The result of comparing a name with a package or an image. If several must match, the lowest one decides."""

    NO = 0
    PERHAPS = 1  # nothing contradicts it, but a fact that would decide is unknown
    YES = 2

    @classmethod
    def of(cls, wanted: object, known: object) -> Match:
        """Compare a wanted value with the known one. `wanted` None: any value; `known` None: unknown."""
        if wanted is None or wanted == known:
            return cls.YES
        return cls.PERHAPS if known is None else cls.NO


@dataclass(frozen=True, slots=True)
class PackageUrl:
    type: str
    namespace: str  # of a distribution; other namespaces are part of the name
    name: str  # as the ecosystem writes it
    version: str | None
    qualifiers: Mapping[str, str] = field(default_factory=dict, hash=False)
    subpath: str | None = None

    @staticmethod
    @lru_cache(maxsize=1 << 16)  # the same few again and again
    def parse(text: str) -> PackageUrl | None:
        """Return the package URL, or None if the text is none: also if it gives one qualifier twice."""
        match = _PURL.fullmatch(text)
        qualifiers = _qualifiers(match[5] or "") if match else None
        if match is None or qualifiers is None:
            return None
        kind, *parts = match.groups()
        namespace, name, version, _, subpath = (unquote(part) if part else part for part in parts)
        if namespace and kind in _SEPARATORS:
            name, namespace = f"{namespace}{_SEPARATORS[kind]}{name}", ""
        return PackageUrl(kind, namespace or "", name, version, qualifiers, subpath or None)

    def names(self, package: Package) -> bool:
        """Return True if this means the package. Without a version it means every version.

        Qualifiers are compared with those of the package's own URL, if the scanner gives one.
        """
        match = self.match(package)
        is_alike = match is Match.PERHAPS and self.is_alike(package)
        return match is Match.YES or (is_alike and self._matches_without_url(package))

    def match(self, package: Package) -> Match:
        """Return whether this means the package.

        PERHAPS: a version or qualifier of the package is unknown, or its name has other capitals. In some types they
        count, and in others tools write all names in lower case (purl-spec, "Package URL types").
        """
        if not self.is_alike(package):
            return Match.PERHAPS if self._differs_by_capitals(package) else Match.NO
        other = _url_of(package)
        version = other.version if other else package.installed
        known_qualifiers = other.qualifiers if other else {}
        restrictions = [
            _same_qualifier(name, value, known_qualifiers.get(name)) for name, value in self._restrictions
        ]
        subpath = Match.of(self.subpath, other.subpath if other else None)
        return min(Match.of(self.version, version), subpath, *restrictions, Match.YES)

    def is_alike(self, package: Package) -> bool:
        """Return True if the package has the same type and name, at any version."""
        other = _url_of(package)
        if other is not None:
            same_kind = (self.type, self.namespace) == (other.type, other.namespace)
            return same_kind and names_match(self.name, other.name, self.type)
        if self.type == _GENERIC:
            same_kind = package.ecosystem not in _WHOLE_NAMES
        else:
            same_kind = package.ecosystem == self.type or (
                package.ecosystem is None and self.type in _SYSTEMS
            )
        return same_kind and names_match(self.name, package.name, self.type)

    def _differs_by_capitals(self, package: Package) -> bool:
        other = _url_of(package)
        name, kind = (other.name, other.type) if other else (package.name, package.ecosystem)
        return self.name != name and self.name.lower() == name.lower() and kind in (self.type, None)

    @property
    def _restrictions(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self.qualifiers.items() if name not in _ORIGIN_QUALIFIERS]

    def _matches_without_url(self, package: Package) -> bool:
        """Return True if only qualifiers are unknown, because the scanner gives no package URL."""
        return _url_of(package) is None and Match.of(self.version, package.installed) is Match.YES


def _url_of(package: Package) -> PackageUrl | None:
    """Return the scanner's package URL, or None if it gives none or one that is malformed."""
    return PackageUrl.parse(package.purl) if package.purl else None


def _qualifiers(text: str) -> dict[str, str] | None:
    """Return the qualifiers, or None if one is there twice: readers would take the first or the last."""
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    given = [(name.lower(), unquote(value)) for name, _, value in pairs if value]
    qualifiers = dict(given)
    return qualifiers if len(qualifiers) == len(given) else None


def _same_qualifier(name: str, wanted: str, known: str | None) -> Match:
    """Compare one qualifier. A distribution includes its minor versions: `debian-12` matches `debian-12.8`."""
    if name == "distro" and known is not None and known.startswith(f"{wanted}."):
        return Match.YES
    return Match.of(wanted, known)


def write_package_url(package: Package) -> str:
    """Return a package URL, made from the package's name if the scanner gives none. It is always a valid IRI."""
    if package.purl and PackageUrl.parse(package.purl):
        return quote(package.purl, safe=_IN_URLS)
    kind = package.ecosystem if package.ecosystem in _WHOLE_NAMES else _GENERIC
    separator = _SEPARATORS.get(kind or "")
    parts = package.name.split(separator) if separator else [package.name]
    name = "/".join(quote(part, safe="") for part in parts if part)
    version = f"@{quote(package.installed, safe='')}" if package.installed else ""
    return f"pkg:{kind}/{name or '-'}{version}"


def names_match(one: str, other: str, ecosystem: str | None) -> bool:
    """Compare two names. PyPI ignores case and the choice of - _ or . (PEP 503); elsewhere every character counts."""
    if ecosystem == "pypi":
        return _normalised(one) == _normalised(other)
    return one == other


def is_package_named(pattern: str, package: Package) -> bool:
    """Return True if the glob matches the package's name."""
    if package.ecosystem == "pypi":
        return fnmatchcase(_normalised(package.name), _normalised(pattern))
    return fnmatchcase(package.name, pattern)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
