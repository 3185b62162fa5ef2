"""The only module of the product that reads the wall clock.

Everything else takes the time, or a `Clock`, as an argument; a contract test finds what does not.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the time, in UTC."""


def utc_now() -> datetime:
    """Return the time, by the clock of this machine."""
    return datetime.now(UTC)
