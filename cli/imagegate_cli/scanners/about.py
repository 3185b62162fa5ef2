"""Facts about a vulnerability for people. No rule reads them, so a value of an unexpected form is ignored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from imagegate.findings.ecr import read_cvss, read_description


def description_in(raw: object, *keys: str) -> str | None:
    """Return the first of these members that has a text (without keys: `description`), or None."""
    members = raw if isinstance(raw, dict) else {}
    texts = (read_description(members.get(key)) for key in keys or ("description",))
    return next(filter(None, texts), None)


def highest_cvss(ratings: Iterable[object], key: str) -> float | None:
    """Return the highest score that the ratings have under this key, or None."""
    scores = [read_cvss(rating.get(key)) for rating in ratings if isinstance(rating, dict)]
    return max((score for score in scores if score is not None), default=None)


def listed(value: Any) -> list[Any]:
    """Return the objects of a list, or none if it is something else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
