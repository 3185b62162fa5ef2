"""The comparison of versions by the rules of each ecosystem (`univers`, loaded when first needed)."""

from __future__ import annotations

import re
from typing import Any

from imagegate.findings.finding import Versions

# The order of versions for each package URL type. No type means a package of an unknown operating system: Debian's
# order agrees with RPM's for versions that both can write.
_CLASSES = {
    "deb": "DebianVersion",
    "rpm": "RpmVersion",
    "apk": "AlpineLinuxVersion",
    "pypi": "PypiVersion",
    "npm": "SemverVersion",
    "maven": "MavenVersion",
    "golang": "GolangVersion",
    "gem": "RubygemsVersion",
    "nuget": "NugetVersion",
    "cargo": "SemverVersion",
    "composer": "ComposerVersion",
    None: "DebianVersion",
}
_CONSTRAINT = re.compile(r"(<=|>=|!=|<|>|=)?\s*([^\s<>=!,]+)")


def later(one: str, other: str, ecosystem: str | None) -> str | None:
    """Return the later of two versions, or None if they cannot be compared."""
    versions = _version(one, ecosystem), _version(other, ecosystem)
    if None in versions:
        return None
    try:
        return one if versions[0] >= versions[1] else other
    except TypeError:
        return None


def satisfies(version: str, constraints: str, ecosystem: str | None) -> bool | None:
    """Return whether a version satisfies constraints such as `>=2.0, <2.17.1`, or None if that is unknown."""
    installed = _version(version, ecosystem)
    if installed is None:
        return None
    for constraint in constraints.split(","):
        match = _CONSTRAINT.fullmatch(constraint.strip())
        limit = _version(match[2], ecosystem) if match else None
        if match is None or limit is None:
            return None
        try:
            if not _holds(match[1] or "=", installed, limit):
                return False
        except TypeError:
            return None
    return True


def is_range(text: str) -> bool:
    """Return True if `satisfies` can read the text as constraints."""
    return all(_CONSTRAINT.fullmatch(part.strip()) for part in text.split(","))


def _holds(operator: str, installed: Any, limit: Any) -> bool:
    return bool(
        {
            "<": lambda: installed < limit,
            "<=": lambda: installed <= limit,
            ">": lambda: installed > limit,
            ">=": lambda: installed >= limit,
            "=": lambda: installed == limit,
            "!=": lambda: installed != limit,
        }[operator]()
    )


def _version(text: str, ecosystem: str | None) -> Any:
    # Imported here: it takes 6 ms, and few images need it.
    from univers import versions

    try:
        return getattr(versions, _CLASSES.get(ecosystem, "DebianVersion"))(text)
    except (versions.InvalidVersion, ValueError, TypeError, AttributeError):
        return None


VERSIONS = Versions(satisfies, later)
