"""Permissions: with the functions' own credentials, under enforced IAM."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imagegate.aws.ledger.ledger import DynamoLedger
from imagegate.notices.later_mail import LaterMail
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.release import Outcome, ReleaseId
from tests.e2e.gate import Gate

FUNCTIONS = [
    "PublishPolicy",
    "StartRelease",
    "OnScanCompleted",
    "Reconcile",
    "AwaitScan",
    "JudgeImage",
    "PromoteImage",
    "Announce",
]


def role_client(gate: Gate, function: str, service: str) -> Any:
    """Return a client with the credentials of this function."""
    resources = gate.cloud.client("cloudformation").describe_stack_resources(StackName="imagegate")
    role = next(r for r in resources["StackResources"] if r["LogicalResourceId"] == f"{function}Role")
    arn = gate.cloud.client("iam").get_role(RoleName=role["PhysicalResourceId"])["Role"]["Arn"]
    keys = gate.cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return gate.cloud.client(
        service,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_other_function_can_use_a_signing_profile(gate: Gate, function: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        role_client(gate, function, "signer").sign_payload(
            profileName="imagegate__dev",
            payload=b"{}",
            payloadFormat="application/vnd.cncf.notary.payload.v1+json",
        )


@pytest.mark.parametrize("function", [*FUNCTIONS, "SignImage"])
def test_no_function_can_write_grants(gate: Gate, function: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        role_client(gate, function, "dynamodb").put_item(
            TableName=gate.cloud.outputs["GrantsTable"], Item={"pk": {"S": "x"}, "sk": {"S": "x"}}
        )


@pytest.mark.parametrize("function", [f for f in [*FUNCTIONS, "SignImage"] if f != "JudgeImage"])
def test_nobody_but_the_judge_can_write_a_decision(gate: Gate, function: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        role_client(gate, function, "s3").put_object(
            Bucket=gate.cloud.outputs["RecordsBucket"], Key="decisions/sha256/x.json", Body=b"{}"
        )


# Which items of the ledger each function writes: every other partition is refused.
ITEMS = {
    "PublishPolicy": {"INSTALLATION"},
    "StartRelease": {"IMAGE#", "PUSHER#", "IGNORED#"},
    "OnScanCompleted": {"SCAN#"},
    "Reconcile": {"SCAN#", "HELD#", "ASKED#", "NOTICE#", "IMAGE#", "TURN#", "MAILS#", "LATER#"},
    "AwaitScan": {"SCAN#"},
    "JudgeImage": {"IMAGE#", "CLOCK#", "BASE#"},
    "SignImage": {"IMAGE#"},
    "AttachSbom": {"IMAGE#"},
    "PromoteImage": {"IMAGE#", "TAG#", "ASKED#"},
    "Announce": {"IMAGE#", "STANDING#", "HELD#", "MAILS#", "LATER#"},
    "Decide": {"IMAGE#", "NOTICE#", "ROLLBACK#", "PROOF#", "HELD#"},
    "ApprovalPage": set(),
}
PARTITIONS = {"TAG#", *(partition for own in ITEMS.values() for partition in own)}


@pytest.mark.parametrize("function", ITEMS)
def test_a_function_writes_its_own_items_and_no_other(gate: Gate, function: str) -> None:
    client, table = role_client(gate, function, "dynamodb"), gate.cloud.outputs["LedgerTable"]
    for partition in PARTITIONS - ITEMS[function]:
        key = {"pk": {"S": f"{partition}shop"}, "sk": {"S": "x"}}
        own = {"pk": {"S": f"{min(ITEMS[function], default='IMAGE#')}shop"}, "sk": {"S": "x"}}
        requests: list[tuple[str, dict[str, Any]]] = [
            ("put_item", {"TableName": table, "Item": key}),
            ("update_item", {"TableName": table, "Key": key}),
            ("delete_item", {"TableName": table, "Key": key}),
            (
                "batch_write_item",
                {"RequestItems": {table: [{"PutRequest": {"Item": one}} for one in (own, key)]}},
            ),
            ("transact_write_items", {"TransactItems": [{"Put": {"TableName": table, "Item": key}}]}),
        ]
        for operation, request in requests:
            with pytest.raises(ClientError, match="AccessDenied"):
                getattr(client, operation)(**request)
    with pytest.raises(ClientError, match="AccessDenied"):
        client.scan(TableName=table)


@pytest.mark.parametrize("function", ["Announce", "Reconcile"])
def test_mails_can_be_counted_and_kept_for_a_summary(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """If they cannot, each mail is sent at once, and no other test would see it."""
    release = ReleaseId(ImageRef("shop", Digest.of(function.encode())), 1)
    mail = LaterMail(release, Outcome.BLOCKED, "shop:1.0", "1 CRITICAL", datetime.now(UTC))
    clients = {name: role_client(gate, name, "dynamodb") for name in (function, "Reconcile")}
    ledger = DynamoLedger(gate.cloud.outputs["LedgerTable"])
    monkeypatch.setattr("imagegate.aws.dynamodb.client", lambda _: clients[function])
    assert [ledger.count_mail(function, release, mail.at, 10) for _ in range(2)] == [1, 1]
    ledger.keep_later(mail)
    monkeypatch.setattr("imagegate.aws.dynamodb.client", lambda _: clients["Reconcile"])
    gate.eventually(lambda: mail in ledger.later_mails(), "the mail is listed")
    ledger.note_summary(mail, mail.at)
    gate.eventually(lambda: mail not in ledger.later_mails(), "the mail is in a summary")


KEPT = ("decisions", "findings", "waivers", "policies")


@pytest.mark.parametrize("folder", KEPT)
def test_records_cannot_be_overwritten_or_deleted_by_anybody(gate: Gate, folder: str) -> None:
    bucket, key = gate.cloud.outputs["RecordsBucket"], f"{folder}/sha256/kept"
    writer = "PublishPolicy" if folder == "policies" else "JudgeImage"
    role_client(gate, writer, "s3").put_object(Bucket=bucket, Key=key, Body=b"kept", IfNoneMatch="*")
    for s3 in (gate.cloud.client("s3"), *(role_client(gate, one, "s3") for one in (writer, "Decide"))):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"other")
        with pytest.raises(ClientError, match=r"AccessDenied|PreconditionFailed"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"other", IfNoneMatch="*")
        version = gate.cloud.client("s3").list_object_versions(Bucket=bucket, Prefix=key)["Versions"][0]
        for more in ({}, {"VersionId": version["VersionId"]}):
            with pytest.raises(ClientError, match="AccessDenied"):
                s3.delete_object(Bucket=bucket, Key=key, **more)
            with pytest.raises(ClientError, match="AccessDenied"):
                s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key, **more}]})
    assert gate.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == b"kept"


# `sign_image` called by hand: by somebody who may call it, with whatever that person likes.


def sign_by_hand(gate: Gate, decision: str) -> dict[str, Any]:
    resources = gate.cloud.client("cloudformation").describe_stack_resources(StackName="imagegate")
    name = next(r for r in resources["StackResources"] if r["LogicalResourceId"] == "SignImageFunction")
    answer = gate.cloud.client("lambda").invoke(
        FunctionName=name["PhysicalResourceId"], Payload=json.dumps({"schema": 1, "decision": decision})
    )
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    return found


def store(gate: Gate, record: dict[str, Any]) -> str:
    """Store a record as an attacker would who broke into the judge."""
    content = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(content).hexdigest()
    role_client(gate, "JudgeImage", "s3").put_object(
        Bucket=gate.cloud.outputs["RecordsBucket"],
        Key=f"decisions/sha256/{digest}.json",
        Body=content,
        IfNoneMatch="*",
    )
    return f"sha256:{digest}"


def decision_of(gate: Gate, release: dict[str, Any]) -> dict[str, Any]:
    key = release["decision"].removeprefix("sha256:")
    answer = gate.cloud.client("s3").get_object(
        Bucket=gate.cloud.outputs["RecordsBucket"], Key=f"decisions/sha256/{key}.json"
    )
    record: dict[str, Any] = json.loads(answer["Body"].read())
    return record


def test_a_made_up_decision_is_refused(gate: Gate) -> None:
    answer = sign_by_hand(gate, "sha256:" + "0" * 64)
    assert answer["errorType"] == "RecordNotFoundError"


def test_a_block_decision_is_refused(gate: Gate) -> None:
    gate.findings("byhand-dev", CRITICAL=1)
    digest = gate.push("byhand-dev", "1.0")
    release = gate.ended("byhand-dev", digest)
    answer = sign_by_hand(gate, release["decision"])
    assert answer["errorType"] == "DecisionRefusedError"
    assert "only a PASS is signed" in answer["errorMessage"]
    record = decision_of(gate, release)
    turned = store(gate, {**record, "verdict": "PASS", "reasons": []})
    assert sign_by_hand(gate, turned)["errorType"] == "DecisionRefusedError"
    assert gate.signatures("byhand-dev", digest) == []


def test_an_old_or_foreign_decision_is_refused(gate: Gate) -> None:
    digest = gate.push("stale-dev", "1.0")
    record = decision_of(gate, gate.ended("stale-dev", digest))
    long_ago = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for changes in (
        {"judgedAt": long_ago},
        {"registry": "999999999999.dkr.ecr.eu-central-1.amazonaws.com"},
        {"stage": "production"},
        {"policy": "sha256:" + "0" * 64},
        {"attempt": 7},
    ):
        answer = sign_by_hand(gate, store(gate, {**record, **changes}))
        assert answer["errorType"] in ("DecisionRefusedError", "RecordNotFoundError"), (changes, answer)
    assert len(gate.signatures("stale-dev", digest)) == 1
