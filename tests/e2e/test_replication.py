"""Copies by ECR, as a stage asks for them: the release is over when they are there, and a failure alerts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.gate import Gate, running_gate

POLICY = """version: 1
stages:
  dev: {repositories: "{app}-dev", promotes_to: staging}
  staging: {repositories: "{app}-staging", replication: {regions: [eu-west-1], timeout: 1m}}
"""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("replication")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with running_gate(folder, "--policy", str(policy)) as running:
        there = {"region": "eu-west-1", "registryId": "123456789012"}
        rules = [{"destinations": [there]}]
        running.cloud.client("ecr").put_replication_configuration(replicationConfiguration={"rules": rules})
        yield running


@pytest.mark.parametrize(
    ("status", "alert", "said"),
    [("COMPLETE", "log", ""), ("FAILED", "alert", "replication to eu-west-1 failed: INTERNAL_ERROR")],
)
def test_a_failure_is_an_alert_and_the_release_is_one_all_the_same(
    gate: Gate, status: str, alert: str, said: str
) -> None:
    gate.quirks(replica_status=status)
    name = f"copied-{status.lower()}"
    digest = gate.push(f"{name}-dev", "1.0")
    release = gate.ended(f"{name}-dev", digest)
    assert (release["outcome"], release.get("detail", "")) == ("released", said)
    assert gate.manifest(f"{name}-staging", "1.0") is not None
    told = next(m for m in gate.messages() if m["message_id"] == release["messageId"])
    if said:
        assert told["attributes"]["alert"] == alert
        assert said in told["message"]
