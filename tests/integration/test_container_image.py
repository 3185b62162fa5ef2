"""The command line in a container, built by the Dockerfile as anyone would build it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from imagegate import __version__

ROOT = Path(__file__).parents[2]
NAME = "imagegate:test"


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.fixture(scope="module")
def image() -> str:
    base = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base
    try:
        if docker("image", "inspect", base[1]).returncode and docker("pull", "--quiet", base[1]).returncode:
            pytest.skip(f"{base[1]} is not here and cannot be pulled, or no Docker engine answers")
    except (FileNotFoundError, subprocess.TimeoutExpired):
        pytest.skip("no Docker engine answers here")
    built = docker("build", "--quiet", "--tag", NAME, ".")
    assert built.returncode == 0, built.stderr
    return NAME


def test_it_says_its_version(image: str) -> None:
    assert (
        docker("run", "--rm", "--network", "none", image, "--version").stdout == f"imagegate {__version__}\n"
    )


def test_the_image_runs_as_an_unprivileged_user(image: str) -> None:
    configured = docker("image", "inspect", "--format", "{{.Config.User}}", image).stdout.strip()
    assert configured == "65532:65532"
