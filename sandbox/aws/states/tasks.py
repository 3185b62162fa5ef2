"""Task states: credentials, task tokens, time, and the case of parameters and results.

- Calls run as the state machine's role, so that IAM applies to them.
- Waits, retry intervals and the time-outs of `.waitForTaskToken` run on the sandbox's time scale.
- `aws-sdk:*` parameters and results have the case that Step Functions gives them; results are JSON.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from moto.stepfunctions.parser.api import (
    HistoryEventType,
    TaskFailedEventDetails,
)
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import (
    CustomErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import (
    ErrorEqualsDecl,
)
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import TimeoutSeconds
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (
    StateTaskService,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    HeartbeatTimeoutError,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment

from sandbox.aws.states import task_tokens
from sandbox.clients import client
from sandbox.settings import Settings

# Services whose names differ between aws-sdk integrations and boto3.
_BOTO_NAMES = {"eventbridge": "events", "cloudwatchlogs": "logs", "sfn": "stepfunctions"}
_ERROR_NAMES = {"dynamodb": "DynamoDb", "eventbridge": "EventBridge", "events": "EventBridge"}
_ACRONYMS = {"sqs": "SQS", "sns": "SNS"}

_TERMINAL = {"States.Runtime", "States.DataLimitExceeded"}

_settings: Settings
_installed = False


@lru_cache(maxsize=64)
def _client(service: str, role_arn: str) -> Any:
    from sandbox.aws.iam.principals import role_credentials

    config = Config(
        parameter_validation=False,
        retries={"total_max_attempts": 1},  # the state's own Retry decides
        read_timeout=TimeoutSeconds.DEFAULT_TIMEOUT_SECONDS,
        max_pool_connections=50,
    )
    return client(_settings, role_credentials(role_arn, "states"), service, config)


def _boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    return _client(service, state_credentials.role_arn)


def _replace_client_factory() -> None:
    """Replace the factory in each task module, because they imported it by name."""
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.stepfunctions.parser.") and hasattr(module, "boto_client_for"):
            module.boto_client_for = _boto_client_for  # type: ignore[attr-defined]


# Time


def _scale(component: Any) -> None:
    seconds = component._eval_seconds
    component._eval_seconds = lambda env: max(1.0, seconds(env=env) * _settings.time_scale)


def _scaled_state_props(self: StateTaskServiceCallback, state_props: Any) -> None:
    StateTaskService.from_state_props(self, state_props)
    if not task_tokens.is_awaited(self):
        return
    if self.timeout.is_default_value():  # moto adds 60 s to a heartbeat
        self.timeout = TimeoutSeconds(TimeoutSeconds.DEFAULT_TIMEOUT_SECONDS)
    _scale(self.timeout)
    if self.heartbeat is not None:
        _scale(self.heartbeat)


def _wait_interval(_self: WaitFunction, env: Environment, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds * _settings.time_scale
    while env.is_running() and (left := deadline - time.monotonic()) > 0:
        env.program_state_event.wait(left)


# Errors


def _error_name(service: str, code: str) -> str:
    prefix = _ERROR_NAMES.get(service) or _ACRONYMS.get(service) or service.capitalize()
    return f"{prefix}.{code if code.endswith('Exception') else code + 'Exception'}"


def _errors(original: Callable[..., FailureEvent]) -> Callable[..., FailureEvent]:
    """Name errors as AWS does: a refused call is not `States.Runtime`, a missed heartbeat is not `States.Timeout`."""

    def from_error(self: StateTaskServiceCallback, env: Environment, ex: Exception) -> FailureEvent:
        if isinstance(ex, ClientError):
            return _failure_event(self, env, ex)
        event = original(self, env=env, ex=ex)
        if isinstance(ex, HeartbeatTimeoutError):
            event.error_name = StatesErrorName(typ=StatesErrorNameType.StatesHeartbeatTimeout)
            event.event_details["taskTimedOutEventDetails"]["error"] = event.error_name.error_name
        return event

    return from_error


def _failure_event(state: StateTaskServiceCallback, env: Environment, ex: ClientError) -> FailureEvent:
    error = _error_name(state.resource.api_name.lower(), ex.response["Error"]["Code"])
    details = TaskFailedEventDetails(
        error=error,
        cause=str(ex.response["Error"]["Message"]),
        resource=state._get_sfn_resource(),
        resourceType=state._get_sfn_resource_type(),
    )
    return FailureEvent(
        env=env,
        error_name=CustomErrorName(error),
        event_type=HistoryEventType.TaskFailed,
        event_details={"taskFailedEventDetails": details},
    )


def _terminal(original: Callable[..., None]) -> Callable[..., None]:
    """Return whether `States.ALL` excludes the error (guide, "Handling errors in workflows")."""

    def matches(self: ErrorEqualsDecl, env: Environment) -> None:
        name = env.stack[-1].error_name if env.stack[-1] else None
        original(self, env)
        if name in _TERMINAL and all(wanted.error_name != name for wanted in self.error_names):
            env.stack[-1] = False

    return matches


# Parameters and results


@lru_cache(maxsize=64)
def _operation(service: str, action: str) -> Any:
    model = botocore.session.get_session().get_service_model(_BOTO_NAMES.get(service, service))
    return model.operation_model(action[0].upper() + action[1:])


def _sdk_parameters(self: StateTaskServiceAwsSdk, parameters: dict[str, Any], *_: Any) -> None:
    shape = _operation(self.resource.api_name, self.resource.api_action).input_shape
    if shape is not None:
        self._to_boto_request(parameters, shape)


def _sdk_response(self: StateTaskServiceAwsSdk, response: Any, *_: Any) -> None:
    shape = _operation(self.resource.api_name, self.resource.api_action).output_shape
    if shape is not None:
        self._from_boto_response(response, shape)
    _json_response(self, response)


def _json_response(_self: StateTaskService, response: Any, *_: Any) -> None:
    if isinstance(response, dict):
        response.update({key: _as_json(value) for key, value in response.items()})


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, StreamingBody):
        value = value.read()
    return value.decode() if isinstance(value, bytes) else value


def install(settings: Settings) -> None:
    """Patch the Task and Wait states; a second call only changes the sandbox to which they belong."""
    global _settings, _installed
    _settings = settings
    _client.cache_clear()
    task_tokens.install(settings)
    if _installed:
        return
    _installed = True
    _replace_client_factory()
    # A Fail state may pass on a caught error, also one of Step Functions itself.
    CustomErrorName.__init__ = ErrorName.__init__
    ErrorEqualsDecl._eval_body = _terminal(ErrorEqualsDecl._eval_body)
    callback = StateTaskServiceCallback
    callback.from_state_props = _scaled_state_props
    callback._from_error = _errors(callback._from_error)
    WaitFunction._wait_interval = _wait_interval
    retrier_decl.time = SimpleNamespace(sleep=lambda s: time.sleep(s * _settings.time_scale))
    StateTaskService._normalise_response = _json_response
    StateTaskService._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES.update(_BOTO_NAMES)
    StateTaskServiceAwsSdk._normalise_parameters = _sdk_parameters
    StateTaskServiceAwsSdk._normalise_response = _sdk_response
    StateTaskServiceAwsSdk._from_error = callback._from_error
