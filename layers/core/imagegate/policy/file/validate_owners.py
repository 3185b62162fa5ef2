"""Faults of the owners in a policy file: patterns that no repository can match, or that an earlier one hides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from imagegate.policy.file.yaml import PathFault

_MAX_OWNERS = 200
# The characters of ECR's repository names, and the wildcards.
_PATTERN = re.compile(r"[a-z0-9._/*?\[\]!-]+")


def owner_faults(owners: object) -> Iterator[PathFault]:
    """Yield every fault of the patterns, with its path. Owners themselves are checked by the shape."""
    patterns = [pattern for pattern in owners if isinstance(pattern, str)] if isinstance(owners, dict) else []
    if len(patterns) > _MAX_OWNERS:
        yield ("owners",), f"more than {_MAX_OWNERS} patterns"
        return
    for number, pattern in enumerate(patterns):
        if not _PATTERN.fullmatch(pattern):
            yield (
                ("owners", pattern),
                "no repository can match it: lower case, digits, . _ - / and the wildcards * and ?",
            )
        elif hiding := next((one for one in patterns[:number] if _hides(one, pattern)), None):
            yield (
                ("owners", pattern),
                f"is never reached: {hiding!r} before it matches the same; the first counts",
            )


def _hides(earlier: str, later: str) -> bool:
    """Say whether the earlier pattern matches all that the later one does; only `*` matches wildcards, too."""
    return not set("?[") & set(earlier) and fnmatchcase(later, earlier)
