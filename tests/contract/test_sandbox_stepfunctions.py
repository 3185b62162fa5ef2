"""Behaviour of Step Functions that moto lacks without our patches: one test per gap."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.states.jsonata import QueryError, evaluate
from tests.contract.small_cloud import SmallCloud, small_cloud
from tests.patience import eventually

INVOKE = "arn:aws:states:::lambda:invoke"
FOR_TOKEN = f"{INVOKE}.waitForTaskToken"
AWKWARD = 'a "quoted" \\ back\nslash é {% $x %} ${y}'


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallCloud]:
    state: Path = tmp_path_factory.mktemp("workflows")
    with small_cloud(state) as running:
        yield running


@pytest.fixture(scope="module")
def role(cloud: SmallCloud) -> str:
    return cloud.role("machine", "*")


@pytest.fixture(scope="module")
def function(cloud: SmallCloud) -> str:
    return cloud.function("worker")


def succeeded(cloud: SmallCloud, execution: str) -> Any:
    ended = cloud.end(execution)
    assert ended["status"] == "SUCCEEDED", ended
    return ended["output"]


def task(function: str, payload: Any, resource: str = INVOKE, **fields: Any) -> dict[str, Any]:
    arguments = {"FunctionName": function, "Payload": payload}
    return {
        "Type": "Task",
        "Resource": resource,
        "Arguments": arguments,
        "TimeoutSeconds": 60,
        "End": True,
    } | fields


def caught(cloud: SmallCloud, name: str, state: dict[str, Any], role: str) -> dict[str, str]:
    """Return the Error and Cause with which the state ends."""
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {"Work": state | {"Catch": catch}, "Caught": {"Type": "Succeed"}}
    output: dict[str, str] = succeeded(cloud, cloud.start(cloud.machine(name, states, role)))
    return output


# JSONata


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$partition([1..5], 2)", [[1, 2], [3, 4], [5]]),
        ("$range(0, 10, 5)", [0, 5, 10]),
        ("$range(3, 1, -1)", [3, 2, 1]),
        ('$parse("{\\"a\\": [null, 1]}")', {"a": [None, 1]}),
        ("$hash('x', 'MD5')", "9dd4e461268c8034f5c8564e155c67a6"),
        ("$length($uuid())", 36),
        ("$random(7) = $random(7)", True),
        ("$v & '!'", AWKWARD + "!"),
        ("{'v': $v, 'n': $n, 'gone': $nope}", {"v": AWKWARD, "n": None}),
        ("$n", None),
        ("$list", [7]),
        ("$exists($n) and $not($exists($nope))", True),
    ],
)
def test_expressions_see_real_values(expression: str, value: Any) -> None:
    assert evaluate(expression, {"v": AWKWARD, "n": None, "list": [7]}) == value


@pytest.mark.parametrize(
    "expression", ["$nope", "$number('x')", "$count", "$eval('1')", "1 +", "$hash('x', 'CRC')"]
)
def test_an_expression_without_a_usable_value_is_an_error(expression: str) -> None:
    with pytest.raises(QueryError):
        evaluate(expression, {})


def test_variables_carry_any_text_from_state_to_state(cloud: SmallCloud, role: str, function: str) -> None:
    states = {
        "Keep": {
            "Type": "Pass",
            "Assign": {"kept": "{% $states.input.text %}", "all": "{% $states.input %}"},
            "Next": "Work",
        },
        "Work": task(
            function,
            {"text": "{% $kept %}"},
            Output={
                "echo": "{% $states.result.Payload.echo.text %}",
                "all": "{% $all %}",
                "name": "{% $states.context.Execution.Name %}",
            },
        ),
    }
    execution = cloud.start(cloud.machine("text", states, role), {"text": AWKWARD}, name="mine")
    expected = {"echo": AWKWARD, "all": {"text": AWKWARD}, "name": "mine"}
    assert succeeded(cloud, execution) == expected


def test_output_and_assign_see_the_variables_from_before_the_state(cloud: SmallCloud, role: str) -> None:
    states = {
        "First": {"Type": "Pass", "Assign": {"n": 1}, "Next": "Second"},
        "Second": {
            "Type": "Pass",
            "Assign": {"n": 2, "before": "{% $n %}"},
            "Output": "{% $n %}",
            "Next": "Third",
        },
        "Third": {"Type": "Pass", "Output": "{% [$states.input, $before, $n] %}", "End": True},
    }
    assert succeeded(cloud, cloud.start(cloud.machine("order", states, role))) == [1, 1, 2]


@pytest.mark.parametrize("field", ["Arguments", "Assign", "Output", "TimeoutSeconds"])
def test_an_undefined_value_can_be_caught_in_every_field(
    cloud: SmallCloud, role: str, function: str, field: str
) -> None:
    bad: Any = {"FunctionName": "{% $nope %}"} if field == "Arguments" else "{% $nope %}"
    state = task(function, {}) | {field: {"x": bad} if field == "Assign" else bad}
    error = caught(cloud, f"undefined-{field}", state, role)
    assert error["Error"] == "States.QueryEvaluationError"
    assert "$nope" in error["Cause"]


def test_a_condition_that_is_no_boolean_fails_the_execution(cloud: SmallCloud, role: str) -> None:
    states = {
        "Sure?": {"Type": "Choice", "Choices": [{"Condition": "{% 'yes' %}", "Next": "Yes"}]},
        "Yes": {"Type": "Succeed"},
    }
    ended = cloud.end(cloud.start(cloud.machine("condition", states, role)))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.QueryEvaluationError")


def test_an_expression_that_does_not_parse_is_refused_at_creation(cloud: SmallCloud, role: str) -> None:
    with pytest.raises(ClientError, match="InvalidDefinition"):
        cloud.machine("bad", {"A": {"Type": "Pass", "Output": "{% 1 + %}", "End": True}}, role)


INNER = {"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 1, "End": True}}}
STATES: dict[str, dict[str, Any]] = {
    "Task": task("arn:aws:lambda:eu-central-1:123456789012:function:worker", {}),
    "Parallel": {"Type": "Parallel", "Branches": [INNER], "End": True},
    "Map": {"Type": "Map", "Items": [1], "ItemProcessor": INNER, "End": True},
    "Pass": {"Type": "Pass", "Output": 1, "End": True},
    "Wait": {"Type": "Wait", "Seconds": 1, "End": True},
    "Choice": {"Type": "Choice", "Choices": [{"Condition": True, "Next": "Succeed"}], "Default": "Succeed"},
    "Succeed": {"Type": "Succeed", "Output": 1},
    "Fail": {"Type": "Fail", "Error": "E", "Cause": "C"},
}
FOREIGN: dict[str, dict[str, Any]] = {
    "Task": {"Seconds": 1},
    "Parallel": {"TimeoutSeconds": 1},
    "Map": {"TimeoutSeconds": 1},
    "Pass": {"Retry": [{"ErrorEquals": ["States.ALL"]}]},
    "Wait": {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Succeed"}]},
    "Choice": {"Retry": []},
    "Succeed": {"Assign": {"one": 1}},
    "Fail": {"Output": 1},
}


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("where", ["at the top", "in a branch", "in a map"])
def test_a_field_that_a_type_of_state_does_not_have_is_refused(
    cloud: SmallCloud, role: str, kind: str, where: str
) -> None:
    def machine(name: str, state: dict[str, Any]) -> None:
        states = {"A": state, "Succeed": {"Type": "Succeed"}}
        inner = {"StartAt": "A", "States": states}
        around = {
            "at the top": states,
            "in a branch": {"B": {"Type": "Parallel", "Branches": [inner], "End": True}},
            "in a map": {"B": {"Type": "Map", "Items": [1], "ItemProcessor": inner, "End": True}},
        }
        cloud.machine(name, around[where], role)

    name = f"fields-{kind}-{where.replace(' ', '-')}"
    machine(name, STATES[kind])
    with pytest.raises(ClientError, match=f"InvalidDefinition.*A: Field '{next(iter(FOREIGN[kind]))}'"):
        machine(f"{name}-foreign", STATES[kind] | FOREIGN[kind])


def test_fail_parallel_and_map_speak_jsonata(cloud: SmallCloud, role: str) -> None:
    double = {
        "StartAt": "Double",
        "States": {"Double": {"Type": "Pass", "Output": "{% $states.input * 2 %}", "End": True}},
    }
    answer = {"Type": "Pass", "Output": "{% $states.input %}", "End": True}
    states: dict[str, Any] = {
        "Each": {
            "Type": "Map",
            "Items": "{% $states.input.numbers %}",
            "ItemProcessor": double,
            "Next": "Both",
        },
        "Both": {
            "Type": "Parallel",
            "Branches": [{"StartAt": "A", "States": {"A": answer}}] * 2,
            "Output": "{% $states.result[0] %}",
            "Next": "End",
        },
        "End": {"Type": "Fail", "Error": "{% 'E' & $states.input[2] %}", "Cause": "{% 'all' %}"},
    }
    ended = cloud.end(cloud.start(cloud.machine("shapes", states, role), {"numbers": [1, 2, 3]}))
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "E6", "all")


# Calls


def test_a_functions_error_is_the_tasks_error(cloud: SmallCloud, role: str, function: str) -> None:
    error = caught(cloud, "boom", task(function, {"error": "ScanNotReadyError"}), role)
    assert error["Error"] == "ScanNotReadyError"
    assert json.loads(error["Cause"])["errorMessage"] == "as asked"


def test_calls_run_with_the_roles_permissions(cloud: SmallCloud, function: str) -> None:
    nobody = cloud.role("nobody", "logs:CreateLogGroup")
    error = caught(cloud, "denied", task(function, {}), nobody)
    assert error["Error"] == "Lambda.AccessDeniedException"
    assert "lambda:InvokeFunction" in error["Cause"]
    entries = [{"Source": "a", "DetailType": "b", "Detail": {}}]
    events = {
        "Type": "Task",
        "Resource": "arn:aws:states:::events:putEvents",
        "Arguments": {"Entries": entries},
        "End": True,
    }
    error = caught(cloud, "denied-events", events, nobody)
    assert error["Error"] == "EventBridge.AccessDeniedException"


def test_direct_integrations_do_their_call(cloud: SmallCloud, role: str) -> None:
    topic = cloud.client("sns").create_topic(Name="alerts")["TopicArn"]
    cloud.client("dynamodb").create_table(
        TableName="facts",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"id": {"S": "{% $states.input.id %}"}}
    attribute = {"DataType": "String", "StringValue": "PASS"}
    publish = {
        "TopicArn": topic,
        "Subject": "Hello",
        "Message": "{% $states.input %}",
        "MessageAttributes": {"outcome": attribute},
    }
    resource = "arn:aws:states:::"
    put = {"TableName": "facts", "Item": item}
    keep = "{% $states.input %}"
    states = {
        "Put": {
            "Type": "Task",
            "Resource": f"{resource}dynamodb:putItem",
            "Arguments": put,
            "Output": keep,
            "Next": "Publish",
        },
        "Publish": {
            "Type": "Task",
            "Resource": f"{resource}sns:publish",
            "Arguments": publish,
            "Output": keep,
            "Next": "Read",
        },
        "Read": {
            "Type": "Task",
            "Resource": f"{resource}aws-sdk:dynamodb:describeTable",
            "Arguments": {"TableName": "facts"},
            "Next": "Missing",
        },
        "Missing": {
            "Type": "Task",
            "Resource": f"{resource}aws-sdk:ecr:describeRepositories",
            "Arguments": {"RepositoryNames": ["nope"]},
            "Catch": [
                {
                    "ErrorEquals": ["Ecr.RepositoryNotFoundException"],
                    "Output": "{% $states.input.Table %}",
                    "Next": "Done",
                }
            ],
            "End": True,
        },
        "Done": {"Type": "Succeed"},
    }
    output = succeeded(cloud, cloud.start(cloud.machine("direct", states, role), {"id": AWKWARD}))
    assert output["TableName"] == "facts"
    assert output["CreationDateTime"].endswith("Z")
    published = cloud.lines("messages.jsonl")[-1]
    assert json.loads(published["message"]) == {"id": AWKWARD}
    assert (published["subject"], published["attributes"]) == ("Hello", {"outcome": "PASS"})


def test_a_fail_state_passes_on_a_caught_error(cloud: SmallCloud, role: str, function: str) -> None:
    assign = {"error": "{% $states.errorOutput.Error %}"}
    catch = [{"ErrorEquals": ["States.ALL"], "Assign": assign, "Next": "Failed"}]
    states = {
        "Work": task(function, "{% $nope %}", Catch=catch),
        "Failed": {"Type": "Fail", "Error": "{% $error %}", "Cause": "passed on"},
    }
    ended = cloud.end(cloud.start(cloud.machine("pass-on", states, role)))
    assert ended["error"] == "States.QueryEvaluationError"
    assert ended["cause"].endswith("passed on")


def test_catching_all_does_not_catch_terminal_errors(cloud: SmallCloud, role: str, function: str) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {
        "Work": task(function, "{% $pad('', 300000, 'x') %}", Catch=catch),
        "Caught": {"Type": "Succeed"},
    }
    ended = cloud.end(cloud.start(cloud.machine("terminal", states, role)))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")


# Task tokens


def waiting(cloud: SmallCloud, function: str, role: str, name: str, **fields: Any) -> str:
    payload = {"token": "{% $states.context.Task.Token %}", "name": name}
    state = task(function, payload, FOR_TOKEN, **({"TimeoutSeconds": 6000} | fields))
    return cloud.start(cloud.machine(name, {"Wait": state}, role))


def tokens(cloud: SmallCloud, name: str, count: int = 1) -> list[str]:
    def look() -> list[str] | None:
        calls = [line["event"] for line in cloud.lines("calls.jsonl")]
        found = [call["token"] for call in calls if isinstance(call, dict) and call.get("name") == name]
        return found if len(found) >= count else None

    return eventually(look)


def test_a_token_is_answered_once(cloud: SmallCloud, role: str, function: str) -> None:
    execution = waiting(cloud, function, role, "once")
    [token] = tokens(cloud, "once")
    client = cloud.client("stepfunctions")
    client.send_task_heartbeat(taskToken=token)
    client.send_task_success(taskToken=token, output=json.dumps({"v": AWKWARD}))
    with pytest.raises(client.exceptions.TaskTimedOut):
        client.send_task_success(taskToken=token, output="{}")
    assert succeeded(cloud, execution) == {"v": AWKWARD}
    with pytest.raises(client.exceptions.TaskTimedOut):
        client.send_task_failure(taskToken=token)
    with pytest.raises(client.exceptions.InvalidToken):
        client.send_task_success(taskToken="made-up", output="{}")
    with pytest.raises(client.exceptions.InvalidOutput):
        client.send_task_success(taskToken=token, output="{")


def test_an_answer_may_come_before_the_call_returns(cloud: SmallCloud, role: str, function: str) -> None:
    payload = {"answer": "{% $states.context.Task.Token %}", "with": [1]}
    state = task(function, payload, FOR_TOKEN, TimeoutSeconds=6000, HeartbeatSeconds=3000)
    assert succeeded(cloud, cloud.start(cloud.machine("early", {"Wait": state}, role))) == [1]


def test_a_failure_carries_error_and_cause(cloud: SmallCloud, role: str, function: str) -> None:
    execution = waiting(cloud, function, role, "failing")
    [token] = tokens(cloud, "failing")
    cloud.client("stepfunctions").send_task_failure(taskToken=token, error="E", cause="because")
    ended = cloud.end(execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "E", "because")


def test_every_attempt_has_its_own_token(cloud: SmallCloud, role: str, function: str) -> None:
    retry = [{"ErrorEquals": ["Again"], "MaxAttempts": 2, "MaxDelaySeconds": 9, "BackoffRate": 1.5}]
    execution = waiting(cloud, function, role, "again", Retry=retry)
    client = cloud.client("stepfunctions")
    [first] = tokens(cloud, "again")
    client.send_task_failure(taskToken=first, error="Again")
    _, second = tokens(cloud, "again", 2)
    assert first != second
    with pytest.raises(client.exceptions.TaskTimedOut):
        client.send_task_success(taskToken=first, output="{}")
    client.send_task_success(taskToken=second, output='"done"')
    assert succeeded(cloud, execution) == "done"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"TimeoutSeconds": "{% 25 * 2 %}"}, "States.Timeout"),
        ({"HeartbeatSeconds": 50}, "States.HeartbeatTimeout"),
    ],
)
def test_waiting_ends_on_the_sandboxs_clock(
    cloud: SmallCloud, role: str, function: str, fields: dict[str, Any], error: str
) -> None:
    name = error.replace(".", "-")
    execution = waiting(cloud, function, role, name, **fields)
    started = time.monotonic()
    ended = cloud.end(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert 0.8 < time.monotonic() - started < 45  # 50 s at scale 0.02, at least 1 s
    client = cloud.client("stepfunctions")
    with pytest.raises(client.exceptions.TaskTimedOut):
        client.send_task_success(taskToken=tokens(cloud, name)[0], output="{}")


def test_an_ordinary_tasks_timeout_is_not_scaled(cloud: SmallCloud, role: str, function: str) -> None:
    slow = task(function, {"sleep": 0.5}, TimeoutSeconds=20)
    succeeded(cloud, cloud.start(cloud.machine("slow", {"Work": slow}, role)))
    late = caught(cloud, "late", task(function, {"sleep": 20}, TimeoutSeconds=1), role)
    assert late["Error"] == "States.Timeout"


def test_waits_are_scaled(cloud: SmallCloud, role: str) -> None:
    states = {"Soak": {"Type": "Wait", "Seconds": "{% $states.input %}", "End": True}}
    started = time.monotonic()
    succeeded(cloud, cloud.start(cloud.machine("soak", states, role), 20))
    assert 0.35 < time.monotonic() - started < 18  # 20 s at scale 0.02


# Executions


@pytest.fixture(scope="module")
def sleeper(cloud: SmallCloud, role: str) -> str:
    states = {"Wait": {"Type": "Wait", "Seconds": "{% $states.input.for %}", "End": True}}
    return cloud.machine("sleeper", states, role)


def test_starting_twice_starts_once(cloud: SmallCloud, sleeper: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        arns = set(pool.map(lambda _: cloud.start(sleeper, {"for": 20}, "twice"), range(4)))
    assert len(arns) == 1
    exists = cloud.client("stepfunctions").exceptions.ExecutionAlreadyExists
    with pytest.raises(exists):
        cloud.start(sleeper, {"for": 21}, "twice")
    cloud.end(arns.pop())
    with pytest.raises(exists):
        cloud.start(sleeper, {"for": 20}, "twice")


@pytest.mark.parametrize("name", ["sha256:abc", "a/b", "with space", "x" * 81])
def test_names_that_aws_refuses_are_refused(cloud: SmallCloud, sleeper: str, name: str) -> None:
    with pytest.raises(ClientError, match=r"Invalid Name|less than or equal to 80"):
        cloud.start(sleeper, {"for": 1}, name)


def test_an_execution_without_a_name_gets_one_of_its_own(cloud: SmallCloud, sleeper: str) -> None:
    first, second = (cloud.start(sleeper, {"for": 1}) for _ in range(2))
    assert first != second
    assert len(first.rsplit(":", 1)[1]) == 36


def test_stopping_aborts_at_once(cloud: SmallCloud, role: str, function: str) -> None:
    execution = waiting(cloud, function, role, "stopped")
    [token] = tokens(cloud, "stopped")
    client = cloud.client("stepfunctions")
    client.stop_execution(executionArn=execution, error="Enough", cause="by hand")
    ended = client.describe_execution(executionArn=execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("ABORTED", "Enough", "by hand")
    assert ended["stopDate"] >= ended["startDate"]
    assert cloud.history(execution)[-1]["type"] == "ExecutionAborted"
    with pytest.raises(client.exceptions.TaskTimedOut):
        client.send_task_success(taskToken=token, output="{}")


def test_a_state_machine_has_a_timeout(cloud: SmallCloud, role: str) -> None:
    states = {"Wait": {"Type": "Wait", "Seconds": 5000, "End": True}}
    execution = cloud.start(cloud.machine("brief", states, role, TimeoutSeconds=1))
    assert cloud.end(execution)["status"] == "TIMED_OUT"
    assert cloud.history(execution)[-1]["type"] == "ExecutionTimedOut"


def test_transitions_can_be_counted_and_executions_listed(cloud: SmallCloud, sleeper: str) -> None:
    execution = cloud.start(sleeper, {"for": 1})
    cloud.end(execution)
    entered = [e for e in cloud.history(execution) if e["type"].endswith("StateEntered")]
    assert [e["stateEnteredEventDetails"]["name"] for e in entered] == ["Wait"]
    client = cloud.client("stepfunctions")
    listed = client.list_executions(stateMachineArn=sleeper, statusFilter="SUCCEEDED")["executions"]
    assert execution in [item["executionArn"] for item in listed]
    assert all(item["stopDate"] for item in listed)
    newest = client.get_execution_history(executionArn=execution, reverseOrder=True)["events"][0]
    assert newest["type"] == "ExecutionSucceeded"


def test_a_list_of_executions_goes_on_behind_one_that_has_ended(cloud: SmallCloud, role: str) -> None:
    states = {"Wait": {"Type": "Wait", "Seconds": 5000, "End": True}}
    machine = cloud.machine("listed", states, role)
    started = [cloud.start(machine) for _ in range(5)][::-1]
    client = cloud.client("stepfunctions")
    request: dict[str, Any] = {"stateMachineArn": machine, "statusFilter": "RUNNING", "maxResults": 2}
    first = client.list_executions(**request)
    for ended in started[1:3]:  # the last one of the page, and the next one
        client.stop_execution(executionArn=ended)
    second = client.list_executions(**request, nextToken=first["nextToken"])
    assert [one["executionArn"] for one in first["executions"]] == started[:2]
    assert [one["executionArn"] for one in second["executions"]] == started[3:]
    assert "nextToken" not in second
    for rest in (started[0], *started[3:]):
        client.stop_execution(executionArn=rest)


def test_a_template_makes_a_machine_that_runs(cloud: SmallCloud, role: str) -> None:
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "Say",
        "States": {"Say": {"Type": "Pass", "Output": "${What}", "End": True}},
    }
    properties = {
        "DefinitionString": json.dumps(definition),
        "DefinitionSubstitutions": {"What": "hello"},
        "RoleArn": role,
        "StateMachineType": "STANDARD",
        "LoggingConfiguration": {"Level": "ALL", "IncludeExecutionData": True},
        "TracingConfiguration": {"Enabled": True},
    }
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    outputs = {
        "Ref": {"Value": {"Ref": "Release"}},
        "Arn": {"Value": {"Fn::GetAtt": ["Release", "Arn"]}},
        "Name": {"Value": {"Fn::GetAtt": ["Release", "Name"]}},
    }
    body = json.dumps({"Resources": {"Release": machine}, "Outputs": outputs})
    formation = cloud.client("cloudformation")
    formation.create_stack(StackName="gate", TemplateBody=body)
    [stack] = formation.describe_stacks(StackName="gate")["Stacks"]
    found = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert found["Ref"] == found["Arn"]
    assert found["Name"].startswith("gate-Release-")
    described = cloud.client("stepfunctions").describe_state_machine(stateMachineArn=found["Arn"])
    assert described["loggingConfiguration"] == {"level": "ALL", "includeExecutionData": True}
    assert described["tracingConfiguration"] == {"enabled": True}
    assert succeeded(cloud, cloud.start(found["Arn"])) == "hello"
