"""A time limit on work that may hang, for callers that must answer in any case."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import TypeVar

from imagegate.errors import RetryableError

T = TypeVar("T")


class OverdueError(RetryableError):
    """The work took longer than its time limit."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return or raise what `work` does. Raises `OverdueError` if it takes longer; then it continues, ignored.

    The thread is a daemon: the interpreter waits at exit for threads of a `ThreadPoolExecutor`, even for hung ones.
    """
    future: Future[T] = Future()
    Thread(target=_complete, args=(future, work), daemon=True).start()
    if not wait([future], timeout=seconds).done:
        raise OverdueError(f"no end within {seconds:g} s")
    return future.result()


def _complete(future: Future[T], work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - `future.result` raises it again in the caller's thread
        future.set_exception(error)
