"""Work that AWS does in the background: it starts after a delay, and not while a test holds it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

_LOOK_SECONDS = 0.02


def later(seconds: float, is_held: Callable[[], bool], work: Callable[..., None], *arguments: Any) -> None:
    """Do the work in another thread after so many seconds, and not while it is held."""

    def run() -> None:
        while is_held():
            time.sleep(_LOOK_SECONDS)
        work(*arguments)

    timer = threading.Timer(seconds, run)
    timer.daemon = True
    timer.start()
