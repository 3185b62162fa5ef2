"""Waivers from the command line to the next verdict, with IAM in between."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.scanner import findings
from tests.e2e.gate import Gate

IMAGEGATE = Path(sys.executable).parent / "imagegate"
CVE = "CVE-2026-20001"
FINDING = ("--cve", CVE, "--package", "openssl")
WHY = ("--reason", "not reachable from outside", "--ticket", "SHOP-17", "--expires", "30d")


@dataclass(frozen=True)
class Printed:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def imagegate(gate: Gate, *arguments: str, keys: dict[str, str] | None = None) -> Printed:
    """Run the command line in a process of its own, as a person does."""
    environment = {**gate.cloud.env, **(keys or {}), "COLUMNS": "120"}
    done = subprocess.run(
        [IMAGEGATE, *arguments], env=environment, capture_output=True, text=True, timeout=120
    )
    # Said on a slow machine, and no fault.
    err = "".join(line for line in done.stderr.splitlines(True) if not line.startswith("waiting for "))
    return Printed(done.returncode, done.stdout, err)


def blocked(gate: Gate, application: str) -> str:
    finding = {
        "name": CVE,
        "severity": "CRITICAL",
        "attributes": [{"key": "package_name", "value": "openssl"}],
    }
    file = gate.work / f"{application}.json"
    counts = {"findings": [finding], "findingSeverityCounts": {"CRITICAL": 1}}
    file.write_text(json.dumps({"imageScanFindings": counts}))
    assert findings.main([f"{application}-dev", str(file), "--state", str(gate.cloud.state)]) == 0
    digest = gate.push(f"{application}-dev", "1.0")
    assert gate.ended(f"{application}-dev", digest)["outcome"] == "blocked"
    return digest


def decision_of(gate: Gate, release: dict[str, Any]) -> dict[str, Any]:
    key = f"decisions/sha256/{release['decision'].removeprefix('sha256:')}.json"
    bucket = gate.cloud.outputs["RecordsBucket"]
    found: dict[str, Any] = json.loads(
        gate.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    )
    return found


def granted(gate: Gate, waiver_id: str) -> dict[str, Any]:
    item = gate.cloud.client("dynamodb").get_item(
        TableName=gate.cloud.outputs["GrantsTable"], Key={"pk": {"S": "WAIVER"}, "sk": {"S": waiver_id}}
    )["Item"]
    return {name: next(iter(value.values())) for name, value in item.items()}


def user(gate: Gate, *statements: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Create a user with these permissions; return the ARN and the user's environment variables."""
    iam, name = gate.cloud.client("iam"), f"person-{uuid.uuid4().hex[:8]}"
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return arn, {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def allow(*actions: str, **condition: Any) -> dict[str, Any]:
    more = {"Condition": condition} if condition else {}
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}


READS = allow("cloudformation:DescribeStacks")
DECIDES = (
    allow("lambda:InvokeFunctionUrl", StringEquals={"lambda:FunctionUrlAuthType": "AWS_IAM"}),
    allow("lambda:InvokeFunction", Bool={"lambda:InvokedViaFunctionUrl": "true"}),
)


