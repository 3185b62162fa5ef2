"""`imagegate judge` on files, as tests call it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagegate_cli.context import CommandLine
from imagegate_cli.main import main
from tests.component.cli_gate import Result
from tests.fakes import NOW

PLAIN = 'version: 1\nstages: {dev: {repositories: "{app}-dev"}}\n'

Judge = Callable[..., Result]


def judge_in(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Return a function that judges files given by content: text, bytes, or values that become JSON."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: Any, policy: str = PLAIN) -> Result:
        (folder / "policy.yaml").write_text(policy)
        words = [written(number, argument) for number, argument in enumerate(arguments)]
        argv = ["imagegate", "judge", "--policy", str(folder / "policy.yaml"), *words]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as exited:
            main(CommandLine(lambda: NOW))
        captured = capsys.readouterr()
        return Result(int(exited.value.code or 0), captured.out, captured.err)

    def written(number: int, argument: Any) -> str:
        if isinstance(argument, str):
            return argument
        file = folder / f"file{number}"
        content = argument if isinstance(argument, bytes) else json.dumps(argument).encode()
        file.write_bytes(content)
        return str(file)

    return call


def one_line(result: Result) -> None:
    assert result.code == 2
    assert result.out == ""
    assert len(result.err.splitlines()) == 1, result.err
    assert "Traceback" not in result.err
