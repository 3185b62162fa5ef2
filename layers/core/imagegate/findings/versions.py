"""The comparison of versions by the rules of each ecosystem (`univers`, loaded when first needed).

Rule: builds choose their versions, and the library raises what each of its readers raises. A version that cannot be
read or compared is unknown, and never a fault.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
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
_LONGEST = 256  # characters; some readers take seconds for thousands
_CONSTRAINT = re.compile(r"(<=|>=|!=|<|>|=)?\s*([^\s<>=!,]+)")


def later(one: str, other: str, ecosystem: str | None) -> str | None:
    """Return the later of two versions, or None if they cannot be compared."""
    is_later = _holds(">=", _version(one, ecosystem), _version(other, ecosystem))
    return None if is_later is None else one if is_later else other


def satisfies(version: str, constraints: str, ecosystem: str | None) -> bool | None:
    """Return whether a version satisfies constraints such as `>=2.0, <2.17.1`, or None if that is unknown."""
    installed = _version(version, ecosystem)
    for constraint in constraints.split(","):
        match = _CONSTRAINT.fullmatch(constraint.strip())
        holds = _holds(match[1] or "=", installed, _version(match[2], ecosystem)) if match else None
        if not holds:
            return holds
    return True


def is_range(text: str) -> bool:
    """Return True if `satisfies` can read the text as constraints."""
    return all(_CONSTRAINT.fullmatch(part.strip()) for part in text.split(","))


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


def _holds(sign: str, installed: Any, limit: Any) -> bool | None:
    """Compare two versions; return None if one of them is None, or if they cannot be compared."""
    if installed is None or limit is None:
        return None
    try:
        return bool(_OPERATORS[sign](installed, limit))
    except Exception:  # noqa: BLE001 - see the rule above
        return None


def _version(text: str, ecosystem: str | None) -> Any:
    # Imported here: it takes 6 ms, and few images need it.
    from univers import versions

    if len(text) > _LONGEST:
        return None
    try:
        return getattr(versions, _CLASSES.get(ecosystem, "DebianVersion"))(text)
    except Exception:  # noqa: BLE001 - see the rule above
        return None


VERSIONS = Versions(satisfies, later)
