"""The pace of many requests to one service, below its quota."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock


class RequestPace:
    """Spaces requests by at least `1 / per_second` seconds. Threads may share it."""

    def __init__(
        self,
        per_second: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gap, self._sleep, self._clock = 1 / per_second, sleep, clock
        self._next = clock()
        self._lock = Lock()

    def wait(self) -> None:
        """Wait until the next request may go out."""
        with self._lock:
            now = self._clock()
            pause = self._next - now
            self._next = max(self._next, now) + self._gap
        if pause > 0:
            self._sleep(pause)
