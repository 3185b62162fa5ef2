"""Fixtures of every test against stubbed or mocked AWS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from imagegate.aws import clients as aws
from tests.component.judged import Judge, judge_in

# As in tests/unit: a busy machine turns no rule red.
EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "100"))
settings.register_profile("rules", deadline=None, derandomize=True, max_examples=EXAMPLES)
settings.load_profile("rules")


@pytest.fixture
def aws_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set throw-away credentials, and clear the clients, which are kept per process."""
    for name, value in {
        "ACCESS_KEY_ID": "a",
        "SECRET_ACCESS_KEY": "b",
        "DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    aws.forget()
    yield
    aws.forget()


@pytest.fixture
def judge(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Judge:
    return judge_in(tmp_path, capsys, monkeypatch)
