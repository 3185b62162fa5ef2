"""The fields of each type of state: Step Functions refuses a definition with any other; moto takes them all.

Source: Amazon States Language specification, "State Types".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from moto.stepfunctions.parser.api import InvalidDefinition

_ANY = "Type Comment QueryLanguage"
_INPUT = f"{_ANY} InputPath OutputPath Output"
_STEP = f"{_INPUT} Assign Next End"
_WORK = f"{_STEP} Parameters Arguments ResultPath ResultSelector Retry Catch"
_NUMBERS = "MaxConcurrency ToleratedFailureCount ToleratedFailurePercentage"
_TIMES = "TimeoutSeconds TimeoutSecondsPath HeartbeatSeconds HeartbeatSecondsPath"
_FIELDS = {
    "Task": f"{_WORK} Resource Credentials {_TIMES}",
    "Parallel": f"{_WORK} Branches",
    "Map": f"{_WORK} Iterator ItemProcessor Items ItemsPath ItemSelector ItemReader ItemBatcher ResultWriter Label"
    f" {_NUMBERS} {' '.join(f'{name}Path' for name in _NUMBERS.split())}",
    "Pass": f"{_STEP} Parameters ResultPath Result",
    "Wait": f"{_STEP} Seconds SecondsPath Timestamp TimestampPath",
    "Choice": f"{_INPUT} Assign Choices Default",
    "Succeed": _INPUT,
    "Fail": f"{_ANY} Error ErrorPath Cause CausePath",
}


def check_fields(definition: str) -> None:
    """Raise `InvalidDefinition` for a state with a field that its type does not have."""
    for name, state in _states(json.loads(definition)):
        allowed = _FIELDS.get(state["Type"], "").split()
        for field in state.keys() - {*allowed}:
            raise InvalidDefinition(
                message=f"SCHEMA_VALIDATION_FAILED: {name}: Field '{field}' is not supported"
            )


def _states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each state with its name, also those of branches and maps."""
    for name, state in machine["States"].items():
        yield name, state
        for inner in (*state.get("Branches", ()), state.get("ItemProcessor"), state.get("Iterator")):
            yield from _states(inner) if inner else ()
