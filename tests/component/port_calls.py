"""One call of a function, taken apart at its port calls: stop before any of them, go on from there, in another world.

A step is a pure function of what its ports answer. So a call that has stopped is kept as the answers that it got: to
go on, it is run again from its beginning with those answers, up to the first call that has none. That one is real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import Any

from imagegate.ports.images import ScanReading

# What no other function of the same release sees or changes: nobody need be let in between.
_ALONE = frozenset({"put_decision", "decision", "policy", "referrers", "has_blob"})
_ALONE |= {"push_blob", "copy_blobs", "blob", "create", "sign", "verify"}
_ALONE |= {
    "waivers",
    "put_findings",
    "put_waivers",
    "findings",
    "clocks",
    "keep_clocks",
    "current_release",
    "note_current_release",
}
_ALONE |= {"note", "is_noted", "recent", "count_mail", "keep_later"}


class Stops(Enum):
    """The places where a call may be stopped."""

    NOWHERE = "NOWHERE"
    WHERE_OTHERS_SEE = "WHERE_OTHERS_SEE"
    EVERYWHERE = "EVERYWHERE"


class StoppedError(BaseException):
    """Before a port call. No step may catch it, as no process catches that it is killed."""


class PortCalls:
    """Answers from memory as far as it goes, then lets one call through, and stops before the next."""

    def __init__(self, answers: tuple[Any, ...] = (), *, stops: Stops = Stops.EVERYWHERE) -> None:
        self.answers = list(answers)
        self._stops = stops
        self._next = 0
        self._done = False

    def port(self, target: object) -> Any:
        return _Port(self, target)

    def answer(self, call: Callable[..., Any], name: str, *args: Any, **more: Any) -> Any:
        if self._next == len(self.answers):
            stops = self._stops_at(name)
            if self._done and stops:
                raise StoppedError
            self._done |= stops
            self.answers.append(_answer(partial(call, *args, **more)))
        answer = self.answers[self._next]
        self._next += 1
        if isinstance(answer, Exception):
            raise answer
        return list(answer) if isinstance(answer, tuple) else answer

    def _stops_at(self, name: str) -> bool:
        if self._stops is Stops.WHERE_OTHERS_SEE:
            return name not in _ALONE
        return self._stops is Stops.EVERYWHERE


class _Port:
    def __init__(self, calls: PortCalls, target: object) -> None:
        self._calls, self._target = calls, target

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._target, name)
        return partial(self._calls.answer, attribute, name) if callable(attribute) else attribute


def _answer(call: Callable[[], Any]) -> Any:
    try:
        found = call()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return error.with_traceback(None)
    if isinstance(found, ScanReading):
        return replace(found, findings=tuple(found.findings))  # read as often as the call goes on
    return tuple(found) if isinstance(found, list | Iterator) else found
