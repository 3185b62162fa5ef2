"""A time limit on work that may hang, for those who must answer whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from imagegate.errors import RetryableError

T = TypeVar("T")


class OverdueError(RetryableError):
    """It took longer than there was time for."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns or raises; `OverdueError` when it takes longer. Then it goes on, and nobody listens."""
    ended: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            ended.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised again, where somebody waits
            ended.put((None, error))

    Thread(target=run, daemon=True).start()
    try:
        result, error = ended.get(timeout=seconds)
    except Empty:
        raise OverdueError(f"no end within {seconds:g} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]
