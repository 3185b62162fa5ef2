"""Durations in buckets, for medians of any number of them in flat memory."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

# Neighbouring buckets differ by two per cent: a percentile is as exact as that.
_STEP = math.log(1.02)


@dataclass
class DurationCounts:
    """The number of durations in each bucket."""

    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        self.buckets[round(math.log(max(seconds, 0.001)) / _STEP)] += 1

    @property
    def number(self) -> int:
        return self.buckets.total()

    def percentile(self, percent: float) -> float | None:
        """Return the duration in seconds that so many per cent do not exceed, or None if there is no duration."""
        rank, below = math.ceil(self.number * percent / 100), 0
        for bucket in sorted(self.buckets):
            below += self.buckets[bucket]
            if below >= rank:
                return math.exp(bucket * _STEP)
        return None
