"""The release state machine, its waiting tasks, and the one function that may start it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from imagegate.aws.clients import client, translated
from imagegate.release.start import SCHEMA

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_stepfunctions import SFNClient

    from imagegate.oci.image import ImageRef

# Another caller was faster, or the task no longer waits (AWS Step Functions API reference, SendTaskSuccess).
_NOT_WAITING = frozenset({"InvalidToken", "TaskDoesNotExist", "TaskTimedOut"})


class StepFunctionsWorkflow:
    """Executions of one state machine."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def start(self, name: str, payload: dict[str, Any]) -> bool:
        try:
            with translated({}, subject=name):
                # Sorted: to start a running execution again succeeds only with byte-equal input.
                _step_functions().start_execution(
                    stateMachineArn=self._arn, name=name, input=json.dumps(payload, sort_keys=True)
                )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
            return self._status(name) in ("RUNNING", None)
        return True

    def running(self) -> Iterator[str]:
        request: dict[str, Any] = {
            "stateMachineArn": self._arn,
            "statusFilter": "RUNNING",
            "maxResults": 1000,  # the most
        }
        while True:
            with translated({}):
                page = _step_functions().list_executions(**request)
            yield from (execution["name"] for execution in page["executions"])
            if "nextToken" not in page:
                return
            request["nextToken"] = page["nextToken"]

    def is_running(self, name: str) -> bool:
        return self._status(name) == "RUNNING"

    def _status(self, name: str) -> str | None:
        """Return the status of an execution, or None if Step Functions does not know it (yet)."""
        arn = f"{self._arn.replace(':stateMachine:', ':execution:')}:{name}"
        try:
            with translated({}, subject=name):
                return _step_functions().describe_execution(executionArn=arn)["status"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return None


class StepFunctionsTasks:
    """Tasks that wait with a token."""

    def wake(self, token: str, result: dict[str, Any]) -> bool:
        try:
            with translated({}):
                _step_functions().send_task_success(
                    taskToken=token, output=json.dumps(result, sort_keys=True)
                )
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOT_WAITING:
                raise
            return False
        return True


class LambdaStarter:
    """Requests to `start_release`, sent asynchronously: Lambda stores them and repeats failed ones."""

    def __init__(self, function: str) -> None:
        self._function = function

    def request(self, image: ImageRef, tags: Iterable[str], reason: str) -> None:
        request = {
            "repository": image.repository,
            "digest": str(image.digest),
            "tags": sorted(tags),
            "reason": str(reason),
        }
        functions: LambdaClient = client("lambda")
        with translated({}, subject=str(image)):
            functions.invoke(
                FunctionName=self._function,
                InvocationType="Event",
                Payload=json.dumps({"schema": SCHEMA, "request": request}, sort_keys=True),
            )


def _step_functions() -> SFNClient:
    states: SFNClient = client("stepfunctions")
    return states
