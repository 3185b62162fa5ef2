"""Package URLs (purl-spec) against packages as scanners name them: most of ours come without one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import quote, unquote

from imagegate.findings.finding import Package

_PURL = re.compile(
    r"pkg:([a-z][a-z0-9.+-]*)/(?:([^?#]*)/)?([^/?#@]+)(?:@([^/?#]+))?(?:\?([^#]*))?(?:#(.*))?", re.DOTALL
)
# Their names are written with the namespace, and with what in between; elsewhere a namespace is a distribution.
_SEPARATORS = {"maven": ":", "npm": "/", "golang": "/", "composer": "/"}
# Scanners of ECR do not tell whose package of an operating system it is.
_SYSTEMS = frozenset({"deb", "rpm", "apk", "alpm"})
# Packages of which nobody says what kind they are (purl-spec, type generic).
_GENERIC = "generic"
# Their names say all; those of operating systems lack the distribution.
_WHOLE_NAMES = frozenset({"maven", "npm", "golang", "composer", "pypi", "gem", "cargo", "nuget", "hex"})
_IN_URLS = "%:/?#@!$&'()*+,;=-._~"
# Where a package comes from, which its name and version say already: they narrow nothing.
_TELLING = frozenset({"upstream", "vcs_url", "download_url", "package-id"})


class Match(IntEnum):
    """Whether a name means a package or an image. The least of several decides where all have to hold."""

    NO = 0
    PERHAPS = 1  # nothing speaks against it, and something that would tell is not known
    YES = 2

    @classmethod
    def of(cls, wanted: object, known: object) -> Match:
        """Compare a narrower name with what is known: None wants nothing, or is not known."""
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
        """None: not a package URL."""
        match = _PURL.fullmatch(text)
        if match is None:
            return None
        kind, *parts = match.groups()
        namespace, name, version, _, subpath = (unquote(part) if part else part for part in parts)
        if namespace and kind in _SEPARATORS:
            name, namespace = f"{namespace}{_SEPARATORS[kind]}{name}", ""
        return PackageUrl(kind, namespace or "", name, version, _qualifiers(match[5] or ""), subpath or None)

    def names(self, package: Package) -> bool:
        """Of every version where it names none. Qualifiers are compared with those of the package's URL, if any."""
        match = self.match(package)
        return match is Match.YES or (match is Match.PERHAPS and self._without_narrowing(package))

    def match(self, package: Package) -> Match:
        """Whether it means the package; all that it names has to be known of the package."""
        if not self.is_alike(package):
            return Match.NO
        other = _url_of(package)
        version = other.version if other else package.installed
        theirs = other.qualifiers if other else {}
        narrowing = [_same_qualifier(name, value, theirs.get(name)) for name, value in self._narrowing]
        subpath = Match.of(self.subpath, other.subpath if other else None)
        return min(Match.of(self.version, version), subpath, *narrowing, Match.YES)

    def is_alike(self, package: Package) -> bool:
        """Of the same kind and name, whatever the version."""
        other = _url_of(package)
        if other is not None:
            same_kind = (self.type, self.namespace) == (other.type, other.namespace)
            return same_kind and same_name(self.name, other.name, self.type)
        if self.type == _GENERIC:
            same_kind = package.ecosystem not in _WHOLE_NAMES
        else:
            same_kind = package.ecosystem == self.type or (
                package.ecosystem is None and self.type in _SYSTEMS
            )
        return same_kind and same_name(self.name, package.name, self.type)

    @property
    def _narrowing(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self.qualifiers.items() if name not in _TELLING]

    def _without_narrowing(self, package: Package) -> bool:
        """Only qualifiers are in doubt, because the scanner gives no package URL."""
        return _url_of(package) is None and Match.of(self.version, package.installed) is Match.YES


def _url_of(package: Package) -> PackageUrl | None:
    """What a scanner writes in its place and is none tells nothing."""
    return PackageUrl.parse(package.purl) if package.purl else None


def _qualifiers(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split("&") if pair)
    return {name.lower(): unquote(value) for name, _, value in pairs if value}


def _same_qualifier(name: str, wanted: str, known: str | None) -> Match:
    """A distribution means its minor versions, too: `debian-12` is `debian-12.8`."""
    if name == "distro" and known is not None and known.startswith(f"{wanted}."):
        return Match.YES
    return Match.of(wanted, known)


def written(package: Package) -> str:
    """The package URL of a package, made up of its name where the scanner gives none; always a valid IRI."""
    if package.purl and PackageUrl.parse(package.purl):
        return quote(package.purl, safe=_IN_URLS)
    kind = package.ecosystem if package.ecosystem in _WHOLE_NAMES else _GENERIC
    separator = _SEPARATORS.get(kind or "")
    parts = package.name.split(separator) if separator else [package.name]
    name = "/".join(quote(part, safe="") for part in parts if part)
    version = f"@{quote(package.installed, safe='')}" if package.installed else ""
    return f"pkg:{kind}/{name or '-'}{version}"


def same_name(one: str, other: str, ecosystem: str | None) -> bool:
    """PyPI's names are the same in any case and with - _ or . (PEP 503); elsewhere every letter counts."""
    if ecosystem == "pypi":
        return _normalised(one) == _normalised(other)
    return one == other


def is_named(pattern: str, package: Package) -> bool:
    """Whether a glob means a package."""
    if package.ecosystem == "pypi":
        return fnmatchcase(_normalised(package.name), _normalised(pattern))
    return fnmatchcase(package.name, pattern)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
