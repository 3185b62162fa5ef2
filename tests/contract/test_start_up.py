"""The libraries that each function loads at its start: each one is a part of every cold start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cold_start import SERVICES, start

ROOT = Path(__file__).parents[2]
HEAVY = {"boto3", "cryptography", "jinja2", "pydantic", "univers", "yaml"}
# The rule: pages need templates, and only the function that publishes policies reads their files. Signatures and
# versions are judged in calls that need them, so their libraries are loaded then.
ALLOWED = {
    "approval_page": {"jinja2"},
    "make_board": {"jinja2"},
    "publish_policy": {"pydantic", "yaml"},
}


@pytest.mark.parametrize(
    ("environment", "collects"), [({"AWS_LAMBDA_FUNCTION_NAME": "announce"}, False), ({}, True)]
)
def test_only_a_function_starts_without_the_garbage_collector(
    environment: dict[str, str], collects: bool
) -> None:
    command = [sys.executable, "-c", "import gc, imagegate; print(gc.isenabled())"]
    path = {"PYTHONPATH": str(ROOT / "layers/core")}
    done = subprocess.run(command, env={**path, **environment}, check=True, capture_output=True, text=True)
    assert done.stdout == f"{collects}\n"


def test_every_function_is_measured() -> None:
    assert set(SERVICES) == {handler.parent.name for handler in ROOT.glob("functions/*/handler.py")}


@pytest.mark.parametrize("name", SERVICES)
def test_a_function_loads_at_its_start_only_what_every_call_needs(name: str) -> None:
    path = [ROOT / "functions" / name, ROOT / "layers/core"]
    loaded = start(
        sys.executable, name, path, "print(*{name.partition('.')[0] for name in sys.modules})"
    ).split()
    assert HEAVY & set(loaded) == ALLOWED.get(name, set())
