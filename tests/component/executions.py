"""The release state machine as Step Functions runs it: reads statemachines/release.asl.yaml, one task at a time.

Knows what that file uses: Task with and without a token, Choice, Wait, Succeed, Fail, Assign, Arguments, Retry, Catch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonata import Jsonata

MACHINE: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "statemachines/release.asl.yaml").read_text()
)
STATES: dict[str, dict[str, Any]] = MACHINE["States"]


@dataclass(frozen=True, slots=True)
class Execution:
    """JSON is kept as text: states are compared and used as keys by the ten thousand."""

    name: str
    input: str
    state: str
    variables: str = "{}"
    task: int = 1  # counts every call of a task, also repeated ones: the task's token
    retries: int = 0  # of this state, so far
    is_called: bool = False  # its function was called, and has neither returned nor died
    is_waiting: bool = False  # the function returned; the task goes on when its token comes back
    pauses: int = 0  # how many Wait states it has passed
    is_stopped: bool = False  # by somebody, wherever it was

    @property
    def token(self) -> str:
        return f"{self.name}#{self.task}"

    @property
    def is_over(self) -> bool:
        return self.is_stopped or STATES[self.state]["Type"] in ("Succeed", "Fail")

    @property
    def calls(self) -> str:
        """The function that this task calls."""
        return str(STATES[self.state]["Arguments"]["FunctionName"])

    @property
    def waits_for_token(self) -> bool:
        return str(STATES[self.state].get("Resource", "")).endswith(".waitForTaskToken")

    def payload(self) -> str:
        arguments = json.loads(_evaluate(self.state, "Arguments", self.variables, self._states()))
        return json.dumps(arguments["Payload"])

    def returned(self, result: Any) -> Execution:
        """Continue after the function returned."""
        if self.waits_for_token:
            return replace(self, is_called=False, is_waiting=True)
        return self.completed({"Payload": result})

    def completed(self, result: Any) -> Execution:
        states = self._states(result=result)
        assigned = _evaluate(self.state, "Assign", self.variables, states)
        return self._go(STATES[self.state]["Next"], _merged(self.variables, assigned))

    def failed(self, error: str, cause: str = "") -> Execution:
        """Continue after a failure: retry as often as the machine says, then catch; every task catches States.ALL."""
        for retrier in STATES[self.state].get("Retry", ()):
            if error in retrier["ErrorEquals"] and self.retries < retrier["MaxAttempts"]:
                return replace(
                    self, task=self.task + 1, retries=self.retries + 1, is_called=False, is_waiting=False
                )
        states = self._states(errorOutput={"Error": error, "Cause": cause})
        for number, catcher in enumerate(STATES[self.state]["Catch"]):
            if {error, "States.ALL"} & set(catcher["ErrorEquals"]):
                assigned = _evaluate(self.state, f"Catch.{number}", self.variables, states)
                return self._go(catcher["Next"], _merged(self.variables, assigned))
        raise AssertionError(f"{self.state} does not catch {error}")

    def _states(self, **more: Any) -> str:
        context = {"Task": {"Token": self.token}, "Execution": {"Input": json.loads(self.input)}}
        known = {"context": context, **more}
        return json.dumps(known, sort_keys=True)

    def _go(self, state: str, variables: str) -> Execution:
        pauses = self.pauses
        while (kind := STATES[state]["Type"]) in ("Choice", "Wait"):
            pauses += kind == "Wait"
            state = _choose(state, variables) if kind == "Choice" else str(STATES[state]["Next"])
        return Execution(self.name, self.input, state, variables, self.task + 1, pauses=pauses)


def begin(name: str, payload: dict[str, Any]) -> Execution:
    return Execution(name, json.dumps(payload, sort_keys=True), MACHINE["StartAt"])


def _merged(variables: str, assigned: str) -> str:
    return json.dumps(json.loads(variables) | json.loads(assigned), sort_keys=True)


@cache
def _evaluate(state: str, field: str, variables: str, states: str) -> str:
    known = json.loads(variables) | {"states": json.loads(states)}
    template: Any = STATES[state]
    if field.startswith("Catch."):
        template, field = template["Catch"][int(field.removeprefix("Catch."))], "Assign"
    return json.dumps(_filled(template.get(field, {}), known), sort_keys=True)


@cache
def _choose(state: str, variables: str) -> str:
    for choice in STATES[state]["Choices"]:
        if _filled(choice["Condition"], json.loads(variables)):
            return str(choice["Next"])
    return str(STATES[state]["Default"])


def _filled(template: Any, known: dict[str, Any]) -> Any:
    if isinstance(template, dict):
        return {name: _filled(value, known) for name, value in template.items()}
    if isinstance(template, str) and template.startswith("{%"):
        engine = Jsonata(template.removeprefix("{%").removesuffix("%}").strip())
        frame = engine.create_frame()
        for name, value in known.items():
            frame.bind(name, value)
        return engine.evaluate({}, frame)
    return template
