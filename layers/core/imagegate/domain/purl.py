"""Package URLs (purl-spec) against packages as scanners name them: most of ours come without one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import unquote

from imagegate.domain.finding import Package

_PURL = re.compile(r"pkg:([a-z][a-z0-9.+-]*)/(?:([^?#]*)/)?([^/?#@]+)(?:@([^/?#]+))?(?:[?#].*)?")
# Their names are written with the namespace, and with what in between; elsewhere a namespace is a distribution.
_SEPARATORS = {"maven": ":", "npm": "/", "golang": "/", "composer": "/"}
# Scanners of ECR do not tell whose package of an operating system it is.
_SYSTEMS = frozenset({"deb", "rpm", "apk", "alpm"})


@dataclass(frozen=True, slots=True)
class PackageUrl:
    type: str
    namespace: str  # of a distribution; other namespaces are part of the name
    name: str  # as the ecosystem writes it
    version: str | None

    @classmethod
    def parse(cls, text: str) -> PackageUrl | None:
        """None: not a package URL."""
        match = _PURL.fullmatch(text)
        if match is None:
            return None
        kind, namespace, name, version = (unquote(part) if part else part for part in match.groups())
        if namespace and kind in _SEPARATORS:
            name, namespace = f"{namespace}{_SEPARATORS[kind]}{name}", ""
        return cls(kind, namespace or "", name, version)

    def names(self, package: Package) -> bool:
        """Of every version where it names none."""
        if package.purl:
            return self._covers(PackageUrl.parse(package.purl))
        is_system = self.type in _SYSTEMS and package.ecosystem is None
        if not is_system and package.ecosystem != self.type:
            return False
        is_version = self.version is None or self.version == package.installed
        return is_version and same_name(self.name, package.name, self.type)

    def _covers(self, other: PackageUrl | None) -> bool:
        if other is None or (self.type, self.namespace) != (other.type, other.namespace):
            return False
        is_version = self.version is None or self.version == other.version
        return is_version and same_name(self.name, other.name, self.type)


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
