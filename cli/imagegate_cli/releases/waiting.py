"""Looking again until something is there; never forever."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from imagegate.duration import parse_duration
from imagegate_cli.context import pauses

Found = TypeVar("Found")
_LONGEST_PAUSE = 5.0


class WaitTimeoutError(Exception):
    """It did not come in time."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock."""

    moment: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def sooner(self, seconds: float) -> Deadline:
        """This deadline, or one in so many seconds if that comes first."""
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


class DurationType(click.ParamType[float]):
    """`90`, `90s`, `5m`, `1h`; seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        # A number alone counts seconds.
        duration = parse_duration(f"{value}s" if value[-1:].isdigit() else value, "smh", decimals=True)
        if duration is None:
            self.fail(f"{value!r} is no duration; write 90s, 5m or 1h")
        return duration.total_seconds()
