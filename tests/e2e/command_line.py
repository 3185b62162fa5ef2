"""The command line in the process of a test: the program without its start, which takes longer than most commands."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest

from imagegate.aws import clients
from imagegate_cli.main import main
from tests.e2e.gate import Gate
from tests.e2e.test_waivers import Printed


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Give the process these variables and no others, and clients of no one before, as a process of its own has."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - variables.keys():
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        clients.forget()
        try:
            yield
        finally:
            clients.forget()


def run_here(
    arguments: list[str], variables: Mapping[str, str], out: io.StringIO, err: io.StringIO, given: str = ""
) -> int:
    """Run `imagegate` with these variables and the input `given`, print into `out` and `err`, return its exit code."""
    with (
        environment(variables),
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["imagegate", *arguments])
        patch.setattr(sys, "stdin", io.StringIO(given))
        with pytest.raises(SystemExit) as exited:
            main()
    return int(exited.value.code or 0)


def imagegate_here(gate: Gate, *arguments: str) -> Printed:
    """Run one command of an administrator, and return what it prints in 120 columns."""
    out, err = io.StringIO(), io.StringIO()
    code = run_here(list(arguments), {**gate.cloud.env, "COLUMNS": "120"}, out, err)
    # Said on a slow machine, and no fault.
    said = [line for line in err.getvalue().splitlines(True) if not line.startswith("waiting for ")]
    return Printed(code, out.getvalue(), "".join(said))
