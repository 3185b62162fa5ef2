"""The places where a test may disturb the sandbox: calls of AWS's API, and events on their way to functions.

A function's process names itself in its calls (`app/PROCESS ID` in the user agent), so that a call can end it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol
from wsgiref.types import StartResponse

Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class Disturbance(Protocol):
    """Decides what goes wrong."""

    def around(self, application: Application) -> Application:
        """Return the application that answers in place of AWS's."""

    def deliveries(self, event: dict[str, Any]) -> Sequence[float]:
        """Return the delay in seconds of each copy of the event; none if the event is lost."""


class Calm:
    """Nothing goes wrong."""

    def around(self, application: Application) -> Application:
        return application

    def deliveries(self, event: dict[str, Any]) -> Sequence[float]:
        return (0.0,)
