"""The identity of an approver is proven: under enforced IAM, against callers who may invoke any function."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

from imagegate.grants.power import Power
from imagegate_cli.decisions.client import proven
from tests.contract.served_cloud import ROOT
from tests.e2e.gate import Gate, running_gate
from tests.e2e.test_waivers import DECIDES, READS, allow, imagegate, user
from tests.patience import PATIENCE_SECONDS

POLICY = """version: 1
stages:
  dev:
    repositories: "{app}-dev"
    promotes_to: preprod
  preprod:
    repositories: "{app}-preprod"
    approval:
      quorum: 2
"""
LOOKS = allow("ecr:*", "dynamodb:*")
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:imagegate-decide:approve"
CEO = "arn:aws:iam::123456789012:user/ceo"
Keys = dict[str, str]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("people")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with running_gate(folder, "--policy", str(policy)) as running:
        yield running


def held(gate: Gate, application: str) -> dict[str, Any]:
    """Return the reference that an approval names."""
    digest = gate.push(f"{application}-dev", "1.0")
    assert gate.ended(f"{application}-dev", digest)["outcome"] == "held"
    return {"repository": f"{application}-dev", "digest": digest, "attempt": 1}


def approve(image: dict[str, Any]) -> dict[str, Any]:
    return {"schema": 1, "action": "approve", **image}


def body(gate: Gate, keys: Keys, decision: dict[str, Any], function: str = FUNCTION) -> str:
    """Return the request as the command line makes it in this sandbox."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", gate.cloud.env["AWS_ENDPOINT_URL"])
        return proven(decision, credentials(keys), function, datetime.now(UTC)).decode()


def credentials(keys: Keys) -> ReadOnlyCredentials:
    return ReadOnlyCredentials(
        keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], keys.get("AWS_SESSION_TOKEN")
    )


def invoke(gate: Gate, keys: Keys, arn: str, content: str, function: str = FUNCTION) -> tuple[int, Any]:
    """Invoke the function directly, with a made-up caller."""
    event = {"requestContext": {"authorizer": {"iam": {"userArn": arn}}}, "body": content}
    client = gate.cloud.client("lambda", **{name.lower(): value for name, value in keys.items()})
    answer = json.loads(
        client.invoke(FunctionName=function, Payload=json.dumps(event).encode())["Payload"].read()
    )
    return answer["statusCode"], json.loads(answer["body"])


def call(gate: Gate, keys: Keys, content: str, url: str = "") -> tuple[int, Any]:
    """Call the function's URL with a caller whom IAM has authenticated."""
    url = url or gate.cloud.outputs["ApproveUrl"]
    request = AWSRequest("POST", url, {"content-type": "application/json"}, content.encode())
    SigV4Auth(credentials(keys), "lambda", "eu-central-1").add_auth(request)
    answer = urllib3.request(
        "POST", url, body=content.encode(), headers=dict(request.headers.items()), timeout=PATIENCE_SECONDS
    )
    return answer.status, answer.json()


