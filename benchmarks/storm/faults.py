"""The faults of a storm: events are lost, repeated and late; calls fail, before or after their effect; processes
are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any
from wsgiref.types import StartResponse

from sandbox.disturbance import Application

_LOST, _TRIPLED, _LATE, _LATEST_SECONDS = 0.10, 0.20, 0.40, 10.0
_FAILED, _KILLED = 0.05, 0.004  # of the calls
_STUBBORN = 0.2  # of the failing calls: the SDK's own retries fail, too
_KINDS = {"throttled": 4, "500": 1, "503": 1, "cut before": 2, "cut after": 2}
_FUNCTION = re.compile(r"\bapp/(\d+)")
_XML = {
    "s3": "<Error><Code>{code}</Code><Message>{message}</Message></Error>",
    "sns": "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>",
}
_XML["sts"] = _XML["sns"]
_THROTTLED = {"s3": (503, "SlowDown"), "signer": (429, "TooManyRequestsException")}
_THROTTLED["lambda"] = _THROTTLED["signer"]
_BROKEN = {"lambda": "ServiceException"}


@dataclass
class Storm:
    """The disturbance of the sandbox. `is_over`: nothing goes wrong any more."""

    seed: int
    is_over: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    _failing: dict[str, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)  # noqa: S311 - no secret

    def deliveries(self, event: dict[str, Any]) -> Sequence[float]:
        with self._lock:
            fate = self._random.random()
            if self.is_over:
                return (0.0,)
            if fate < _LOST:
                self.counts["events lost"] += 1
                return ()
            copies = 3 if fate < _LOST + _TRIPLED else 1
            self.counts["events repeated"] += copies > 1
            late = [self._random.random() < _LATE for _ in range(copies)]
            self.counts["events late"] += sum(late)
            return [self._random.uniform(0, _LATEST_SECONDS) if one else 0.0 for one in late]

    def around(self, application: Application) -> Application:
        def disturbed(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            fault, process = self._fault(environ)
            if fault in ("killed before", "cut before"):
                _end(process if fault == "killed before" else 0, environ)
            if fault in ("throttled", "500", "503"):
                return _refuse(fault, _service(environ), start_response)
            answer = application(environ, start_response)
            if fault in ("killed after", "cut after"):
                _end(process if fault == "killed after" else 0, environ)
            return answer

        return disturbed

    def _fault(self, environ: dict[str, Any]) -> tuple[str, int]:
        """Return what happens to the call, or "", and the process that calls: 0 for the state machine."""
        caller = _FUNCTION.search(environ.get("HTTP_USER_AGENT", ""))
        process = int(caller[1]) if caller else 0
        if self.is_over or not (caller or environ["PATH_INFO"].endswith("/invocations")):
            return "", process
        call = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        with self._lock:
            fault = self._failing.get(call) or self._choose(call, is_function=bool(caller))
            self.counts[fault] += bool(fault)
        return fault, process

    def _choose(self, call: str, *, is_function: bool) -> str:
        chance = self._random.random()
        if is_function and chance < _KILLED:
            return self._random.choice(["killed before", "killed after"])
        if chance > _KILLED + _FAILED:
            return ""
        kinds = _KINDS if is_function else {"throttled": 1, "500": 1}
        fault = self._random.choices(list(kinds), list(kinds.values()))[0]
        if self._random.random() < _STUBBORN:
            self._failing[call] = fault
        return fault


def _service(environ: dict[str, Any]) -> str:
    scope = re.search(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    return scope[1] if scope else ""


def _end(process: int, environ: dict[str, Any]) -> None:
    """Cut the connection by `ConnectionResetError`; first, kill the process if there is one."""
    if process and _is_ours(process):
        os.kill(process, signal.SIGKILL)
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("cut by the storm")


def _is_ours(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return int(stat.rpartition(")")[2].split()[1]) == os.getpid()


def _refuse(fault: str, service: str, start_response: StartResponse) -> Iterable[bytes]:
    if fault == "throttled":
        status, code = _THROTTLED.get(
            service, (400, "Throttling" if service in _XML else "ThrottlingException")
        )
    else:
        status, code = int(fault), _BROKEN.get(service, "InternalServerError")
    body = json.dumps({"__type": code, "message": "storm", "Type": "Service"})
    if service in _XML:
        body = _XML[service].format(code=code, message="storm")
    headers = [
        ("Content-Type", "application/json"),
        ("x-amzn-ErrorType", code),
        ("x-amzn-RequestId", "storm"),
    ]
    start_response(f"{status} storm", [*headers, ("Content-Length", str(len(body)))])
    return [body.encode()]
