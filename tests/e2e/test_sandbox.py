"""The sandbox as a place to try things: users with different powers, something to adopt, another policy in place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from imagegate.policy.file.load import parse_policy
from sandbox.deployment.redeploy import main as redeploy
from sandbox.images import seed
from sandbox.images.build import build_image
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from sandbox.session import find_session
from tests.contract.served_cloud import ROOT, sourced
from tests.e2e.gate import Gate, running_gate

POLICY = """version: 1
stages:
  dev:
    repositories: "{app}-dev"
    promotes_to: production
  production:
    repositories: "{app}-production"
    approval:
      quorum: 1
  soaking:
    repositories: "{app}-soaking"
    promotes_to: soaked
    soak: 10s
  soaked:
    repositories: "{app}-soaked"
"""


STRICTER = POLICY.replace("quorum: 1", "quorum: 2").replace(
    "    soak: 10s\n", "    findings: {max: {high: 0}}\n"
)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("sandbox")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with running_gate(folder, "--policy", str(policy)) as running:
        yield running


def imagegate(gate: Gate, user: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with the variables of a user's file in the sandbox's folder."""
    variables = sourced(gate.cloud.state / f"env.{user}")
    return subprocess.run(
        [sys.executable, "-m", "imagegate_cli", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_one_user_pushes_and_only_the_other_may_approve(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = build_image(tmp_path, files={"app": b"to be approved"}, user="1000")
    for name, value in sourced(gate.cloud.state / "env.pusher").items():
        monkeypatch.setenv(name, value)
    push(tmp_path, SandboxReference("people-dev", "1.0"), find_session(gate.cloud.state))
    assert gate.ended("people-dev", image.digest)["outcome"] == "held"
    assert imagegate(gate, "pusher", "status", "people-dev:1.0").returncode == 0
    refused = imagegate(gate, "pusher", "decide", "approve", "people-dev:1.0")
    assert refused.returncode != 0
    assert "lambda:InvokeFunctionUrl" in refused.stderr
    approved = imagegate(gate, "approver", "decide", "approve", "people-dev:1.0")
    assert approved.returncode == 0, approved.stderr
    assert gate.ended("people-production", image.digest)["outcome"] == "released"


def test_the_seed_has_an_image_to_adopt(gate: Gate) -> None:
    seed.seed(gate.session, gate.cloud.state)
    answer = imagegate(gate, "pusher", "release", "--adopt", seed.OLD_REPOSITORY, "--dry-run", "--json")
    images = json.loads(answer.stdout)["images"]
    assert [(one["repository"], one["tags"]) for one in images] == [(seed.OLD_REPOSITORY, [seed.OLD_TAG])]


def test_another_policy_is_deployed_in_place(
    gate: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, state = tmp_path / "policy.yaml", ["--state", str(gate.cloud.state)]
    file.write_text(POLICY.replace("quorum: 1", "quorum: 2"))
    before = gate.push("policy-dev", "1.0")
    assert gate.ended("policy-dev", before)["outcome"] == "held"
    assert redeploy(["--policy", str(file), *state]) == 0
    digest = str(parse_policy(file.read_bytes()).digest)
    assert digest in capsys.readouterr().out
    after = gate.push("policy-dev", "2.0", "another image")
    assert gate.ended("policy-dev", after)["policy"] == digest
    assert gate.releases("policy-dev", before)[0]["policy"] != digest


def test_a_policy_with_faults_leaves_the_deployed_one(
    gate: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\n")
    assert redeploy(["--policy", str(file), "--state", str(gate.cloud.state)]) == 2
    assert "stages: is missing" in capsys.readouterr().err
    digest = gate.push("faulty-dev", "1.0")
    assert gate.ended("faulty-dev", digest)["outcome"] == "held"


def test_what_waits_survives_an_update_and_ends_by_its_policy(gate: Gate, tmp_path: Path) -> None:
    """The policy is stricter afterwards, every function is published again, and the definition cannot run any more."""
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    before.write_text(POLICY)
    after.write_text(STRICTER)
    state = ["--state", str(gate.cloud.state)]
    assert redeploy(["--policy", str(before), *state]) == 0
    gate.findings("waits-soaking:1.0", HIGH=1)
    held = gate.push("approved-dev", "1.0")
    assert gate.ended("approved-dev", held)["outcome"] == "held"
    gate.quirks(scan_seconds=0.0)
    soaking = gate.push("soaks-soaking", "1.0")
    gate.eventually(lambda: "soaksUntil" in str(gate.releases("soaks-soaking", soaking)), "it soaks")
    gate.quirks(hold_scans=True)
    waiting = gate.push("waits-soaking", "1.0")
    gate.eventually(lambda: gate.releases("waits-soaking", waiting), "it waits")
    with another_definition(gate):
        assert redeploy(["--policy", str(after), *state]) == 0
        ended = [gate.ended("soaks-soaking", soaking)]
        gate.quirks(hold_scans=False)
        ended.append(gate.ended("waits-soaking", waiting))
    assert imagegate(gate, "approver", "decide", "approve", "approved-dev:1.0").returncode == 0
    ended.append(gate.ended("approved-dev", held, attempt=2))
    assert [one["outcome"] for one in ended] == ["released"] * 3
    closed, pushed = (datetime.fromisoformat(ended[0][name]) for name in ("closedAt", "pushedAt"))
    assert closed - pushed >= timedelta(seconds=10)
    assert {one["policy"] for one in ended} == {str(parse_policy(before.read_bytes()).digest)}


@contextmanager
def another_definition(gate: Gate) -> Iterator[None]:
    """Update the state machine meanwhile: executions that begin now fail at once."""
    states, machine = gate.cloud.client("stepfunctions"), gate.cloud.outputs["ReleaseStateMachine"]
    before = states.describe_state_machine(stateMachineArn=machine)["definition"]
    fails = json.dumps({"StartAt": "Fails", "States": {"Fails": {"Type": "Fail"}}})
    states.update_state_machine(stateMachineArn=machine, definition=fails)
    try:
        yield
    finally:
        states.update_state_machine(stateMachineArn=machine, definition=before)
