"""Calls of AWS that fail one by one, while an image goes from its push to its end through the real functions.

The execution is run by the definition of the state machine; EventBridge and the queue of Lambda are played. A call that
fails is answered with an error of its operation's model, at each try of the SDK.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape

import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError
from botocore.session import Session

from imagegate.aws import clients
from imagegate.notation import revocation
from imagegate.oci.image import ImageRef
from tests.component.executions import Execution, begin
from tests.integration import hop as hops
from tests.integration.hop import Hop

CUT = "cut connection"
# Errors that any operation may answer with, and their HTTP status (AWS's "Common errors").
COMMON = {"ThrottlingException": 400, "InternalFailure": 500, "AccessDeniedException": 400, CUT: 0}
# Lambda calls a function for an event three times; then the event is a dead letter.
_DELIVERIES = 3
_MOST_STEPS = 200
_EXISTS = "ExecutionAlreadyExists"
_SESSION = Session()
_CANNED = {
    "StartExecution": '{"executionArn": "arn", "startDate": 0}',
    "DescribeExecution": '{"status": "RUNNING"}',
    "SendTaskSuccess": "{}",
    "PutEvents": '{"FailedEntryCount": 0, "Entries": []}',
    "Publish": "<PublishResponse><PublishResult><MessageId>message</MessageId></PublishResult></PublishResponse>",
}


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One call that fails: the first one of its operation in a call of the function."""

    function: str
    service: str
    operation: str
    error: str

    @property
    def call(self) -> str:
        return f"{self.service}:{self.operation}"

    def status(self) -> int:
        """Return the HTTP status that the model says. botocore's own view of a shape leaves out `fault`."""
        shapes = {shape.error_code: shape.name for shape in _model(self.service, self.operation).error_shapes}
        if self.error not in shapes:
            return COMMON[self.error]
        shape = _shapes(self.service)[shapes[self.error]]
        return int(shape.get("error", {}).get("httpStatusCode", 500 if shape.get("fault") else 400))


def faults_of(function: str, service: str, operation: str) -> list[Fault]:
    """Return every error that the model lists for the operation, and those that any operation may answer with."""
    codes = {shape.error_code for shape in _model(service, operation).error_shapes} | COMMON.keys()
    return [Fault(function, service, operation, code) for code in sorted(codes)]


@dataclass
class End:
    """The end of one image's way."""

    image: ImageRef
    state: str = ""  # of the state machine; empty if no execution began
    dead: tuple[str, ...] = ()  # functions whose event became a dead letter
    raised: dict[Fault, str] = field(default_factory=dict)  # the class that a function raised for a fault
    handled: list[Fault] = field(default_factory=list)  # those that no function raised an error for
    unused: list[Fault] = field(default_factory=list)  # their calls were not made
    left: list[Fault] = field(default_factory=list)  # those that were not tried
    published: int = 0


