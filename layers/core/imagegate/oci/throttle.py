"""The pace of requests to one registry: slower after a refusal, faster again while requests succeed.

Rules: after a refusal (429, 5xx) all threads of this process pause, as long as the registry says or a little longer
each time. Then half as many copies run at once, and one more after each round of successes. A function does not know
how many requests others send to the same registry; by this rule each finds its share.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_FIRST_PAUSE = 0.2  # seconds; doubled with each attempt
_LONGEST_PAUSE = 10.0  # seconds; instead of a longer sleep, a Lambda function should end and be called again


class Pace:
    """The number of copies that run at once, and the pauses. `most`: copies at once while nothing is refused."""

    def __init__(self, most: int) -> None:
        self._most = self._limit = most
        self._running = self._successes = 0
        self._resume_at = 0.0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        return self._limit

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until one more may run."""
        with self._changed:
            self._changed.wait_for(lambda: self._running < self._limit)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        """Sleep until the pause is over."""
        seconds = self._resume_at - time.monotonic()
        if seconds > 0:
            time.sleep(seconds)

    def slow_down(self, attempt: int, retry_after: float | None = None) -> None:
        """Pause after a refusal. `attempt`: counts from 1. `retry_after`: the registry's pause in seconds."""
        # Random, because other functions were refused at the same moment.
        doubled = _FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(1, 1.5)  # noqa: S311 - not a secret
        pause = min(doubled if retry_after is None else retry_after, _LONGEST_PAUSE)
        with self._changed:
            now = time.monotonic()
            if now >= self._resume_at:  # else another thread has handled the same refusal
                self._limit = max(1, self._limit // 2)
            self._successes = 0
            self._resume_at = max(self._resume_at, now + pause)

    def speed_up(self) -> None:
        """Count a success; after a round of them allow one more copy."""
        with self._changed:
            self._successes += 1
            if self._successes >= self._limit < self._most:
                self._limit, self._successes = self._limit + 1, 0
                self._changed.notify_all()
