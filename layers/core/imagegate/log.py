"""Log entries as one line of JSON each, without characters that control a terminal.

Each line of a run names the stack (`service`) and, where the run is about one, the release or the image.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar

from imagegate import collector
from imagegate.text import json_text

T = TypeVar("T")
Handler = Callable[[dict[str, Any], Any], T]


class CallLogger(Protocol):
    """The part of the Powertools Logger that `log_call` uses."""

    def inject_lambda_context(self, lambda_handler: Any, *, clear_state: bool) -> Any: ...

    def exception(self, msg: object) -> None: ...


def log_call(logger: CallLogger) -> Callable[[Handler[T]], Handler[T]]:
    """Give each line the context of its call, and log the call's error, which the runtime's line says without keys.

    The first call ends the start of the function.
    """

    def decorate(handler: Handler[T]) -> Handler[T]:
        @wraps(handler)
        def run(event: dict[str, Any], context: Any) -> T:
            collector.resume()
            try:
                return handler(event, context)
            except Exception:
                logger.exception("failed")
                raise

        logged: Handler[T] = logger.inject_lambda_context(run, clear_state=True)
        return logged

    return decorate


def log_line(entry: dict[str, Any]) -> str:
    """Return an entry of the Powertools Logger as JSON (its option `json_serializer`)."""
    return json_text(entry, default=str, separators=(",", ":"))
