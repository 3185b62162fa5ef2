"""The audit on a schedule: its state machine, in batches, over many repositories of which one cannot be read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.gate import Gate

BROKEN = "audited-057"
REPOSITORIES = 100
_DENIED = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "Nobody", "Effect": "Deny", "Principal": "*", "Action": "ecr:DescribeImages"}],
}


@contextmanager
def many_repositories(gate: Gate) -> Iterator[None]:
    """Make repositories; the images of one may not be listed."""
    ecr = gate.cloud.client("ecr")
    names = [f"audited-{number:03}" for number in range(REPOSITORIES)]
    for name in names:
        ecr.create_repository(repositoryName=name)
    ecr.set_repository_policy(repositoryName=BROKEN, policyText=json.dumps(_DENIED))
    try:
        yield
    finally:
        for name in names:
            ecr.delete_repository(repositoryName=name, force=True)


def audited(gate: Gate) -> dict[str, Any]:
    """Run the audit to its end, and return its report."""
    states = gate.cloud.client("stepfunctions")
    machine = gate.cloud.outputs["AuditStateMachine"]
    arn = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]

    def ended() -> Any:
        execution = states.describe_execution(executionArn=arn)
        return execution if execution["status"] != "RUNNING" else None

    execution = gate.eventually(ended, "the audit ends", 300)
    assert execution["status"] == "SUCCEEDED", f"{execution.get('error')}: {execution.get('cause')}"
    bucket = gate.cloud.outputs["RecordsBucket"]
    content = gate.cloud.client("s3").get_object(Bucket=bucket, Key="audit/report.json")["Body"].read()
    report: dict[str, Any] = json.loads(content)
    return report


def test_of_many_repositories_the_one_that_fails_is_named_and_the_others_are_reported(gate: Gate) -> None:
    digest = gate.push("audit-dev", "1.0")
    release = gate.ended("audit-dev", digest)
    assert release["outcome"] == "released"
    with many_repositories(gate):
        report = audited(gate)
    assert report["repositories"] >= REPOSITORIES
    unread = [one for one in report["notAssessed"] if "AccessRefusedError" in one["reason"]]
    assert {one["resource"]["repository"] for one in unread} == {BROKEN}
    lacking = {
        one["resource"]["repository"]
        for one in report["findings"]
        if one["check"] == "repository-lifecycle-missing"
    }
    # Its settings could be read, so that it is among the others there.
    assert {f"audited-{number:03}" for number in range(REPOSITORIES)} <= lacking
    own = {one["check"] for one in report["findings"] if one["resource"].get("digest") == digest}
    assert not own & {"image-unsigned", "image-unrecorded", "image-evidence-missing"}
    assert report["counts"]["image-unsigned"]["passed"] >= 1
    [summary] = [one for one in gate.messages() if str(one.get("subject")).startswith("AUDIT")][-1:]
    assert BROKEN in str(summary["message"])
    run = _runs(gate)[-1]
    assert len(run) >= REPOSITORIES // 10 + 1, "a document for each batch, and one for the registry"


def _runs(gate: Gate) -> list[list[str]]:
    """Return the names in the documents of each run."""
    bucket, s3 = gate.cloud.outputs["RecordsBucket"], gate.cloud.client("s3")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="audit/runs/")["Contents"]
    runs: dict[str, list[str]] = {}
    for key in (one["Key"] for one in listed if "/results/" in one["Key"]):
        lines = gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).splitlines()
        runs.setdefault(key.split("/")[2], []).append(
            ",".join(json.loads(one)["repository"] for one in lines)
        )
    return list(runs.values())
