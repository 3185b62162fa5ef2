"""How versions compare in each ecosystem (`univers`), loaded only where two have to be compared."""

from __future__ import annotations

import re
from typing import Any

from imagegate.findings.comparison import Versions

# Package URL types, and whose order their versions have. Scanners that do not tell the system speak of its packages:
# Debian's order agrees with RPM's for what both can write.
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
    """The later of two versions; None: they cannot be compared."""
    versions = _version(one, ecosystem), _version(other, ecosystem)
    if None in versions:
        return None
    try:
        return one if versions[0] >= versions[1] else other
    except TypeError:
        return None


def satisfies(version: str, constraints: str, ecosystem: str | None) -> bool | None:
    """Whether a version is within `>=2.0, <2.17.1`; None: it cannot be told."""
    ours = _version(version, ecosystem)
    if ours is None:
        return None
    for constraint in constraints.split(","):
        match = _CONSTRAINT.fullmatch(constraint.strip())
        theirs = _version(match[2], ecosystem) if match else None
        if match is None or theirs is None:
            return None
        try:
            if not _holds(match[1] or "=", ours, theirs):
                return False
        except TypeError:
            return None
    return True


def is_range(text: str) -> bool:
    """Whether the text is a range as `satisfies` reads it."""
    return all(_CONSTRAINT.fullmatch(part.strip()) for part in text.split(","))


def _holds(operator: str, ours: Any, theirs: Any) -> bool:
    return bool(
        {
            "<": lambda: ours < theirs,
            "<=": lambda: ours <= theirs,
            ">": lambda: ours > theirs,
            ">=": lambda: ours >= theirs,
            "=": lambda: ours == theirs,
            "!=": lambda: ours != theirs,
        }[operator]()
    )


def _version(text: str, ecosystem: str | None) -> Any:
    # 6 ms, and only few images need it.
    from univers import versions

    try:
        return getattr(versions, _CLASSES.get(ecosystem, "DebianVersion"))(text)
    except (versions.InvalidVersion, ValueError, TypeError, AttributeError):
        return None


VERSIONS = Versions(satisfies, later)