@dataclass
class FailingCalls:
    hop: Hop
    active: Fault | None = None
    used: bool = False
    due: bool = False  # the call that is made now is the one that fails
    service: str = ""  # of the call that is made now
    insists: bool = True
    published: int = 0
    started: dict[str, Any] = field(default_factory=dict)
    woken: dict[str, Any] | None = None
    made: dict[str, set[tuple[str, str]]] = field(default_factory=dict)

    def run(self, app: str, tag: str, faults: Sequence[Fault] = (), *, insists: bool = True) -> End:
        """Bring an image to its end, while these calls fail, one in each call of their function.

        `insists`: call a function again, whatever error it raised. Else do what the state machine says.
        """
        quirks = self.hop.sandbox.settings.quirks
        quirks.hold_scans = True
        repository, digest = self.hop.push(app, tag)
        end, self.published, self.woken = End(ImageRef.of(repository, digest)), 0, None
        self.started, self.insists = {}, insists
        pending = {
            one.function: [other for other in faults if other.function == one.function] for one in faults
        }
        self._deliver(end, pending, "start_release", self.hop.event("ECR Image Action", repository, digest))
        if self.started:
            self._execute(end, pending, begin("execution", self.started))
        end.published = self.published
        end.left = [fault for queue in pending.values() for fault in queue]
        return end

    def _execute(self, end: End, pending: dict[str, list[Fault]], execution: Execution) -> None:
        for _ in range(_MOST_STEPS):
            if execution.is_over:
                end.state = execution.state
                return
            if execution.is_waiting:
                self.hop.sandbox.settings.quirks.hold_scans = False
                image = end.image
                event = self.hop.event("ECR Image Scan", image.repository, str(image.digest))
                if not self._deliver(end, pending, "on_scan_completed", event):
                    end.state = execution.state
                    return
                woken = self.woken is not None
                execution = execution.completed(self.woken) if woken else execution.failed("States.Timeout")
                continue
            function = function_of(execution.calls)
            try:
                result = self._call(end, pending, function, json.loads(execution.payload()))
            except _CallAgain:
                continue
            except Exception as error:  # noqa: BLE001 - whatever a function raises, the state machine gets its name
                execution = execution.failed(type(error).__name__, str(error))
            else:
                execution = execution.returned(result)
        raise AssertionError(f"{end.image} does not end")

    def _deliver(
        self, end: End, pending: dict[str, list[Fault]], function: str, event: dict[str, Any]
    ) -> bool:
        """Call a function for an event as Lambda does. Return False if it becomes a dead letter."""
        tries = 0
        while tries < _DELIVERIES:
            tries += 1
            try:
                self._call(end, pending, function, event)
            except _CallAgain:
                tries = 0
            except Exception:  # noqa: BLE001, S112 - Lambda repeats after any error
                continue
            else:
                return True
        end.dead = (*end.dead, function)
        return False

    def _call(
        self, end: End, pending: dict[str, list[Fault]], function: str, event: dict[str, Any]
    ) -> dict[str, Any]:
        queue = pending.get(function, [])
        self.active, self.used = (queue.pop(0) if queue else None), False
        fault, self.hop.calls.function = self.active, function
        try:
            result: dict[str, Any] = hops.handler(function).handler(event, SimpleNamespace(**hops.CONTEXT))
        except Exception as error:
            if fault is None or not self.used:
                end.unused += [fault] if fault else []  # it failed before the call that this is about
                raise
            end.raised[fault] = type(error).__name__
            if self.insists:
                raise _CallAgain from error
            raise
        finally:
            self.active, self.hop.calls.function = None, ""
        if fault is not None:
            (end.handled if self.used else end.unused).append(fault)
        return result

    # under the SDK

    def answer(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        """Answer in place of AWS: with the error that is due, or for services that the sandbox does not run here."""
        operation = event_name.rpartition(".")[2]
        fault = self.active
        if fault is not None and self.due:
            if fault.error == CUT:
                raise ConnectionClosedError(endpoint_url=request.url)
            return _response(request.url, fault.status(), _error_body(fault), fault.error)
        if operation in _CANNED:
            return _response(request.url, 200, _CANNED[operation])
        return None

    def around(self, call: Any, client: Any, operation: str, parameters: Any) -> Any:
        """Make one call of the API; it fails if it is the first one that a fault is about."""
        self.service = client.meta.service_model.service_name
        fault = self.active
        if self.hop.calls.function:
            self.made.setdefault(self.hop.calls.function, set()).add((self.service, operation))
        self.due = (
            fault is not None
            and not self.used
            and (fault.service, fault.operation) == (self.service, operation)
        )
        self.used |= self.due
        if operation == "StartExecution":  # if it is refused because there is one, that one runs
            started = json.loads(parameters["input"])
            self.started = started if not self.due or (fault and fault.error == _EXISTS) else {}
        try:
            result = call(client, operation, parameters)
        finally:
            self.due = False
        if operation == "SendTaskSuccess":
            self.woken = json.loads(parameters["output"])
        self.published += operation == "Publish"
        return result


class _CallAgain(Exception):  # noqa: N818 - no error: the function is called again
    pass


@contextmanager
def failing(hop: Hop, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingCalls]:
    """Let calls of the functions fail. `hop` is ready, but has made no call yet."""
    calls, call_aws = FailingCalls(hop), BaseClient._make_api_call  # type: ignore[attr-defined]

    def hooked(make: Any) -> Any:
        def made(*arguments: Any, **options: Any) -> Any:
            client = make(*arguments, **options)
            client.meta.events.register_first("before-send", calls.answer)
            return client

        return made

    monkeypatch.setattr(clients, "_make", hooked(clients._make))
    monkeypatch.setattr(revocation, "_make_client", hooked(revocation._make_client))
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    hops.forget()
    around = lambda client, operation, parameters: calls.around(call_aws, client, operation, parameters)  # noqa: E731
    monkeypatch.setattr(BaseClient, "_make_api_call", around)
    yield calls


def function_of(name: str) -> str:
    """Return the folder of the function that a state calls: `judge_image` for `${JudgeImageFunction}`."""
    plain = name.strip("${}").removesuffix("Function")
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in plain).lstrip("_")


@cache
def _model(service: str, operation: str) -> Any:
    return _SESSION.get_service_model(service).operation_model(operation)


@cache
def _shapes(service: str) -> dict[str, Any]:
    model: dict[str, Any] = _SESSION.get_component("data_loader").load_service_model(service, "service-2")
    return dict(model["shapes"])


def _response(url: str, status: int, body: str, error: str = "") -> AWSResponse:
    headers = HTTPHeaders()
    if error:
        headers["x-amzn-errortype"] = error
    return AWSResponse(url, status, headers, SimpleNamespace(stream=lambda: iter([body.encode()])))


def _error_body(fault: Fault) -> str:
    protocol = _model(fault.service, fault.operation).service_model.metadata["protocol"]
    message = "made to fail"
    if protocol == "query":
        return f"<ErrorResponse>{_error_element(fault.error, message)}</ErrorResponse>"
    if protocol == "rest-xml":
        return _error_element(fault.error, message)
    return json.dumps({"__type": fault.error, "message": message})


def _error_element(code: str, message: str) -> str:
    return f"<Error><Code>{escape(code)}</Code><Message>{message}</Message></Error>"
