"""Durations: as people write them in options, and as texts show them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from imagegate.duration import parse_duration
from imagegate.text import counted

# The ledger's index keeps attempts for so long.
LEDGER_DAYS = 90


class DurationType(click.ParamType[float]):
    """A time to wait, in seconds: `90`, `90s`, `5m`, `1.5h`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        # A number alone counts seconds.
        duration = parse_duration(f"{value}s" if value[-1:].isdigit() else value, "smh", decimals=True)
        if duration is None:
            self.fail(f"{value!r} is no duration; write 90s, 5m or 1h")
        return duration.total_seconds()


class PeriodType(click.ParamType[timedelta]):
    """A period up to now, at most 90 days: `12h`, `7d`, `2w`."""

    name = "period"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        period = parse_duration(value, "hdw")
        if not period or period > timedelta(days=LEDGER_DAYS):
            self.fail(f"{value!r} is no period; write 12h, 7d or 2w, at most {LEDGER_DAYS}d")
        return period


def period_in_words(period: timedelta) -> str:
    """Return `7 days`, `1 day` or `12 hours`."""
    is_days = period % timedelta(days=1) == timedelta()
    number, unit = (period.days, "day") if is_days else (period // timedelta(hours=1), "hour")
    return counted(number, unit)


def span(seconds: float) -> str:
    """Return `1.9 s`, `42 s`, `12 min`, `3 h` or `5 d`."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
