"""Task tokens: moto makes one per state, answers it again and again, and never closes it.

Here every attempt has a token of its own; a token is answered once, and only while its task waits.

Source: Step Functions guide, "Wait for a Callback with Task Token"; API reference, SendTaskSuccess.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from moto.stepfunctions.parser.api import InvalidOutput, InvalidToken, TaskTimedOut
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import (
    ResourceCondition,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackConsumerTimeout,
    CallbackEndpoint,
    CallbackOutcome,
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
    HeartbeatEndpoint,
    HeartbeatTimedOut,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment

from sandbox.settings import Settings

_lock = threading.RLock()
_tokens: dict[str, CallbackEndpoint] = {}
_installed = False


def succeed(token: str, output: str) -> None:
    """Answer SendTaskSuccess. Raises as AWS does: InvalidOutput, InvalidToken, TaskTimedOut."""
    try:
        json.loads(output)
    except ValueError as error:
        raise InvalidOutput("Invalid Output: 'Invalid JSON'") from error
    _answer(token, CallbackOutcomeSuccess(callback_id=token, output=output))


def fail(token: str, error: str | None, cause: str | None) -> None:
    """Answer SendTaskFailure."""
    _answer(token, CallbackOutcomeFailure(callback_id=token, error=error or "", cause=cause or ""))


def heartbeat(token: str) -> None:
    """Answer SendTaskHeartbeat."""
    with _lock:
        _waiting(token).notify_heartbeat()


def _answer(token: str, outcome: CallbackOutcome) -> None:
    with _lock:
        _waiting(token).notify(outcome)


def _waiting(token: str) -> CallbackEndpoint:
    endpoint = _tokens.get(token)
    if endpoint is None:
        raise InvalidToken()
    if endpoint.consumer_error or endpoint.get_outcome():
        raise TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'")
    return endpoint


def close_tokens(env: Environment) -> None:
    """Close the tokens of an execution that has ended."""
    with _lock:
        for endpoint in list(env.callback_pool_manager._pool.values()):
            endpoint.report(CallbackConsumerTimeout())


def is_awaited(state: Any) -> bool:
    """Return whether the task is a `.waitForTaskToken` one."""
    return bool(state.resource.condition == ResourceCondition.WaitForTaskToken)


def _with_token(original: Callable[..., None]) -> Callable[..., None]:
    """Make a token per attempt: with moto's one token per state, a retry has a used one."""

    def evaluate_with_timeout(self: StateTaskServiceCallback, env: Environment) -> None:
        if not is_awaited(self):
            return original(self, env)
        token = env.states.context_object.update_task_token()
        endpoint = _tokens[token] = env.callback_pool_manager.add(token)
        try:
            return original(self, env)
        finally:
            with _lock:
                endpoint.report(CallbackConsumerTimeout())
            endpoint.interrupt_all()

    return evaluate_with_timeout


def _wait_for_heartbeats(
    self: Any, env: Environment, callback_endpoint: CallbackEndpoint, heartbeat_endpoint: HeartbeatEndpoint
) -> Any:
    """Wait for the answer; moto misses one that came before the first wait."""
    while env.is_running():
        outcome = callback_endpoint.get_outcome()
        if outcome is not None:
            return outcome
        if not heartbeat_endpoint.clear_and_wait():
            return callback_endpoint.get_outcome() or HeartbeatTimedOut()
    return None


def install(_settings: Settings) -> None:
    """Forget the tokens of an earlier sandbox; patch once."""
    global _installed
    _tokens.clear()
    if _installed:
        return
    _installed = True
    callback = StateTaskServiceCallback
    callback._evaluate_with_timeout = _with_token(ExecutionState._evaluate_with_timeout)
    callback._wait_for_task_token_heartbeat = _wait_for_heartbeats
