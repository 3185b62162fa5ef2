"""`imagegate completion`: the scripts are those of the shells, and the program answers them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.component.cli_gate import CliGate, gate

__all__ = ["gate"]

PROGRAM = Path(sys.executable).with_name("imagegate")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_the_program(gate: CliGate, shell: str) -> None:
    result = gate.call("completion", shell)
    assert (result.code, result.err) == (0, "")
    assert f"_IMAGEGATE_COMPLETE={shell}_complete" in result.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=result.out, text=True, check=True)


def test_another_shell_is_refused_in_one_line(gate: CliGate) -> None:
    result = gate.call("completion", "csh")
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "number", "expected"),
    [
        ("imagegate st", 1, "status"),
        ("imagegate decide app", 2, "approve"),
        ("imagegate status --wa", 2, "--watch"),
    ],
)
def test_the_program_completes_commands_and_options(words: str, number: int, expected: str) -> None:
    variables = {"_IMAGEGATE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    done = subprocess.run(
        [PROGRAM], env=os.environ | variables, capture_output=True, text=True, check=True, timeout=60
    )
    assert f"plain,{expected}" in done.stdout.splitlines()
