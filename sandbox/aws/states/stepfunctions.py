"""Step Functions' API: the backend that executes, names, endings, and events.

- StartExecution makes up a name, checks it, and is idempotent also when two calls race.
- Every execution ends exactly once and announces it on EventBridge.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.core.config import default_user_config
from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions.parser import api
from moto.stepfunctions.parser.api import (
    ExecutionAbortedEventDetails,
    ExecutionStatus,
    ExecutionTimedOutEventDetails,
    HistoryEventType,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.program_state import ProgramEnded, ProgramError
from moto.stepfunctions.parser.backend.execution import (
    BaseExecutionWorkerCommunication,
    Execution,
)
from moto.stepfunctions.parser.models import (
    StepFunctionsParserBackend,
)
from moto.stepfunctions.responses import StepFunctionResponse

from sandbox.aws.states import jsonata, resources, task_tokens, tasks
from sandbox.aws.states.fields import check_fields
from sandbox.settings import Settings

_lock = threading.RLock()
_installed = False


# Executions


def _start(original: Callable[..., Execution]) -> Callable[..., Execution]:
    def start_execution(
        self: StepFunctionsParserBackend,
        state_machine_arn: str,
        name: str | None = None,
        execution_input: str | None = None,
        trace_header: str | None = None,
    ) -> Execution:
        name = name or str(uuid.uuid4())
        self._validate_name(name)
        with _lock:
            known = len(self.describe_state_machine(state_machine_arn).executions)
            execution = original(self, state_machine_arn, name, execution_input or "{}", trace_header)
            is_new = len(self.describe_state_machine(state_machine_arn).executions) > known
        if is_new:
            _announce(execution, "RUNNING")
        return execution

    return start_execution


def _validate(original: Callable[[str], None]) -> Callable[[str], None]:
    def validate_definition(definition: str) -> None:
        original(definition)
        check_fields(definition)

    return validate_definition


def _end_execution(self: BaseExecutionWorkerCommunication) -> None:
    """Note the end of the interpreter: output first, status last, so that no reader sees half of it."""
    execution = self.execution
    env = execution.exec_worker.env
    state = env.program_state()
    if isinstance(state, ProgramEnded):
        execution.output = env.states.get_input()
        _end(execution, ExecutionStatus.SUCCEEDED)
    elif isinstance(state, ProgramError):
        error = state.error or {}
        _end(execution, ExecutionStatus.FAILED, error.get("error"), error.get("cause"))
    elif _end(execution, ExecutionStatus.TIMED_OUT):
        details = EventDetails(executionTimedOutEventDetails=ExecutionTimedOutEventDetails())
        _last_event(env, HistoryEventType.ExecutionTimedOut, details)


def _stop(self: Execution, stop_date: datetime, error: str | None = None, cause: str | None = None) -> None:
    """Abort at once, also while a task still runs or waits."""
    if not _end(self, ExecutionStatus.ABORTED, error, cause):
        return
    env = self.exec_worker.env
    if env is not None:
        env.set_stop(stop_date=stop_date, cause=cause, error=error)
        details = ExecutionAbortedEventDetails(error=error, cause=cause)
        _last_event(
            env,
            HistoryEventType.ExecutionAborted,
            EventDetails(executionAbortedEventDetails=details),
        )


def _end(execution: Execution, status: Any, error: str | None = None, cause: str | None = None) -> bool:
    with _lock:
        if execution.exec_status != ExecutionStatus.RUNNING:
            return False
        execution.error, execution.cause = error, cause
        execution.stop_date = datetime.now(UTC)
        execution.exec_status = status
    if execution.exec_worker.env is not None:
        task_tokens.close_tokens(execution.exec_worker.env)
    _announce(execution, str(execution.status))
    return True


def _last_event(env: Environment, event_type: Any, details: EventDetails) -> None:
    """Add the last event; abandoned tasks may still report to the history, but nothing follows it."""
    env.event_manager.add_event(
        context=env.event_history_context, event_type=event_type, event_details=details
    )
    env.event_manager.add_event = lambda *_args, **_kwargs: 0


def _announce(execution: Execution, status: str) -> None:
    from sandbox.aws.events import rules

    output = json.dumps(execution.output) if status == "SUCCEEDED" else None
    detail = {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine.arn,
        "name": execution.name,
        "status": status,
        "startDate": _millis(execution.start_date),
        "stopDate": _millis(execution.stop_date) if status != "RUNNING" else None,
        "input": execution.execution_input,
        "inputDetails": {"included": True},
        "output": output,
        "outputDetails": {"included": True} if output else None,
        "error": execution.error,
        "cause": execution.cause,
    }
    rules.emit("aws.states", "Step Functions Execution Status Change", detail, [execution.exec_arn])


def _millis(moment: datetime | None) -> int | None:
    return int(moment.timestamp() * 1000) if moment else None


# Answers


def _describe_execution(self: StepFunctionResponse) -> ActionResult:
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    with _lock:
        answer = dict(execution.to_describe_output())
    answer |= {"input": execution.execution_input, "status": str(answer["status"].value)}
    return ActionResult({key: value for key, value in answer.items() if value is not None})


def _list_executions(self: StepFunctionResponse) -> ActionResult:
    """List the newest first. A page begins after the last one of the page before, even if that has ended since."""
    machine = self.stepfunction_backend.describe_state_machine(self._get_param("stateMachineArn"))
    status, after = self._get_param("statusFilter"), self._get_param("nextToken")
    listed = {
        f"{one.start_date.isoformat()} {one.execution_arn}": one
        for one in machine.executions
        if status in (None, one.status)
    }
    rest = sorted((key for key in listed if after is None or key < after), reverse=True)
    page = rest[: self._get_int_param("maxResults") or 100]
    answer: dict[str, Any] = {"executions": [_listed(listed[key], machine.arn) for key in page]}
    return ActionResult(answer | ({"nextToken": page[-1]} if len(page) < len(rest) else {}))


def _listed(execution: Execution, machine: str) -> dict[str, Any]:
    answer = {
        "executionArn": execution.execution_arn,
        "stateMachineArn": machine,
        "name": execution.name,
        "status": str(execution.status),
        "startDate": execution.start_date,
    }
    return answer | ({"stopDate": execution.stop_date} if execution.stop_date else {})


def _stop_execution(self: StepFunctionResponse) -> ActionResult:
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    execution.stop(datetime.now(UTC), self._get_param("error"), self._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date})


def _history(self: StepFunctionResponse) -> ActionResult:
    arn = self._get_param("executionArn")
    events = list(self.stepfunction_backend.get_execution_history(arn)["events"])
    return ActionResult({"events": events[::-1] if self._get_param("reverseOrder") else events})


def _send_task_success(self: StepFunctionResponse) -> ActionResult:
    task_tokens.succeed(self._get_param("taskToken"), self._get_param("output"))
    return EmptyResult()


def _send_task_failure(self: StepFunctionResponse) -> ActionResult:
    task_tokens.fail(self._get_param("taskToken"), self._get_param("error"), self._get_param("cause"))
    return EmptyResult()


def _send_task_heartbeat(self: StepFunctionResponse) -> ActionResult:
    task_tokens.heartbeat(self._get_param("taskToken"))
    return EmptyResult()


def _name_errors() -> None:
    """Give the interpreter's exceptions their code, which moto loses."""
    for error in vars(api).values():
        if isinstance(error, type) and issubclass(error, AWSError):
            setattr(error, "TYPE", vars(error).get("code"))  # noqa: B010 - moto is untyped


def _patch_answers() -> None:
    response = StepFunctionResponse
    response.describe_execution = _describe_execution
    response.list_executions = _list_executions
    response.stop_execution = _stop_execution
    response.get_execution_history = _history
    response.send_task_success = _send_task_success
    response.send_task_failure = _send_task_failure
    response.send_task_heartbeat = _send_task_heartbeat


def _log_to(settings: Settings) -> None:
    """Write the interpreter's messages to a file: it reports every caught error."""
    folder = settings.state / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    log = logging.getLogger("moto.stepfunctions")
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    log.addHandler(logging.FileHandler(folder / "stepfunctions.log", delay=True))
    log.propagate = False


def install(settings: Settings) -> None:
    """Execute state machines as AWS does. Patch once per process."""
    global _installed
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    jsonata.install(settings)
    tasks.install(settings)
    resources.install(settings)
    _log_to(settings)
    if _installed:
        return
    _installed = True
    _name_errors()
    _patch_answers()
    backend = StepFunctionsParserBackend
    backend.start_execution = _start(backend.start_execution)
    backend._validate_definition = staticmethod(_validate(backend._validate_definition))
    BaseExecutionWorkerCommunication.terminated = _end_execution
    Execution.stop = _stop
