"""From dev to production by people: two of them, one who rejects, one without the right; and a new push in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from sandbox.images.build import build_index
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from tests.e2e.gate import Gate, running_gate
from tests.e2e.test_waivers import DECIDES, READS, Printed, allow, imagegate, user

POLICY = """version: 1
stages:
  dev:
    repositories: "{{app}}-dev"
    promotes_to: staging
  staging:
    repositories: "{{app}}-staging"
    promotes_to: production
    soak: 3s
  production:
    repositories: "{{app}}-production"
    approval:
      approvers: ["tag:team=release", "{named}"]
      quorum: 2
      expires: 7d
      reason: required
"""
SOAK = timedelta(seconds=3)
LOOKS = allow("ecr:*", "dynamodb:*")
ARN = "arn:aws:iam::123456789012:user/"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("approvals")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY.format(named=f"{ARN}named-*"))
    with running_gate(folder, "--policy", str(policy)) as running:
        yield running


def person(gate: Gate, *, team: str = "") -> tuple[str, dict[str, str]]:
    arn, keys = user(gate, READS, LOOKS, *DECIDES)
    if team:
        name = arn.rpartition("/")[2]
        gate.cloud.client("iam").tag_user(UserName=name, Tags=[{"Key": "team", "Value": team}])
    return arn, keys


def decide(gate: Gate, keys: dict[str, str], action: str, image: str) -> Printed:
    return imagegate(gate, "decide", action, image, "--reason", "tested by hand", keys=keys)


def held(gate: Gate, application: str, content: str = "") -> str:
    """Return the digest of an image in staging, after its soak."""
    digest = gate.push(f"{application}-dev", "1.0", content)
    assert gate.ended(f"{application}-dev", digest)["outcome"] == "released"
    staged = gate.ended(f"{application}-staging", digest)
    assert staged["outcome"] == "held"
    closed, pushed = (datetime.fromisoformat(staged[name]) for name in ("closedAt", "pushedAt"))
    assert closed - pushed >= SOAK
    return digest


def waiting(gate: Gate) -> list[tuple[str, str]]:
    listed = imagegate(gate, "list", "--waiting", "--json").json
    return [(one["repository"], one["digest"]) for one in listed]


def test_platforms_are_known_as_passed_while_their_index_soaks(gate: Gate) -> None:
    files = {platform: {"app": platform.encode()} for platform in ("linux/amd64", "linux/arm64")}
    index = build_index(gate.work / "parts", platforms=files)
    digest = push(index.folder, SandboxReference.parse("parts-dev:1.0"), gate.session).digest
    assert gate.ended("parts-dev", digest)["outcome"] == "released"
    assert gate.ended("parts-staging", digest)["outcome"] == "held"
    children = [one["digest"] for one in json.loads(gate.manifest("parts-dev", digest) or b"{}")["manifests"]]
    for child in children:
        key = {"pk": {"S": f"IMAGE#parts-staging@{child}"}, "sk": {"S": f"INDEX#{digest}"}}
        table = gate.cloud.outputs["LedgerTable"]
        assert "Item" in gate.cloud.client("dynamodb").get_item(TableName=table, Key=key)


def test_two_approvers_release_an_image_into_production(gate: Gate) -> None:
    digest = held(gate, "wanted")
    assert ("wanted-staging", digest) in waiting(gate)
    ann, anns = person(gate, team="release")
    ben, bens = person(gate, team="release")
    first = decide(gate, anns, "approve", "wanted-staging:1.0")
    assert (first.code, "1 of 2 approvals" in first.out) == (0, True), first.err
    assert gate.manifest("wanted-production", "1.0") is None
    second = decide(gate, bens, "approve", "wanted-staging:1.0")
    assert (second.code, "is let into production" in second.out) == (0, True), second.err
    done = gate.ended("wanted-staging", digest, attempt=2)
    assert (done["reason"], done["outcome"]) == ("approved", "released")
    assert gate.manifest("wanted-production", "1.0") == gate.manifest("wanted-dev", "1.0")
    assert gate.ended("wanted-production", digest)["outcome"] == "released"
    items = gate.cloud.client("dynamodb").query(
        TableName=gate.cloud.outputs["GrantsTable"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"APPROVAL#wanted-staging@{digest}#00001"}},
    )["Items"]
    assert {json.loads(item["approval"]["S"])["by"] for item in items} == {ann, ben}
    assert ("wanted-staging", digest) not in waiting(gate)


def test_one_rejection_blocks_an_image_and_a_user_without_permission_decides_nothing(gate: Gate) -> None:
    digest = held(gate, "unwanted")
    _, nobodys = person(gate, team="sales")
    refused = decide(gate, nobodys, "approve", "unwanted-staging:1.0")
    assert (refused.code, refused.out) == (1, "")
    assert "none of the approvers of production" in refused.err
    _, anns = person(gate, team="release")
    assert decide(gate, anns, "approve", "unwanted-staging:1.0").code == 0
    _, bens = person(gate, team="release")
    assert decide(gate, bens, "reject", "unwanted-staging:1.0").code == 0
    late = decide(gate, anns, "approve", "unwanted-staging:1.0")
    assert "stays out of production" in late.out
    told = gate.eventually(
        lambda: [m for m in gate.messages() if str(m.get("subject", "")).startswith("REJECTED: unwanted")],
        "people are told",
    )
    assert "tested by hand" in told[0]["message"]
    assert len(gate.releases("unwanted-staging", digest)) == 1
    assert gate.manifest("unwanted-production", "1.0") is None


def test_a_new_push_of_the_tag_ends_the_waiting_release(gate: Gate) -> None:
    first = held(gate, "moving")
    second = held(gate, "moving", content="newer")
    _, anns = person(gate, team="release")
    old = imagegate(gate, "decide", "approve", f"moving-staging@{first}", "--reason", "tested", keys=anns)
    assert (old.code, "another image has its tags" in old.err) == (1, True), old
    assert decide(gate, anns, "approve", "moving-staging:1.0").code == 0
    assert second != first


def test_nobody_writes_an_approval_past_the_function(gate: Gate) -> None:
    _, keys = user(gate, READS, *DECIDES)
    table = gate.cloud.client(
        "dynamodb",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    with pytest.raises(table.exceptions.ClientError, match="AccessDenied"):
        table.put_item(
            TableName=gate.cloud.outputs["GrantsTable"],
            Item={"pk": {"S": f"APPROVAL#x-staging@sha256:{'0' * 64}#00001"}, "sk": {"S": f"{ARN}ann"}},
        )


def test_an_expired_approval_blocks_the_image_and_is_announced(gate: Gate) -> None:
    """The test moves the week in the ledger; nothing else knows that it went by."""
    digest = held(gate, "forgotten")
    table, image = gate.cloud.outputs["LedgerTable"], f"IMAGE#forgotten-staging@{digest}"
    gate.cloud.client("dynamodb").update_item(
        TableName=table,
        Key={"pk": {"S": image}, "sk": {"S": "ATTEMPT#00001"}},
        UpdateExpression="SET closedAt = :then",
        ExpressionAttributeValues={":then": {"S": "2026-11-01T08:00:00.000000Z"}},
    )
    functions = gate.cloud.client("lambda").list_functions()["Functions"]
    [name] = [one["FunctionName"] for one in functions if "ReconcileFunction" in one["FunctionName"]]
    gate.cloud.client("lambda").invoke(FunctionName=f"{name}:live", Payload=b"{}")
    gate.eventually(
        lambda: [m for m in gate.messages() if str(m["subject"]).startswith("APPROVAL EXPIRED: forgotten")],
        "people are told",
    )
    _, anns = person(gate, team="release")
    late = decide(gate, anns, "approve", "forgotten-staging:1.0")
    assert (late.code, "the time to decide ended" in late.err) == (1, True), late
    waits = imagegate(gate, "list", "--waiting", "--json").json
    assert digest not in {one["digest"] for one in waits}
