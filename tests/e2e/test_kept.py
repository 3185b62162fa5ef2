"""Events that cannot be handled, delivered or finished are kept, not lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.gate import Gate
from tests.e2e.test_made_up_calls import call


def functions(gate: Gate) -> dict[str, str]:
    """Return physical names by logical ones."""
    resources = gate.cloud.client("cloudformation").describe_stack_resources(StackName="imagegate")
    return {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for one in resources["StackResources"]
        if one["ResourceType"] == "AWS::Lambda::Function"
    }


def taken(gate: Gate) -> Iterator[str]:
    """Yield the source of every dead letter, each once: then it is gone from the queue."""
    sqs, queue = gate.cloud.client("sqs"), gate.cloud.outputs["DeadLettersQueue"]
    while found := sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    ).get("Messages"):
        for message in found:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            rule = message.get("MessageAttributes", {}).get("RULE_ARN", {}).get("StringValue")
            yield rule or json.loads(message["Body"])["requestContext"]["functionArn"]


# The first two answer with a status, whatever they are called with. The last one reads no event.
ANSWERING = {"DecideFunction", "ApprovalPageFunction", "MakeBoardFunction"}
BROKEN = {"schema": "none", "detail-type": "ECR Image Action", "detail": {}}


def keeps_what_fails(gate: Gate) -> None:
    """Call each function asynchronously with an event that it cannot handle."""
    names = {logical: name for logical, name in functions(gate).items() if logical not in ANSWERING}
    client, payload = gate.cloud.client("lambda"), json.dumps(BROKEN)
    for name in names.values():
        aliases = client.list_aliases(FunctionName=name)["Aliases"]
        called = aliases[0]["AliasArn"] if aliases else name  # the custom resource's function has none
        client.invoke(FunctionName=called, InvocationType="Event", Payload=payload)
    seen: set[str] = set()

    def all_kept() -> bool:
        seen.update(arn.split(":")[6] for arn in taken(gate))
        return seen >= set(names.values())

    gate.eventually(all_kept, f"a dead letter of each of {sorted(names)}")


def test_events_that_a_function_cannot_handle_are_kept(gate: Gate) -> None:
    keeps_what_fails(gate)


@contextmanager
def locked(gate: Gate, function: str) -> Iterator[None]:
    """Let no rule call the function in this block."""
    client, name = gate.cloud.client("lambda"), functions(gate)[function]
    policy = json.loads(client.get_policy(FunctionName=name, Qualifier="live")["Policy"])
    for statement in policy["Statement"]:
        client.remove_permission(FunctionName=name, Qualifier="live", StatementId=statement["Sid"])
    try:
        yield
    finally:
        for statement in policy["Statement"]:
            client.add_permission(
                FunctionName=name,
                Qualifier="live",
                StatementId=statement["Sid"],
                Action=statement["Action"],
                Principal=statement["Principal"]["Service"],
                SourceArn=statement["Condition"]["ArnLike"]["AWS:SourceArn"],
            )


def test_an_undelivered_event_is_kept_and_the_push_is_found_later(gate: Gate) -> None:
    with locked(gate, "StartReleaseFunction"):
        digest = gate.push("undelivered-dev", "1.0")
        gate.eventually(
            lambda: any("ImagePushed" in source for source in taken(gate)), "the event is a dead letter"
        )
    call(gate, "Reconcile", {})
    assert gate.ended("undelivered-dev", digest)["outcome"] == "released"


def test_a_release_whose_execution_was_stopped_gets_another_attempt(gate: Gate) -> None:
    gate.quirks(scan_outcome="PENDING")
    digest = gate.push("stopped-dev", "1.0")
    gate.eventually(lambda: gate.releases("stopped-dev", digest), "the release is begun")
    states = gate.cloud.client("stepfunctions")
    # Other tests may have left some running.
    arns = [one["executionArn"] for one in gate.executions() if one["status"] == "RUNNING"]
    [running] = [arn for arn in arns if digest in states.describe_execution(executionArn=arn)["input"]]
    states.stop_execution(executionArn=running)
    gate.push("stopped-dev", "1.0")
    gate.push("stopped-dev", "1.1")
    ended = gate.ended("stopped-dev", digest, attempt=2)
    assert [one["reason"] for one in gate.releases("stopped-dev", digest)] == ["push", "lost execution"]
    assert ended["outcome"] == "blocked"  # no scan result in time
