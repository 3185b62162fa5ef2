"""Durations as people write them, a number and a unit (`45s`, `30m`, `2h`, `7d`, `2w`), and as messages show them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

UNITS: Mapping[str, timedelta] = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_WHOLE, _DECIMAL = "[0-9]{1,6}", r"[0-9]{1,6}(?:\.[0-9]{1,6})?"


def duration_pattern(units: str = "smhd", *, decimals: bool = False) -> str:
    """Return the regular expression of a whole duration: its number, then one of the letters of `units`."""
    return f"({_DECIMAL if decimals else _WHOLE})([{units}])"


def parse_duration(text: str, units: str = "smhd", *, decimals: bool = False) -> timedelta | None:
    """Return the duration, or None if the text is not a number and one of the letters of `units`."""
    match = re.fullmatch(duration_pattern(units, decimals=decimals), text)
    if match is None:
        return None
    number = float(match[1]) if decimals else int(match[1])
    return number * UNITS[match[2]]


def format_duration(duration: timedelta) -> str:
    """Return `45 s`, `30 min` or `2 h`: a number of the largest of these units that divides the duration."""
    seconds = int(duration.total_seconds())
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
