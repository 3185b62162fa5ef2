"""Behaviour of EventBridge, SNS and SQS that moto lacks without our patches: one test per gap."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.aws.events import rules, targets
from tests.contract.small_cloud import SmallCloud, small_cloud
from tests.patience import eventually

EVENTS = Path(__file__).parents[2] / "events"

PUSH = {
    "action-type": "PUSH",
    "image-digest": "sha256:1",
    "image-tag": "latest",
    "manifest-media-type": "m",
    "artifact-media-type": "a",
    "repository-name": "r",
    "result": "SUCCESS",
}
SCAN = {"scan-status": "COMPLETE", "repository-name": "r"}
numbers = itertools.count()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallCloud]:
    with small_cloud(tmp_path_factory.mktemp("events")) as running:
        yield running


@pytest.fixture(scope="module")
def function(cloud: SmallCloud) -> str:
    arn = cloud.function("listener")
    name, qualifier = arn.rsplit(":", 2)[1:]
    cloud.client("lambda").add_permission(
        FunctionName=name,
        Qualifier=qualifier,
        StatementId="events",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=f"{arn.replace(':lambda:', ':events:').split(':function:')[0]}:rule/allowed-*",
    )
    return arn


class Rule:
    """A rule of a test's own, for a source of its own, gone after the test."""

    def __init__(self, cloud: SmallCloud, prefix: str = "allowed") -> None:
        number = next(numbers)
        self.cloud, self.source, self.name = cloud, f"source-{number}", f"{prefix}-{number}"
        pattern = json.dumps({"source": [self.source]})
        self.arn = cloud.client("events").put_rule(Name=self.name, EventPattern=pattern)["RuleArn"]

    def target(self, arn: str, **fields: Any) -> Rule:
        target = {"Id": "t", "Arn": arn, **fields}
        answer = self.cloud.client("events").put_targets(Rule=self.name, Targets=[target])
        assert answer["FailedEntryCount"] == 0
        return self

    def put(self, detail: dict[str, Any], **fields: Any) -> None:
        entry = {
            "Source": self.source,
            "DetailType": "Image Released",
            "Detail": json.dumps(detail),
            **fields,
        }
        answer = self.cloud.client("events").put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0


