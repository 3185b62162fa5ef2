"""The period of an evidence pack, as people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import click

_QUARTER = re.compile(r"([0-9]{4})-Q([1-4])")
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")


@dataclass(frozen=True, slots=True)
class AuditPeriod:
    """Whole days in UTC, from `first` to `last`."""

    first: date
    last: date

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the period of `2026-Q3`, `2026-09` or `2026-07-01..2026-09-30`, or None for another text."""
        try:
            if match := _QUARTER.fullmatch(text):
                year, quarter = int(match[1]), int(match[2])
                return cls._of_months(year, 3 * quarter - 2, 3)
            if match := _MONTH.fullmatch(text):
                return cls._of_months(int(match[1]), int(match[2]), 1)
            first, dots, last = text.partition("..")
            period = cls(date.fromisoformat(first), date.fromisoformat(last)) if dots else None
        except ValueError:
            return None
        return period if period and period.first <= period.last else None

    @classmethod
    def _of_months(cls, year: int, month: int, number: int) -> Self:
        end = year * 12 + month - 1 + number
        return cls(date(year, month, 1), date(end // 12, end % 12 + 1, 1) - timedelta(days=1))

    @property
    def since(self) -> datetime:
        """The begin of the first day."""
        return datetime.combine(self.first, datetime.min.time(), UTC)

    @property
    def until(self) -> datetime:
        """The begin of the day after the last."""
        return datetime.combine(self.last + timedelta(days=1), datetime.min.time(), UTC)

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"


class AuditPeriodType(click.ParamType[AuditPeriod]):
    """A period on the command line."""

    name = "period"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> AuditPeriod:
        if isinstance(value, AuditPeriod):
            return value
        period = AuditPeriod.parse(value)
        if period is None:
            self.fail(f"{value!r} is no period; write 2026-Q3, 2026-09 or 2026-07-01..2026-09-30")
        return period
