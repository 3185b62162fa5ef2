"""The demo: a newcomer's first command tells the truth, and fails when the gate does not do its work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.settings import ROOT

KEYS = {
    "repository",
    "digest",
    "tag",
    "stage",
    "verdict",
    "outcome",
    "reasons",
    "signature_digest",
    "promoted_to",
    "message_id",
    "seconds",
    "transitions",
    "lambda_invocations",
}
# One image, but with the findings of the second: it must be blocked, and the demo must say that this is wrong.
SPOILED = """
import dataclasses, sys
from sandbox.demo import command
command.STORY = (dataclasses.replace(command.STORY[0], findings=command.STORY[1].findings),)
sys.exit(command.main(["--state", sys.argv[1]]))
"""


@dataclass(frozen=True)
class Demo:
    done: subprocess.CompletedProcess[str]
    state: Path

    @property
    def releases(self) -> dict[str, dict[str, Any]]:
        """By image name."""
        listed = json.loads((self.state / "demo.json").read_text())
        return {f"{item['repository']}:{item['tag']}": item for item in listed}


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Replace the shared fixture: the demo starts a cloud of its own, so the gate of the other tests is not needed."""


def run(state: Path, *arguments: str) -> Demo:
    # A shell that is set up for some real account.
    foreign = {
        "AWS_PROFILE": "nobody",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_REGION": "us-east-1",
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **foreign},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Demo(done, state)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    state = tmp_path_factory.mktemp("demo")
    return run(state, "-m", "sandbox", "demo", "--state", str(state))


def test_the_demo_succeeds_and_writes_its_results_as_json(demo: Demo) -> None:
    assert demo.done.returncode == 0, demo.done.stderr
    assert list(demo.releases) == [
        "shop-dev:1.0",
        "shop-staging:1.0",
        "payments-dev:2.0",
        "payments-dev:2.1",
        "payments-staging:2.1",
    ]
    for name, release in demo.releases.items():
        assert set(release) == KEYS
        assert name in demo.done.stdout
        assert release["message_id"]
        assert release["transitions"] > 0
        assert release["lambda_invocations"] > 0


def test_the_clean_image_and_the_rebuild_are_signed_and_promoted(demo: Demo) -> None:
    for name, target in (("shop-dev:1.0", "shop-staging"), ("payments-dev:2.1", "payments-staging")):
        release = demo.releases[name]
        assert (release["verdict"], release["outcome"]) == ("PASS", "released")
        assert release["signature_digest"].startswith("sha256:")
        tags = [release["tag"]]
        assert release["promoted_to"] == {"repository": target, "digest": release["digest"], "tags": tags}
        assert demo.releases[f"{target}:{release['tag']}"]["digest"] == release["digest"]


def test_the_critical_image_is_neither_signed_nor_copied(demo: Demo) -> None:
    release = demo.releases["payments-dev:2.0"]
    assert (release["verdict"], release["outcome"]) == ("BLOCK", "blocked")
    assert release["signature_digest"] is None
    assert release["promoted_to"] is None
    assert "2 CRITICAL" in release["reasons"][0]["message"]


def test_each_stage_signs_for_itself_and_production_waits_for_people(demo: Demo) -> None:
    for name, before in (("shop-staging:1.0", "shop-dev:1.0"), ("payments-staging:2.1", "payments-dev:2.1")):
        release = demo.releases[name]
        assert (release["outcome"], release["promoted_to"]) == ("held", None)
        assert release["signature_digest"] != demo.releases[before]["signature_digest"]


def test_its_output_is_for_people_and_stays_plain_in_a_pipe(demo: Demo) -> None:
    assert "BLOCKED: payments-dev:2.0 at the dev gate: 2 CRITICAL" in demo.done.stdout
    assert "  make sandbox" in demo.done.stdout.splitlines()  # a command to paste has a line of its own
    assert "\x1b" not in demo.done.stdout


def test_the_demo_fails_when_the_gate_does_not_do_its_work(tmp_path: Path) -> None:
    spoiled = run(tmp_path, "-c", SPOILED, str(tmp_path))
    assert spoiled.done.returncode == 1
    assert "shop-dev:1.0 ended as blocked, not as released: 2 CRITICAL" in spoiled.done.stderr
    assert "Traceback" not in spoiled.done.stderr.partition("demo:")[2]
