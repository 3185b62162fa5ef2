"""ECR's wildcard: `*` matches any characters, every other character itself."""

from __future__ import annotations

import re


def matches(pattern: str, text: str) -> bool:
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text))
