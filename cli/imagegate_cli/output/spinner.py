"""One line on stderr for what takes longer than two seconds: a spinner on a terminal, else said once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

# Shorter waits pass without a word.
_SECONDS = 2.0


class Spinner:
    """Says `text` when it is time to, and how many of `total` are done. Also from several threads."""

    def __init__(self, text: str, total: int | None = None) -> None:
        self._text, self._total, self._done = text, total, 0
        self._lock = threading.Lock()
        self._status: Status | None = None
        self._is_over = False
        self._timer = threading.Timer(_SECONDS, self._speak)
        self._timer.daemon = True

    def step(self) -> None:
        """One more is done."""
        with self._lock:
            self._done += 1
            if self._status is not None:
                from imagegate_cli.output.screen import Text

                self._status.update(Text(self._line))

    @property
    def _line(self) -> str:
        return f"{self._text}: {self._done} of {self._total}" if self._total else self._text

    def _speak(self) -> None:
        # Late: most commands are over before anything has to be shown.
        from imagegate_cli.output.screen import Text
        from imagegate_cli.releases import view

        console: Console = view.console(stderr=True)
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