def approvals(gate: Gate, image: dict[str, Any]) -> set[str]:
    """Return the approvers from the grants table."""
    key = f"APPROVAL#{image['repository']}@{image['digest']}#00001"
    found = gate.cloud.client("dynamodb").query(
        TableName=gate.cloud.outputs["GrantsTable"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": key}},
    )["Items"]
    return {item["sk"]["S"] for item in found}


def refused(answer: tuple[int, Any], says: str = "") -> bool:
    status, told = answer
    return (status, told["error"]) == (403, "ProofRefusedError") and says in told["message"]


def test_a_caller_of_invoke_cannot_be_anybody_else(gate: Gate) -> None:
    image = held(gate, "forged")
    mallory, keys = user(gate, allow("lambda:*"))
    for content in (json.dumps(approve(image)), body(gate, keys, approve(image))):
        assert refused(invoke(gate, keys, CEO, content))
    assert refused(invoke(gate, keys, mallory, json.dumps(approve(image))), "no complete proof of the caller")
    assert approvals(gate, image) == set()
    status, told = invoke(gate, keys, mallory, body(gate, keys, approve(image)))
    assert (status, told["standing"]) == (200, "waiting")
    assert approvals(gate, image) == {mallory}


def test_a_proof_is_good_for_one_call(gate: Gate) -> None:
    image = held(gate, "replayed")
    (ann, keys), (mallory, others) = user(gate, *DECIDES), user(gate, allow("lambda:*"))
    content = body(gate, keys, approve(image))
    assert call(gate, keys, content)[0] == 200
    assert refused(call(gate, keys, content), "was sent before")
    assert refused(invoke(gate, others, ann, content), "was sent before")
    assert refused(call(gate, others, body(gate, keys, approve(image))), "somebody else")
    assert approvals(gate, image) == {ann}
    assert mallory not in approvals(gate, image)


def test_a_proof_is_for_one_request_and_one_function(gate: Gate) -> None:
    image = held(gate, "borrowed")
    ann, keys = user(gate, *DECIDES)
    mine, other = (json.loads(body(gate, keys, approve(image))) for _ in range(2))
    assert refused(call(gate, keys, json.dumps({**mine, "proof": other["proof"]})), "does not confirm")
    for function in (
        FUNCTION.replace("eu-central-1", "us-east-1"),
        FUNCTION.replace("imagegate-decide", "other-decide"),
        FUNCTION.replace(":approve", ":by-link"),
    ):
        assert refused(call(gate, keys, body(gate, keys, approve(image), function)), "does not confirm")
    assert approvals(gate, image) == set()
    assert call(gate, keys, json.dumps(mine))[0] == 200
    assert approvals(gate, image) == {ann}


def test_the_command_line_proves_the_caller_also_in_a_session_of_a_role(gate: Gate) -> None:
    image = held(gate, "honest")
    arn, keys = session(gate, "release", "ann", READS, LOOKS, *DECIDES)
    said = imagegate(gate, "decide", "approve", "honest-dev:1.0", keys=keys)
    assert (said.code, "1 of 2 approvals" in said.out) == (0, True), said.err
    assert approvals(gate, image) == {arn}


def session(gate: Gate, role: str, name: str, *statements: dict[str, Any]) -> tuple[str, Keys]:
    """Return the ARN and the environment of a role that may do this."""
    iam, arn = gate.cloud.client("iam"), f"arn:aws:iam::123456789012:role/{role}"
    if role not in (one["RoleName"] for one in iam.list_roles()["Roles"]):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=document)
    given = gate.cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
    return f"arn:aws:sts::123456789012:assumed-role/{role}/{name}", {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


def test_two_sessions_of_one_role_are_one(gate: Gate) -> None:
    image = held(gate, "twice")
    for name, number in (("ann", 1), ("ben", 1)):
        _, keys = session(gate, "release", name, READS, LOOKS, *DECIDES)
        status, told = call(gate, keys, body(gate, keys, approve(image)))
        assert (status, told["standing"], told["approving"]) == (200, "waiting", number)
    _, other = session(gate, "second", "ann", *DECIDES)
    assert call(gate, other, body(gate, other, approve(image)))[1]["standing"] == "approved"
    assert gate.ended("twice-dev", image["digest"], attempt=2)["outcome"] == "released"


def requested(gate: Gate, keys: Keys, image: dict[str, Any], **more: str) -> dict[str, Any]:
    """Invoke the function that starts releases directly, as its own stack's functions do."""
    named = {"repository": image["repository"], "digest": image["digest"], "tags": ["1.0"], **more}
    client = gate.cloud.client("lambda", **{name.lower(): value for name, value in keys.items()})
    event = json.dumps({"schema": 1, "request": named})
    answer = client.invoke(FunctionName=gate.cloud.outputs["StartReleaseFunction"], Payload=event)
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    return found


def test_a_made_up_reason_starts_nothing_and_callers_cannot_choose_their_identity(gate: Gate) -> None:
    image = held(gate, "reasons")
    _, keys = user(gate, allow("lambda:*"))
    grants = ("approved", "operator", "adopted", "break-glass", "new waiver", "new policy")
    for reason in (*grants, "late scan", "lost execution"):
        assert "ignored" in requested(gate, keys, image, reason=reason)
    assert requested(gate, keys, image, reason="new tag")["errorType"] == "RejectedInputError"
    assert requested(gate, keys, image, reason="operator", by=CEO)["errorType"] == "InvalidEventError"
    assert len(gate.releases("reasons-dev", image["digest"])) == 1


def test_the_person_who_releases_by_hand_is_proven_and_does_not_approve_it(gate: Gate) -> None:
    image = held(gate, "byhand")
    arn, keys = user(gate, READS, LOOKS, *DECIDES)
    said = imagegate(gate, "release", "byhand-dev:1.0", "--wait", keys=keys)
    assert said.code == 3, said.err
    assert gate.ended("byhand-dev", image["digest"], attempt=2)["startedBy"] == arn
    said = imagegate(gate, "decide", "approve", "byhand-dev:1.0", keys=keys)
    assert (said.code, "whoever brought the image" in said.err) == (1, True), said


def test_a_caller_cannot_claim_what_happened(gate: Gate) -> None:
    image = held(gate, "pushers")
    event = json.loads((ROOT / "events/cloudtrail_put_image.json").read_text())
    stored = {"repositoryName": image["repository"], "imageId": {"imageDigest": image["digest"]}}
    event["detail"]["responseElements"] = {"image": stored}
    event["detail"]["userIdentity"]["arn"] = CEO
    answer = gate.cloud.client("lambda").invoke(
        FunctionName=gate.cloud.outputs["StartReleaseFunction"], Payload=json.dumps(event)
    )
    assert json.loads(answer["Payload"].read())["errorType"] == "InvalidEventError"
    key = {"pk": {"S": f"PUSHER#{image['repository']}@{image['digest']}"}, "sk": {"S": CEO}}
    table = gate.cloud.outputs["LedgerTable"]
    assert "Item" not in gate.cloud.client("dynamodb").get_item(TableName=table, Key=key)


@pytest.mark.parametrize("power", list(Power))
def test_each_power_is_granted_apart(gate: Gate, power: Power) -> None:
    """By the ready-made policies, as they are."""
    granted = json.loads((ROOT / f"docs/powers/{power}.json").read_text())["Statement"]
    arn, keys = user(gate, *granted)
    for other, decision in EMPTY.items():
        function = FUNCTION.replace(":approve", f":{other}")
        content = body(gate, keys, {"schema": 1, **decision}, function)
        status, told = call(gate, keys, content, gate.cloud.outputs[other.output])
        if other is power:
            assert (status, told["error"]) != (403, "ProofRefusedError"), told
            assert status in (400, 404), told
        else:
            assert (status, told) == (403, {"Message": "Forbidden"})
        with pytest.raises(ClientError, match="AccessDenied"):
            invoke(gate, keys, arn, content, function)


def test_a_power_takes_nothing_of_another(gate: Gate) -> None:
    """By whoever may call every one of them."""
    _, keys = user(gate, *DECIDES)
    for power in Power:
        for other, decision in EMPTY.items():
            function = FUNCTION.replace(":approve", f":{power}")
            content = body(gate, keys, {"schema": 1, **decision}, function)
            status, told = call(gate, keys, content, gate.cloud.outputs[power.output])
            refused_here = (status, told["error"]) == (403, "AccessRefusedError")
            assert refused_here is (power is not other), (power, other, told)
    content = body(gate, keys, {"schema": 1, **EMPTY[Power.WAIVE]}, FUNCTION.replace(":approve", ":live"))
    status, told = call(gate, keys, content, gate.cloud.outputs["DecideUrl"])
    assert (status, "the stack's output WaiveUrl" in told["message"]) == (403, True)


NOTHING = {"repository": "none-dev", "digest": f"sha256:{'0' * 64}"}
# What is understood, and about nothing that is there.
EMPTY: dict[Power, dict[str, Any]] = {
    Power.APPROVE: {"action": "approve", "attempt": 1, **NOTHING},
    Power.WAIVE: {"action": "withdraw", "id": "w-0"},
    Power.BREAK_GLASS: {"action": "withdraw", "id": "b-0"},
    Power.REVOKE: {"action": "revoke", "reason": "test", **NOTHING},
    Power.ROLLBACK: {
        "action": "rollback",
        "repository": "none-dev",
        "to": NOTHING["digest"],
        "from": NOTHING["digest"],
        "reason": "test",
    },
    Power.RELEASE: {"action": "release", "tags": ["1.0"], **NOTHING},
}
