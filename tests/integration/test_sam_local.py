"""Every function in Docker by `sam local invoke`, with its sample event, against a running sandbox."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.deployment.deploy import machine_architecture
from tests.contract.served_cloud import ServedCloud, served_cloud
from tests.patience import eventually

ROOT = Path(__file__).parents[2]
SAM = ROOT / ".venv-sam/bin/sam"
IMAGE = f"public.ecr.aws/lambda/python:3.13-{machine_architecture()}"
CHECKOUT = ("template.yaml", "samconfig.toml", "functions", "layers", "statemachines", "events")

# The samples name the seeded image, whose release is over: nothing is done twice. No decision has the digest that the
# sample of sign_image names, so that one is refused; by no alias `decide` decides nothing, and there is no service
# revision like that in the sample of check_deployment.
ANSWERS: dict[str, dict[str, Any] | None] = {
    "start_release": {"ignored": "already released in attempt 1"},
    "on_scan_completed": {"woken": 0},
    "await_scan": {"waited": "READY"},
    "judge_image": {"route": "ANNOUNCE", "outcome": "released"},
    "sign_image": {"errorType": "RecordNotFoundError"},
    "promote_image": {"route": "ANNOUNCE", "outcome": "released"},
    "announce": {"route": "END", "outcome": "released"},
    "reconcile": {},
    "decide": {"statusCode": 403},
    "check_deployment": {"hookStatus": "FAILED"},
    "publish_policy": None,
}


def runs(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the built parts, so that nobody's own build is changed."""
    if platform.system() != "Linux" or not runs("docker", "info"):
        pytest.skip("no Docker engine answers here")
    if not runs("docker", "image", "inspect", IMAGE):
        pytest.skip(f"{IMAGE} is not there: run `make lambda-image`")
    if not runs("python3.13", "-c", "pass"):
        pytest.skip("sam build needs python3.13 on PATH")
    folder = tmp_path_factory.mktemp("checkout")
    for name in CHECKOUT:
        source, target = ROOT / name, folder / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, target)
    architecture = f"Architecture={machine_architecture()}"
    sam(folder, "build", "CoreLayer", "--parameter-overrides", architecture)
    return folder


@pytest.fixture(scope="module")
def cloud(checkout: Path) -> Iterator[ServedCloud]:
    """Yield a sandbox in which the seeded image's release is over."""
    state = checkout / ".sandbox"
    with served_cloud(state, str(checkout), "--parameter", "DeploymentCheck=on") as running:
        seed = [sys.executable, "-m", "sandbox", "seed", "--state", str(state)]
        environment = {"PATH": os.environ["PATH"]}
        subprocess.run(seed, check=True, cwd=ROOT, capture_output=True, env=environment)
        pushed = json.loads((checkout / "events/start_release.json").read_text())
        answer = ANSWERS["start_release"]
        # The output names the alias for requests, which takes no events.
        by_event = running.outputs["StartReleaseFunction"].removesuffix(":requests")
        eventually(lambda: running.invoke(by_event, pushed) == answer, "the seed is released")
        # The sample's answer goes to the port that docs/how-to/use-the-sandbox.md names; here it is another one.
        sample = checkout / "events/publish_policy.json"
        own = running.env["AWS_ENDPOINT_URL"].rsplit(":", 1)[1]
        sample.write_text(sample.read_text().replace(":4566/", f":{own}/"))
        yield running


def sam(folder: Path, *arguments: str) -> str:
    """Run sam as a person does there, with nothing of the sandbox in the shell."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    result = subprocess.run(
        [SAM, *arguments],
        cwd=folder,
        env={**environment, "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("name", ANSWERS)
def test_a_function_answers_its_sample(name: str, checkout: Path) -> None:
    function = name.title().replace("_", "") + "Function"
    answer = json.loads(sam(checkout, "local", "invoke", function, "-e", f"events/{name}.json"))
    expected = ANSWERS[name]
    if expected is None:
        assert answer is None
        return
    assert expected.items() <= answer.items()
    assert ("errorType" in answer) == ("errorType" in expected)
