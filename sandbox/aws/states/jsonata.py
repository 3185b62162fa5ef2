"""JSONata: moto's engine is a stub, and it pastes variables into the expression as text.

Here `jsonata-python` evaluates over real values. Undefined results, unsupported result types and failing expressions
are `States.QueryEvaluationError`, which states can catch. Output and Assign of a state both see the variables as they
were before it.

Source: Step Functions guide, "Transforming data with JSONata" and "Passing data with variables".
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

from jsonata import Jsonata
from jsonata.utils import Utils
from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.assign.assign_decl import AssignDecl
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.string.string_expression import StringJSONata
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison import (
    ConditionStringJSONata,
)
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from sandbox.settings import Settings

_HASHES = {
    "MD5": "md5",
    "SHA-1": "sha1",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}
_PENDING = "_assigned_by_this_state"
_installed = False


class QueryError(Exception):
    """An expression without a usable value; the message says why."""


def evaluate(expression: str, variables: dict[str, Any]) -> Any:
    """Return the JSON value of an expression. Raises `QueryError` if it fails or has no value."""
    try:
        engine = Jsonata(expression)
        engine.set_output_convert_nulls(False)  # otherwise undefined and null look the same
        frame = engine.create_frame()
        for name, function in _FUNCTIONS.items():
            frame.bind(name, Jsonata.JLambda(function))
        for name, value in variables.items():
            frame.bind(name, bound(value))
        result = engine.evaluate(None, frame)
    except Exception as error:
        raise QueryError(f"The JSONata expression '{expression}' threw an error: {error}") from error
    if result is None:
        raise QueryError(f"The JSONata expression '{expression}' returned nothing (undefined).")
    return to_json(result, expression)


def bound(value: Any) -> Any:
    """Convert a JSON value for the engine: null is an object of its own, None is undefined."""
    if value is None:
        return Utils.NULL_VALUE
    if isinstance(value, dict):
        return {key: bound(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [bound(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def to_json(value: Any, expression: str = "") -> Any:
    """Convert a result of the engine to JSON. Its lists may be lazy: read them by index."""
    if value is None or value is Utils.NULL_VALUE:
        return None
    if isinstance(value, dict):
        return {key: to_json(item, expression) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(value[index], expression) for index in range(len(value))]
    if isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise QueryError(f"The JSONata expression '{expression}' returned an unsupported result type.")


def _partition(items: Any = None, size: Any = None) -> Any:
    if items is None:
        return None
    if not isinstance(items, list):
        items = [items]
    if not isinstance(size, int) or size < 1:
        raise QueryError("$partition needs a positive chunk size")
    return [items[start : start + size] for start in range(0, len(items), size)]


def _range(first: int, last: int, step: int) -> list[int]:
    if not step:
        raise QueryError("$range needs a step other than 0")
    return list(range(first, last + (1 if step > 0 else -1), step))


def _hash(text: Any = None, algorithm: str = "SHA-256") -> Any:
    if text is None:
        return None
    if algorithm not in _HASHES:
        raise QueryError(f"$hash does not know the algorithm {algorithm!r}")
    return hashlib.new(_HASHES[algorithm], str(text).encode()).hexdigest()


def _parse(text: Any = None) -> Any:
    return None if text is None else bound(json.loads(text))


def _random(seed: Any = None) -> float:
    return random.Random(seed).random()  # noqa: S311 - the language's $random


def _no_eval(*_arguments: Any) -> Any:
    raise QueryError("$eval is not available: use $parse for JSON text")


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "partition": _partition,
    "range": _range,
    "hash": _hash,
    "parse": _parse,
    "random": _random,
    "uuid": lambda: str(uuid.uuid4()),
    "eval": _no_eval,
}


def _variables(env: Environment) -> dict[str, Any]:
    store = env.variable_store
    return {**store._outer_scope, **store._inner_scope, "states": _states(env.states._states_data)}


def _states(data: dict[str, Any]) -> dict[str, Any]:
    """Return `$states` with the members that the guide promises at this moment; moto keeps old results in it."""
    result, error = data.get("result"), data.get("errorOutput")
    states = {"input": data["input"], "context": data["context"]}
    if error is not None and error == result:
        return states | {"errorOutput": error}
    return states if result is None else states | {"result": result}


def failure(env: Environment, cause: str) -> FailureEventException:
    """Return a catchable `States.QueryEvaluationError`."""
    name = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    details = EvaluationFailedEventDetails(cause=cause, error=name.error_name)
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=name,
            event_type=HistoryEventType.EvaluationFailed,
            event_details=EventDetails(evaluationFailedEventDetails=details),
        )
    )


def _eval_expression(self: StringJSONata, env: Environment) -> None:
    try:
        env.stack.append(evaluate(self.expression, _variables(env)))
    except QueryError as error:
        raise failure(env, str(error)) from error


def _check_syntax(original: Callable[..., None]) -> Callable[..., None]:
    """Refuse an expression that does not parse when the state machine is created, as AWS does."""

    def init(self: StringJSONata, expression: str) -> None:
        _check_expression(expression)
        original(self, expression)

    return init


@lru_cache(maxsize=1024)
def _check_expression(expression: str) -> None:
    Jsonata(expression)


def _eval_condition(self: ConditionStringJSONata, env: Environment) -> None:
    self.string_jsonata.eval(env=env)
    if not isinstance(env.stack[-1], bool):
        raise failure(env, f"The Condition '{self.string_jsonata.expression}' is not a boolean.")


def _eval_assign(self: AssignDecl, env: Environment) -> None:
    """Evaluate the variables now; they become visible when the state ends."""
    values: dict[str, Any] = {}
    for binding in self.declaration_bindings:
        binding.eval(env=env)
        values.update(env.stack.pop())
    setattr(env.variable_store, _PENDING, values)


def _apply_assigned(original: Callable[..., Any]) -> Callable[..., Any]:
    def details(self: CommonStateField, env: Environment) -> Any:
        for name, value in getattr(env.variable_store, _PENDING, {}).items():
            env.variable_store.set(variable_identifier=name, variable_value=value)
        setattr(env.variable_store, _PENDING, {})
        return original(self, env)

    return details


def _try_output(original: Callable[..., None]) -> Callable[..., None]:
    """Evaluate a state's Output once where its own Catch sees a failure."""

    def evaluate_with_timeout(self: ExecutionState, env: Environment) -> None:
        setattr(env.variable_store, _PENDING, {})
        original(self, env)
        if self.output:
            try:
                self.output.jsonata_template_value.eval(env=env)
            except FailureEventException:
                setattr(env.variable_store, _PENDING, {})
                raise
            env.stack.pop()

    return evaluate_with_timeout


def install(_settings: Settings) -> None:
    """Patch moto's interpreter to evaluate JSONata. A second call does nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    StringJSONata.__init__ = _check_syntax(StringJSONata.__init__)
    StringJSONata._eval_body = _eval_expression
    ConditionStringJSONata._eval_body = _eval_condition
    AssignDecl._eval_body = _eval_assign
    CommonStateField._get_state_exited_event_details = _apply_assigned(
        CommonStateField._get_state_exited_event_details
    )
    ExecutionState._evaluate_with_timeout = _try_output(ExecutionState._evaluate_with_timeout)
