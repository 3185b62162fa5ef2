"""How fast one registry is asked: less while it says that it is too much, more again while it answers.

Rules: a registry that refuses (429, 5xx) is left alone by all threads of this process for as long as it asks, or a
little longer each time; half as much is copied at once afterwards, and one more with each round that went well. Nobody
here knows what other functions ask of the same registry: what they all may ask together is found out by this.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_FIRST_PAUSE = 0.2  # seconds; doubled with each attempt
_LONGEST_PAUSE = 10.0  # seconds: a Lambda that sleeps longer is better called again


class Pace:
    """`most`: how many copies may run at once while all is well."""

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
        """Sleep while the registry wants to be left alone."""
        seconds = self._resume_at - time.monotonic()
        if seconds > 0:
            time.sleep(seconds)

    def refused(self, attempt: int, retry_after: float | None = None) -> None:
        """`attempt`: how often this was tried, from 1. `retry_after`: seconds, as the registry asked."""
        # Not all at the same moment: other functions were refused with us.
        doubled = _FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(1, 1.5)  # noqa: S311 - not a secret
        pause = min(doubled if retry_after is None else retry_after, _LONGEST_PAUSE)
        with self._changed:
            now = time.monotonic()
            if now >= self._resume_at:  # else it is the same trouble, seen by another thread
                self._limit = max(1, self._limit // 2)
            self._successes = 0
            self._resume_at = max(self._resume_at, now + pause)

    def answered(self) -> None:
        with self._changed:
            self._successes += 1
            if self._successes >= self._limit < self._most:
                self._limit, self._successes = self._limit + 1, 0
                self._changed.notify_all()
