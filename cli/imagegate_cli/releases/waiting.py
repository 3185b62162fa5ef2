"""Waits for a release to begin and to end, with a deadline for each wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from imagegate.release.release import Release
from imagegate_cli.context import pauses
from imagegate_cli.faults import NotFoundError
from imagegate_cli.reference import RepositoryReference
from imagegate_cli.releases import find
from imagegate_cli.releases.progress import Progress
from imagegate_cli.stack import Stack

Found = TypeVar("Found")
_LONGEST_PAUSE = 5.0  # seconds


class WaitTimeoutError(Exception):
    """The deadline has passed."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock."""

    moment: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that is so many seconds away."""
        return cls(time.monotonic() + seconds)

    def sooner(self, seconds: float) -> Deadline:
        """Return this deadline, or the one in so many seconds if that is earlier."""
        return min(self, Deadline.after(seconds), key=lambda deadline: deadline.moment)

    def poll(self, look: Callable[[], Found | None]) -> Found:
        """Look until there is a result: often at first, then every few seconds. Raises `WaitTimeoutError`."""
        sleep, pause = pauses().sleep, pauses().first
        while (found := look()) is None:
            left = self.moment - time.monotonic()
            if left <= 0:
                raise WaitTimeoutError
            sleep(min(pause, left))
            pause = min(pause * 1.2, _LONGEST_PAUSE)
        return found


def wait_for_begin(
    stack: Stack,
    reference: RepositoryReference,
    deadline: Deadline,
    progress: Progress,
    begun: Callable[[], Release | None] | None = None,
) -> Release:
    """Wait for an attempt to begin and return it. `begun` looks for it; by default for the newest one.

    Raises `NotFoundError` if none begins in the usual time, and `WaitTimeoutError` if the deadline is earlier.
    """

    def look() -> Release | None:
        release = begun() if begun else find.begun(stack, reference)
        progress.show(release)
        return release

    soon = deadline.sooner(pauses().begin)
    try:
        return soon.poll(look)
    except WaitTimeoutError:
        if soon is deadline:
            raise
    fault = find.missing(stack, reference)
    raise NotFoundError(f"nothing began within {pauses().begin:.0f} s: {fault.message}")


def wait_for_end(stack: Stack, release: Release, deadline: Deadline, progress: Progress) -> Release:
    """Wait for the attempt to end, and a moment for its message. Raises `WaitTimeoutError`."""

    def look() -> Release | None:
        newest = find.again(stack, release)
        progress.show(newest)
        return None if newest.is_open else newest

    closed = deadline.poll(look)
    try:
        return Deadline.after(pauses().message).poll(lambda: _announced(stack, closed))
    except WaitTimeoutError:
        return closed


def _announced(stack: Stack, release: Release) -> Release | None:
    newest = find.again(stack, release)
    return newest if newest.message_id else None
