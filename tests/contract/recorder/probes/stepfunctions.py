"""Step Functions: names of executions and answers to task tokens, with throw-away state machines."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench
from tests.contract.recorder.probes.s3 import own_bucket

CHAPTER = "Step Functions"
_TAKEN = "ExecutionAlreadyExists"
_DEFINITIONS = sorted((Path(__file__).parents[4] / "statemachines").iterdir())
# Until IAM knows the new role everywhere.
_ROLE_UNKNOWN = {"AccessDeniedException", "InvalidParameterValue", "ValidationException"}


@behaviour(CHAPTER, "model, StartExecution", ("ok", "ok", "yes", _TAKEN, _TAKEN))
def a_name_is_started_once(bench: Bench) -> None:
    """The same name and input as a running execution start nothing; other input, or a closed one, is refused."""
    machine = _waiting_machine(bench)
    started = [_start(bench, machine, "once", "{}") for _ in range(2)]
    bench.observe("it is the same execution", started[0] == started[1])
    _start(bench, machine, "once", '{"other": 1}')
    _stop(bench, machine, "once")
    _start(bench, machine, "once", "{}")


@behaviour(CHAPTER, "model, `StartExecutionInput`", ("ok", *["InvalidName"] * 3))
def a_name_has_legal_characters(bench: Bench) -> None:
    """80 characters are taken, but neither `:` nor `/` nor a space."""
    machine = _waiting_machine(bench)
    for name in ("n" * 80, "a:b", "a/b", "a b"):
        _start(bench, machine, name, "{}")


@behaviour(CHAPTER, "model, `StartExecutionInput`; the error is not said", None)
def a_name_has_1_to_80_characters(bench: Bench) -> None:
    """81 characters, and an empty name."""
    machine = _waiting_machine(bench)
    for name in ("n" * 81, ""):
        _start(bench, machine, name, "{}")


@behaviour(CHAPTER, "model, StartExecution", ("InvalidExecutionInput", "StateMachineDoesNotExist"))
def input_is_json_for_a_machine_that_exists(bench: Bench) -> None:
    """Input that is no JSON, or for a machine that does not exist, is refused."""
    machine = _waiting_machine(bench)
    _start(bench, machine, "input", "no JSON")
    _start(bench, f"{machine}-missing", "input", "{}")


@behaviour(CHAPTER, "model, SendTaskSuccess", ("InvalidToken", "InvalidToken", "InvalidToken"))
def a_made_up_token_is_invalid(bench: Bench) -> None:
    """Nobody answers with a token that was never given."""
    token: dict[str, Any] = {"taskToken": "made-up"}
    bench.ask("stepfunctions", "SendTaskSuccess", **token, output="{}")
    bench.ask("stepfunctions", "SendTaskFailure", **token, error="Error", cause="cause")
    bench.ask("stepfunctions", "SendTaskHeartbeat", **token)


@behaviour(CHAPTER, "model, SendTaskSuccess; which error when is not said", None)
def a_token_is_answered_once(bench: Bench) -> None:
    """A token takes valid JSON, once; afterwards, and when its execution was stopped, the answer is an error."""
    token, _ = _given_token(bench)
    for output in ("no JSON", "{}", "{}"):
        bench.ask("stepfunctions", "SendTaskSuccess", taskToken=token, output=output)
    token, execution = _given_token(bench)
    bench.do("stepfunctions", "StopExecution", executionArn=execution)
    bench.ask("stepfunctions", "SendTaskSuccess", taskToken=token, output="{}")


def _start(bench: Bench, machine: str, name: str, text: str) -> str | None:
    answer = bench.ask("stepfunctions", "StartExecution", stateMachineArn=machine, name=name, input=text)
    if started := answer.content.get("executionArn"):
        bench.throw_away.add(
            f"execution {started}", lambda: bench.do("stepfunctions", "StopExecution", executionArn=started)
        )
    return started


def _stop(bench: Bench, machine: str, name: str) -> None:
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
    bench.do("stepfunctions", "StopExecution", executionArn=execution)

    def is_over() -> bool:
        found = bench.do("stepfunctions", "DescribeExecution", executionArn=execution)
        return bool(found["status"] != "RUNNING")

    bench.until(is_over)


def _given_token(bench: Bench) -> tuple[str, str]:
    """Return a token that waits, from a queue, and its execution."""
    machine, queue = _token_machine(bench), _queue(bench)

    def given() -> tuple[str, str] | None:
        # The role's permission may not be known yet: then the execution fails, and the next try starts another one.
        started = bench.do("stepfunctions", "StartExecution", stateMachineArn=machine)["executionArn"]
        bench.throw_away.add(
            f"execution {started}", lambda: bench.do("stepfunctions", "StopExecution", executionArn=started)
        )
        token = bench.until(lambda: _received(bench, queue), 10)
        return (token, started) if token else None

    found: tuple[str, str] | None = bench.until(given, 90)
    if not found:
        raise TimeoutError("no task token came through the queue")
    return found


def _received(bench: Bench, queue: str) -> str | None:
    for message in bench.do("sqs", "ReceiveMessage", QueueUrl=queue).get("Messages", []):
        bench.do("sqs", "DeleteMessage", QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return str(message["Body"])
    return None


@behaviour(
    CHAPTER,
    "Step Functions reference, ValidateStateMachineDefinition",
    ("ok", "yes") * len(_DEFINITIONS),
    looser="the sandbox has no such call",
)
def every_definition_is_taken(bench: Bench) -> None:
    """The definitions of the product are valid for Step Functions itself."""
    for file in _DEFINITIONS:
        definition = re.sub(r"\$\{\w+\}", bench.arn("lambda", "function:x:live"), file.read_text())
        text = json.dumps(yaml.safe_load(definition))
        show = "[result, diagnostics[].[code, message, location]]"
        answer = bench.ask(
            "stepfunctions", "ValidateStateMachineDefinition", show=show, hide=["definition"], definition=text
        )
        bench.observe(f"{file.name} is valid", answer.content.get("result") == "OK")


@behaviour(CHAPTER, 'Step Functions guide, "Using Map state in Distributed mode"', ("ok", "yes", "yes"))
def a_distributed_map_goes_on_past_a_failed_item(bench: Bench) -> None:
    """A map over a list in S3 runs an execution for each item, and ends well though one of them fails."""
    store = own_bucket(bench)
    bench.do("s3", "PutObject", Bucket=store, Key="items", Body=b"[1, 2, 3]")
    bench.throw_away.add(
        f"list in {store}", partial(bench.do, "s3", "DeleteObject", Bucket=store, Key="items")
    )
    machine = _machine(bench, "map", _map_over(bench, store))
    _start(bench, machine, "map", "{}")
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:map"

    def end() -> str:
        status = str(bench.do("stepfunctions", "DescribeExecution", executionArn=arn)["status"])
        return "" if status == "RUNNING" else status

    bench.observe("it succeeds", bench.until(end, 120) == "SUCCEEDED")
    output = json.loads(
        bench.do("stepfunctions", "DescribeExecution", executionArn=arn).get("output") or "{}"
    )
    bench.observe("what comes behind it runs", output == {"after": "the map"})


def _map_over(bench: Bench, store: str) -> dict[str, Any]:
    is_two = {"Condition": "{% $states.input.number = 2 %}", "Next": "Fails"}
    states = {
        "Is Two": {"Type": "Choice", "Choices": [is_two], "Default": "Succeeds"},
        "Fails": {"Type": "Fail", "Error": "Two", "Cause": "to see whether the others go on"},
        "Succeeds": {"Type": "Succeed"},
    }
    mapped = {
        "Type": "Map",
        "ToleratedFailurePercentage": "{% 100 %}",
        "ItemReader": {
            "Resource": f"arn:{bench.partition}:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Arguments": {"Bucket": store, "Key": "items"},
        },
        "ItemSelector": {"number": "{% $states.context.Map.Item.Value %}"},
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Is Two",
            "States": states,
        },
        "Output": {},
        "Next": "After",
    }
    return {"Map": mapped, "After": {"Type": "Pass", "Output": {"after": "the map"}, "End": True}}


def _waiting_machine(bench: Bench) -> str:
    # Stopped by hand, long before.
    waits = {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}
    made: str = bench.shared("machine that waits", lambda: _machine(bench, "waits", waits))
    return made


def _token_machine(bench: Bench) -> str:
    task = {
        "Type": "Task",
        "Resource": f"arn:{bench.partition}:states:::aws-sdk:sqs:sendMessage.waitForTaskToken",
        "TimeoutSeconds": 600,
        "Arguments": {
            "QueueUrl": _queue(bench),
            "MessageBody": "{% $states.context.Task.Token %}",
        },
        "End": True,
    }
    made: str = bench.shared("machine with tokens", lambda: _machine(bench, "tokens", {"Task": task}))
    return made


def _machine(bench: Bench, purpose: str, states: dict[str, Any]) -> str:
    name = f"{bench.run}-{purpose}"
    arn = bench.arn("states", f"stateMachine:{name}")
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": next(iter(states)),
        "TimeoutSeconds": 900,
        "States": states,
    }
    wanted = {"name": name, "roleArn": role(bench), "definition": json.dumps(definition)}
    delete = partial(bench.do, "stepfunctions", "DeleteStateMachine", stateMachineArn=arn)

    def create() -> None:
        bench.make(f"state machine {name}", delete, "stepfunctions", "CreateStateMachine", **wanted)

    bench.until_accepted(_ROLE_UNKNOWN, create, 0 if bench.is_loopback else 45)
    return arn


def role(bench: Bench) -> str:
    made: str = bench.shared("role", lambda: _make_role(bench))
    return made


def _make_role(bench: Bench) -> str:
    name = bench.run
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "states.amazonaws.com"}}
    machine, runs = (bench.arn("states", f"{kind}:{name}-map") for kind in ("stateMachine", "execution"))
    allow = [
        {"Effect": "Allow", "Action": action, "Resource": resource}
        for action, resource in (
            ("sqs:SendMessage", bench.arn("sqs", name)),
            ("s3:GetObject", bench.arn("s3", f"{name}/items")),
            ("states:StartExecution", machine),
            (["states:DescribeExecution", "states:StopExecution"], f"{runs}/*"),
        )
    ]
    delete = partial(bench.do, "iam", "DeleteRole", RoleName=name)
    wanted = {"RoleName": name, "AssumeRolePolicyDocument": _policy([trust])}
    bench.make(f"role {name}", delete, "iam", "CreateRole", **wanted)
    policy = {"RoleName": name, "PolicyName": "queue"}
    delete = partial(bench.do, "iam", "DeleteRolePolicy", **policy)
    allowed = {**policy, "PolicyDocument": _policy(allow)}
    bench.make(f"policy of role {name}", delete, "iam", "PutRolePolicy", **allowed)
    return bench.arn("iam", f"role/{name}")


def _queue(bench: Bench) -> str:
    made: str = bench.shared("queue", lambda: _make_queue(bench))
    return made


def _make_queue(bench: Bench) -> str:
    def delete() -> None:
        bench.do(
            "sqs", "DeleteQueue", QueueUrl=bench.do("sqs", "GetQueueUrl", QueueName=bench.run)["QueueUrl"]
        )

    made = bench.make(f"queue {bench.run}", delete, "sqs", "CreateQueue", QueueName=bench.run)
    return str(made["QueueUrl"])


def _policy(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
