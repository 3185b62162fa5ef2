"""One line on stderr for work that takes over two seconds: a spinner on a terminal, else the line once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

Item = TypeVar("Item")
Result = TypeVar("Result")

# Shorter work is done in silence.
_SECONDS = 2.0
_THREADS = 8


class Spinner:
    """Shows `text`, and how many of `total` are done. Threads may share it.

    `console` opens the console, by default that of stderr.
    """

    def __init__(
        self, text: str, total: int | None = None, console: Callable[[], Console] | None = None
    ) -> None:
        self._text, self._total, self._done = text, total, 0
        self._console = console
        self._lock = threading.Lock()
        self._status: Status | None = None
        self._is_over = False
        self._timer = threading.Timer(_SECONDS, self._speak)
        self._timer.daemon = True

    def step(self) -> None:
        """Count one more as done."""
        with self._lock:
            self._done += 1
            if self._status is not None:
                from imagegate_cli.output.screen import Text

                self._status.update(Text(self._line))

    @property
    def _line(self) -> str:
        return f"{self._text}: {self._done} of {self._total}" if self._total else self._text

    def _speak(self) -> None:
        # Imported late: most commands end before anything is shown.
        from imagegate_cli.output import screen
        from imagegate_cli.output.screen import Text

        console = self._console() if self._console else screen.console(stderr=True)
        with self._lock:
            if self._is_over:
                return
            if not console.is_terminal:
                console.print(f"{self._line} …", soft_wrap=True)
                return
            self._status = console.status(Text(self._line))
            self._status.start()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._is_over = True
            if self._status is not None:
                self._status.stop()


def map_with_spinner(
    text: str, items: Sequence[Item], work: Callable[[Item], Result], threads: int = _THREADS
) -> list[Result]:
    """Return the results in the order of the items, which several threads work on."""
    from concurrent.futures import ThreadPoolExecutor

    with Spinner(text, len(items)) as spinner:

        def do(item: Item) -> Result:
            result = work(item)
            spinner.step()
            return result

        # The first item alone: it makes the clients of AWS, which the others then share.
        first = [do(item) for item in items[:1]]
        pool = ThreadPoolExecutor(threads)
        try:
            return first + list(pool.map(do, items[1:]))
        finally:
            pool.shutdown(cancel_futures=True)
