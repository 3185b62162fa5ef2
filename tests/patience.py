"""The time that tests wait for something that must happen: machines are busy, but a test must still fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 90.0
# Looks come less often with time: what is waited for needs the processor too.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25


def eventually(look: Callable[[], T | None], what: str = "it", seconds: float = PATIENCE_SECONDS) -> T:
    """Return the first truthy answer. Tests call this for each step instead of sleeping."""
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(pause)
        pause = min(pause * 1.3, _LONGEST_PAUSE)
    return found
