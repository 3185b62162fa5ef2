"""The removal of everything that was made, whatever happens in between."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

# Still being made, or used by a resource that is being removed.
_BUSY = {
    "ResourceInUseException",
    "ConflictException",
    "DeleteConflict",
    "OperationAborted",
    "StateMachineDeleting",
}
_PATIENCE = 90  # seconds


class ThrowAway:
    """Removal is noted before a thing is made: an interruption in the middle leaves nothing."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._removals: dict[str, Callable[[], Any]] = {}

    def add(self, what: str, remove: Callable[[], Any]) -> None:
        self._removals[what] = remove

    def forget(self, what: str) -> None:
        """Drop the note: the resource was not made."""
        self._removals.pop(what, None)

    def remove_all(self) -> list[str]:
        """Remove everything, last made first; return what is left over and why."""
        left = []
        with _undisturbed():
            while self._removals:
                what, remove = self._removals.popitem()
                if problem := self._remove(remove):
                    left.append(f"{what}: {problem}")
        return left

    def _remove(self, remove: Callable[[], Any]) -> str | None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                remove()
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if _is_gone(code):
                    return None
                if code not in _BUSY or time.monotonic() > deadline:
                    return str(error)
            except BotoCoreError as error:
                return str(error)
            else:
                return None
            time.sleep(self._pause)


def _is_gone(code: str) -> bool:
    known = {"ResourceNotFoundException", "NoSuchEntity", "AWS.SimpleQueueService.NonExistentQueue"}
    return code in known or "NotFound" in code or "DoesNotExist" in code or code.startswith("NoSuch")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore a second Ctrl-C, which must not stop the removal."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
