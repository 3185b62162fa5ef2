"""Starting and waking executions: doing it twice, or too late, is no error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from imagegate.aws import clients as aws
from imagegate.aws.stepfunctions import LambdaStarter, StepFunctionsTasks, StepFunctionsWorkflow
from imagegate.errors import ThrottledError
from imagegate.events.step_requests import StartEnvelope
from imagegate.oci.image import Digest, ImageRef
from imagegate.ports.executions import Starter, Tasks, Workflow
from imagegate.release.release import StartReason

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:release"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:start-release:live"
IMAGE = ImageRef("shop-dev", Digest.of(b"image"))

WORKFLOW: Workflow = StepFunctionsWorkflow(MACHINE)
TASKS: Tasks = StepFunctionsTasks()
STARTER: Starter = LambdaStarter(FUNCTION)

pytestmark = pytest.mark.usefixtures("aws_account")


@pytest.fixture
def stub(aws_account: None) -> Iterator[Stubber]:
    with Stubber(aws.client("stepfunctions")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_an_execution_gets_the_same_bytes_at_each_start(stub: Stubber) -> None:
    expected = {"stateMachineArn": MACHINE, "name": "n", "input": '{"a": 1, "b": {"c": 2, "d": 3}}'}
    answer = {"executionArn": "arn", "startDate": 0}
    stub.add_response("start_execution", answer, expected)
    stub.add_response("start_execution", answer, expected)
    WORKFLOW.start("n", {"a": 1, "b": {"c": 2, "d": 3}})
    WORKFLOW.start("n", {"b": {"d": 3, "c": 2}, "a": 1})


@pytest.mark.parametrize(("status", "runs"), [("RUNNING", True), ("SUCCEEDED", False), ("ABORTED", False)])
def test_a_name_that_is_taken_says_whether_its_execution_still_runs(
    stub: Stubber, status: str, runs: bool
) -> None:
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:release"
    described = {
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:release:n",
        "stateMachineArn": machine,
        "status": status,
        "startDate": datetime(2026, 11, 21, tzinfo=UTC),
    }
    stub.add_client_error("start_execution", "ExecutionAlreadyExists")
    stub.add_response("describe_execution", described, {"executionArn": described["executionArn"]})
    assert WORKFLOW.start("n", {}) is runs


@pytest.mark.parametrize("code", ["InvalidExecutionInput", "StateMachineDoesNotExist", "InvalidToken"])
def test_a_start_that_failed_is_an_error(stub: Stubber, code: str) -> None:
    stub.add_client_error("start_execution", code)
    with pytest.raises(ClientError, match=code):
        WORKFLOW.start("n", {})


def test_a_waiting_task_gets_its_result(stub: Stubber) -> None:
    stub.add_response("send_task_success", {}, {"taskToken": "t", "output": '{"waited": "READY", "why": ""}'})
    TASKS.wake("t", {"why": "", "waited": "READY"})


@pytest.mark.parametrize("code", ["InvalidToken", "TaskDoesNotExist", "TaskTimedOut"])
def test_a_task_that_has_ended_meanwhile_is_no_error(stub: Stubber, code: str) -> None:
    stub.add_client_error("send_task_success", code)
    TASKS.wake("t", {})


def test_a_task_that_could_not_be_woken_is_an_error(stub: Stubber) -> None:
    stub.add_client_error("send_task_success", "InvalidOutput")
    with pytest.raises(ClientError, match="InvalidOutput"):
        TASKS.wake("t", {})


def test_step_functions_asking_for_patience_is_tried_again(stub: Stubber) -> None:
    stub.add_client_error("start_execution", "ThrottlingException")
    stub.add_client_error("send_task_success", "ThrottlingException")
    with pytest.raises(ThrottledError):
        WORKFLOW.start("n", {})
    with pytest.raises(ThrottledError):
        TASKS.wake("t", {})


def test_a_request_is_asynchronous_and_has_the_form_that_start_release_reads() -> None:
    sent = json.dumps(
        {
            "request": {
                "digest": str(IMAGE.digest),
                "reason": "late scan",
                "repository": "shop-dev",
                "tags": ["v1", "v2"],
            },
            "schema": 1,
        }
    )
    with Stubber(aws.client("lambda")) as stub:
        expected = {"FunctionName": FUNCTION, "InvocationType": "Event", "Payload": sent}
        stub.add_response("invoke", {"StatusCode": 202}, expected)
        STARTER.request(IMAGE, {"v2", "v1"}, StartReason.LATE_SCAN)
        stub.assert_no_pending_responses()
    request = StartEnvelope.parse(json.loads(sent)).request
    assert (request.image, request.reason) == (IMAGE, StartReason.LATE_SCAN)