def queue(cloud: SmallCloud, *, open_to_rules: bool = True) -> tuple[str, str]:
    """Return URL and ARN of a new queue."""
    client = cloud.client("sqs")
    url = client.create_queue(QueueName=f"queue-{next(numbers)}")["QueueUrl"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = found["Attributes"]["QueueArn"]
    if open_to_rules:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/*"}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        client.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return url, arn


def received(cloud: SmallCloud, url: str, count: int = 1) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []

    def look() -> bool:
        answer = cloud.client("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        messages.extend(answer.get("Messages", []))
        return len(messages) >= count

    eventually(look)
    return messages


def bodies(cloud: SmallCloud, url: str, count: int = 1) -> list[Any]:
    return [json.loads(message["Body"]) for message in received(cloud, url, count)]


@pytest.fixture
def inbox(cloud: SmallCloud) -> Iterator[str]:
    """Yield a queue that gets the events of AWS services."""
    url, arn = queue(cloud)
    rule = f"services-{next(numbers)}"
    client = cloud.client("events")
    pattern = json.dumps({"source": ["aws.ecr", "aws.inspector2", "aws.states"]})
    client.put_rule(Name=rule, EventPattern=pattern)
    client.put_targets(Rule=rule, Targets=[{"Id": "t", "Arn": arn}])
    yield url
    client.disable_rule(Name=rule)


def test_the_end_of_an_execution_is_an_event_with_its_input(cloud: SmallCloud, inbox: str) -> None:
    role = cloud.role("stopper", "states:StartExecution")
    states = {"Wait": {"Type": "Wait", "Seconds": 5000, "End": True}}
    execution = cloud.start(cloud.machine("stopped", states, role), {"release": 1})
    cloud.client("stepfunctions").stop_execution(executionArn=execution)
    sample = json.loads((EVENTS / "step_functions_execution_aborted.json").read_text())

    def ours() -> list[Any]:
        events = [event for event in bodies(cloud, inbox) if event["resources"] == [execution]]
        return [event for event in events if event["detail"]["status"] == "ABORTED"]

    [event] = eventually(ours)
    assert (event["source"], event["detail-type"]) == (sample["source"], sample["detail-type"])
    assert event["detail"].keys() == sample["detail"].keys()
    assert json.loads(event["detail"]["input"]) == {"release": 1}


# Targets


@pytest.mark.parametrize("is_let_in", [True, False])
def test_a_log_group_needs_a_policy_of_the_account(cloud: SmallCloud, *, is_let_in: bool) -> None:
    logs, name = cloud.client("logs"), f"/aws/events/log-{next(numbers)}"
    logs.create_log_group(logGroupName=name)
    [group] = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    url, dead = queue(cloud)
    rule = Rule(cloud).target(group["arn"].removesuffix(":*"), DeadLetterConfig={"Arn": dead})
    if is_let_in:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"{group['arn'].removesuffix(':*')}:*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        logs.put_resource_policy(policyName=rule.name, policyDocument=policy)
    rule.put({"a": 1})
    if is_let_in:
        eventually(lambda: bool(logs.filter_log_events(logGroupName=name)["events"]))
        [event] = logs.filter_log_events(logGroupName=name)["events"]
        assert json.loads(event["message"])["detail"] == {"a": 1}
    else:
        assert bodies(cloud, url)[0]["detail"] == {"a": 1}


def test_a_function_gets_the_whole_event(cloud: SmallCloud, function: str) -> None:
    rule = Rule(cloud).target(function)
    rule.put({"digest": "sha256:1"}, Resources=["arn:x"])
    call = eventually(lambda: [c for c in cloud.lines("calls.jsonl") if of(rule, c["event"])])[0]
    assert (call["function"], call["qualifier"]) == ("listener", "live")
    event = call["event"]
    assert (event["account"], event["region"]) == ("123456789012", "eu-central-1")
    assert time.strptime(event["time"], "%Y-%m-%dT%H:%M:%SZ")
    assert (event["resources"], event["detail"]) == (["arn:x"], {"digest": "sha256:1"})


def of(rule: Rule, event: Any) -> bool:
    return isinstance(event, dict) and event.get("source") == rule.source


def test_a_state_machine_is_started_with_the_rules_role(cloud: SmallCloud) -> None:
    role = cloud.role("starter", "states:StartExecution")
    states = {"Say": {"Type": "Pass", "Output": "{% $states.input.detail %}", "End": True}}
    machine = cloud.machine("by-rule", states, role)
    Rule(cloud).target(machine, RoleArn=role).put({"n": 1})
    client = cloud.client("stepfunctions")
    [started] = eventually(lambda: client.list_executions(stateMachineArn=machine)["executions"])
    assert cloud.end(started["executionArn"])["output"] == {"n": 1}


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"Input": '{"fixed": true}'}, {"fixed": True}),
        ({"InputPath": "$.detail"}, {"who": 'a "b"', "n": 2}),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"w": "$.detail.who", "n": "$.detail.n", "t": "$.detail-type"},
                    "InputTemplate": '{"w": <w>, "n": <n>, "s": "<t>: <w>", "gone": <gone>}',
                }
            },
            {"w": 'a "b"', "n": 2, "s": 'Image Released: a "b"', "gone": None},
        ),
    ],
)
def test_a_target_shapes_its_input(cloud: SmallCloud, fields: dict[str, Any], body: dict[str, Any]) -> None:
    url, arn = queue(cloud)
    Rule(cloud).target(arn, **fields).put({"who": 'a "b"', "n": 2})
    assert bodies(cloud, url) == [body]


def test_a_topic_delivers_only_allowed_publications(cloud: SmallCloud) -> None:
    topic = cloud.client("sns").create_topic(Name="from-rules")["TopicArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}
    policy = {"Statement": [statement | {"Action": "sns:Publish", "Resource": topic}]}
    cloud.client("sns").set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(policy)
    )
    rule = Rule(cloud).target(topic)
    rule.put({"n": 1})

    def look() -> list[dict[str, Any]]:
        lines = cloud.lines("messages.jsonl")
        return [json.loads(line["message"]) for line in lines if line["topic_arn"] == topic]

    assert of(rule, eventually(look)[0])


def test_a_disabled_rule_is_silent(cloud: SmallCloud) -> None:
    url, arn = queue(cloud)
    rule = Rule(cloud).target(arn)
    cloud.client("events").disable_rule(Name=rule.name)
    rule.put({"n": 1})
    cloud.client("events").enable_rule(Name=rule.name)
    rule.put({"n": 2})
    assert [body["detail"] for body in bodies(cloud, url)] == [{"n": 2}]


# Dead letters


@pytest.mark.parametrize(
    ("prefix", "name", "code"),
    [("forbidden", "listener", "NO_PERMISSIONS"), ("allowed", "gone", "NO_RESOURCE")],
)
def test_undelivered_events_go_to_the_rules_queue(
    cloud: SmallCloud, function: str, prefix: str, name: str, code: str
) -> None:
    url, arn = queue(cloud)
    target = function.replace("listener", name)
    rule = Rule(cloud, prefix).target(target, DeadLetterConfig={"Arn": arn})
    rule.put({"n": 1})
    [message] = received(cloud, url)
    assert of(rule, json.loads(message["Body"]))
    attributes = {k: v["StringValue"] for k, v in message["MessageAttributes"].items()}
    assert attributes.pop("ERROR_MESSAGE")
    assert attributes == {"RULE_ARN": rule.arn, "TARGET_ARN": target, "ERROR_CODE": code}


def test_a_queue_that_lets_no_rule_in_gets_nothing(cloud: SmallCloud, function: str) -> None:
    url, arn = queue(cloud, open_to_rules=False)
    rule = Rule(cloud, "forbidden").target(function, DeadLetterConfig={"Arn": arn})
    rule.put({"n": 1})
    log = cloud.state / "logs" / "events.log"
    eventually(lambda: "gone: " in log.read_text())
    assert "Messages" not in cloud.client("sqs").receive_message(QueueUrl=url)


def test_a_queue_keeps_its_policy_when_another_attribute_is_set(cloud: SmallCloud) -> None:
    url, _ = queue(cloud)
    client = cloud.client("sqs")
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "5"})
    kept = client.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]
    assert "events.amazonaws.com" in kept["Policy"]


# What AWS services send


def test_events_of_services_have_the_shape_of_awss_samples(cloud: SmallCloud, inbox: str) -> None:
    cloud.emit("aws.ecr", "ECR Image Action", PUSH)
    [event] = bodies(cloud, inbox)
    assert list(event) == [
        "version",
        "id",
        "detail-type",
        "source",
        "account",
        "time",
        "region",
        "resources",
        "detail",
    ]
    assert event["detail"] == PUSH


def test_events_can_be_lost(cloud: SmallCloud, inbox: str) -> None:
    with cloud.quirks(lose_push_events=True):
        cloud.emit("aws.ecr", "ECR Image Action", PUSH)
        cloud.emit("aws.ecr", "ECR Image Action", PUSH | {"action-type": "DELETE"})
        cloud.emit("aws.ecr", "ECR Image Scan", SCAN)
    with cloud.quirks(lose_scan_events=True):
        cloud.emit("aws.ecr", "ECR Image Scan", SCAN)
        cloud.emit("aws.inspector2", "Inspector2 Scan", SCAN)
        cloud.emit("aws.ecr", "ECR Image Action", PUSH | {"image-tag": "last"})
    details = [event["detail"] for event in bodies(cloud, inbox, 3)]
    actions = sorted(detail.get("action-type", "scan") for detail in details)
    assert actions == ["DELETE", "PUSH", "scan"]


def test_events_can_come_three_times_and_without_optional_fields(cloud: SmallCloud, inbox: str) -> None:
    with cloud.quirks(event_copies=3, omit_optional_event_fields=True):
        cloud.emit("aws.ecr", "ECR Image Action", PUSH)
    found = bodies(cloud, inbox, 3)
    assert len({event["id"] for event in found}) == 1
    assert {"image-tag", "manifest-media-type", "artifact-media-type"}.isdisjoint(found[0]["detail"])


def test_events_can_change_places_and_the_last_is_not_held_for_ever(cloud: SmallCloud, inbox: str) -> None:
    with cloud.quirks(swap_events=True):
        for tag in ("1", "2", "3"):
            cloud.emit("aws.ecr", "ECR Image Action", PUSH | {"image-tag": tag})
    found = bodies(cloud, inbox, 3)
    assert [event["detail"]["image-tag"] for event in found] == ["2", "1", "3"]


def test_events_can_be_late(cloud: SmallCloud, inbox: str) -> None:
    with cloud.quirks(event_delay_seconds=0.6):
        started = time.monotonic()
        cloud.emit("aws.ecr", "ECR Image Action", PUSH)
    assert len(bodies(cloud, inbox)) == 1
    assert time.monotonic() - started > 0.5


def test_an_ended_execution_is_announced(cloud: SmallCloud, inbox: str) -> None:
    states = {"End": {"Type": "Fail", "Error": "E", "Cause": "because"}}
    machine = cloud.machine("announced", states, cloud.role("announced"))
    execution = cloud.start(machine, {"n": 1}, "mine")
    cloud.end(execution)
    found = bodies(cloud, inbox, 2)
    details = {event["detail"]["status"]: event["detail"] for event in found}
    assert set(details) == {"RUNNING", "FAILED"}
    failed = details["FAILED"]
    assert (failed["executionArn"], failed["stateMachineArn"]) == (execution, machine)
    assert (failed["name"], failed["input"]) == ("mine", '{"n": 1}')
    assert (failed["error"], failed["cause"], failed["output"]) == ("E", "because", None)
    assert failed["stopDate"] >= failed["startDate"] > 1e12


# Schedules


def test_a_schedule_runs_by_itself(cloud: SmallCloud) -> None:
    url, arn = queue(cloud)
    client = cloud.client("events")
    rule = client.put_rule(Name="often", ScheduleExpression="rate(1 minute)")["RuleArn"]
    client.put_targets(Rule="often", Targets=[{"Id": "t", "Arn": arn}])
    Rule(cloud).put({"n": 1})  # a rule without a pattern wants no other event
    [event] = bodies(cloud, url)
    client.disable_rule(Name="often")
    assert (event["source"], event["detail-type"]) == ("aws.events", "Scheduled Event")
    assert (event["resources"], event["detail"]) == ([rule], {})


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [
        ("rate(5 minutes)", 6.0),
        ("rate(1 minute)", 2.0),
        ("rate(1 day)", 1728.0),
        ("cron(0 1 * * ? *)", None),
        (None, None),
    ],
)
def test_intervals_are_scaled_but_never_frantic(
    monkeypatch: pytest.MonkeyPatch, expression: str | None, seconds: float | None
) -> None:
    monkeypatch.setattr(rules, "_settings", SimpleNamespace(time_scale=0.02), raising=False)
    assert rules.interval(expression) == seconds


def test_a_condition_nobody_knows_lets_nothing_in() -> None:
    statement = {
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o"}},
    }
    rule = "arn:aws:events:eu-central-1:123456789012:rule/r"
    assert not targets.allows(statement, "sqs:SendMessage", rule, "123456789012")
    del statement["Condition"]
    assert targets.allows(statement, "sqs:SendMessage", rule, "123456789012")
