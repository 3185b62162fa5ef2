"""The only module of the product that reads the wall clock.

All others take the time, or a `Clock`, as an argument; a contract test finds those that do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the time, in UTC."""


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


def stopwatch() -> Callable[[], float]:
    """Return a function that returns the seconds since this call."""
    start = time.monotonic()
    return lambda: time.monotonic() - start