def test_a_waiver_releases_a_blocked_image_and_its_withdrawal_blocks_it_again(gate: Gate) -> None:
    digest = blocked(gate, "waived")
    said = imagegate(gate, "decide", "waive", "waived-*", *FINDING, *WHY)
    assert (said.code, said.err) == (0, "")
    assert "imagegate status --watch waived-dev:1.0" in said.out

    second = gate.ended("waived-dev", digest, attempt=2)
    assert (second["reason"], second["verdict"], second["outcome"]) == ("new waiver", "PASS", "released")
    assert second["signature"] in {entry["digest"] for entry in gate.signatures("waived-dev", digest)}
    [used] = decision_of(gate, second)["waivers"]
    assert used["vulnerability"] == CVE
    assert used["ticket"] == "SHOP-17"

    item = granted(gate, used["id"])
    caller = gate.cloud.client("sts").get_caller_identity()["Arn"]
    assert json.loads(item["waiver"])["grantedBy"] == used["grantedBy"] == caller
    listed = imagegate(gate, "decide", "list", "--repository", "waived-dev", "--json").json
    assert [(one["id"], one["state"]) for one in listed] == [(used["id"], "counts")]

    said = imagegate(gate, "decide", "withdraw", used["id"])
    assert (said.code, said.err) == (0, "")
    assert granted(gate, used["id"])["withdrawnBy"] == caller
    again = imagegate(gate, "release", "waived-dev:1.0", "--wait", "--json")
    assert (again.code, again.json["verdict"], again.json["outcome"]) == (1, "BLOCK", "blocked")
    # The signature of the attempt before is still there: a verifier beside the stack knows better.
    verified = imagegate(
        gate, "verify", "waived-dev:1.0", "--trust-root", gate.cloud.env["IMAGEGATE_TRUST_ROOT"], "--json"
    )
    assert verified.code == 1
    assert verified.json["problems"][0].startswith("the dev gate refuses it now: blocked in attempt 3")
    told = {reason["rule"]: reason["message"] for reason in again.json["reasons"]}
    assert "was withdrawn on" in told["waiver.idle"]
    assert imagegate(gate, "decide", "list", "--repository", "waived-dev", "--json").json == []
    every = imagegate(gate, "decide", "list", "--all", "--json").json
    assert used["id"] in {one["id"] for one in every if one["state"] == "withdrawn"}


def test_a_caller_of_the_url_may_decide_and_is_recorded(gate: Gate) -> None:
    arn, keys = user(gate, READS, *DECIDES)
    said = imagegate(gate, "decide", "waive", "theirs-*", *FINDING, *WHY, "--json", keys=keys)
    assert (said.code, said.err) == (0, "")
    waiver = said.json["waiver"]
    assert (waiver["grantedBy"], waiver["owner"]) == (arn, arn.rpartition("/")[2])
    assert json.loads(granted(gate, waiver["id"])["waiver"])["grantedBy"] == arn


@pytest.mark.parametrize("missing", ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"])
def test_a_caller_without_one_of_the_two_permissions_gets_a_message_that_names_both(
    gate: Gate, missing: str
) -> None:
    rights = [one for one in DECIDES if one["Action"] != [missing]]
    assert len(rights) == 1
    _, keys = user(gate, READS, *rights)
    said = imagegate(gate, "decide", "waive", "denied-*", *FINDING, *WHY, keys=keys)
    assert (said.code, said.out) == (2, "")
    assert "you may not decide" in said.err
    assert "lambda:InvokeFunctionUrl and lambda:InvokeFunction" in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("shop-*", *FINDING, "--reason", "x", "--expires", "2026-01-01"), "it expired on 2026-01-01"),
        (("shop-*", *FINDING, "--reason", "x", "--expires", "91d"), "lasts longer than the 90 days"),
        (("*", *FINDING, *WHY), "it covers every repository"),
        (("shop-*", "--cve", CVE, "--package", "*", *WHY), "covers every package"),
    ],
)
def test_a_waiver_that_would_never_count_is_refused_in_plain_words(
    gate: Gate, arguments: tuple[str, ...], says: str
) -> None:
    said = imagegate(gate, "decide", "waive", *arguments)
    assert (said.code, said.out) == (1, "")
    assert says in said.err
    assert len(said.err.splitlines()) == 1


def test_only_the_function_that_decides_writes_the_grants(gate: Gate) -> None:
    """A caller who may call the function may not write the table directly."""
    _, keys = user(gate, READS, *DECIDES)
    table = gate.cloud.client(
        "dynamodb",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    with pytest.raises(table.exceptions.ClientError, match="AccessDenied"):
        table.put_item(
            TableName=gate.cloud.outputs["GrantsTable"],
            Item={"pk": {"S": "WAIVER"}, "sk": {"S": "w-1"}, "waiver": {"S": "{}"}},
        )
