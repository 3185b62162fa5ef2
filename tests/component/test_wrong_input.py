"""Every verb with wrong input: one line that names what helps and exit code 2, never a traceback.

The tests find the verbs and their files, so that a new one is tried without a change here.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from imagegate.aws import clients
from imagegate_cli.context import CommandLine, Pauses
from imagegate_cli.main import cli, main
from imagegate_cli.stack import Stack, find_stack
from tests.component.cli_gate import ARN, CliGate, Result, gate
from tests.fakes import NOW

__all__ = ["gate"]

FIXTURES = Path(__file__).parent / "fixtures"
POLICY = Path(__file__).parents[2] / "layers/policy/policy.yaml"
Words = tuple[str, ...]
DIGEST = "sha256:" + "0" * 64
# Values for parameters, by their names; a choice gets its first, and any other text that is required is an x.
VALUES = {
    "reference": "shop-dev:1.0",
    "repository": "shop-dev",
    "scope": f"shop-dev@{DIGEST}",
    "digest": DIGEST,
    "image": f"shop-dev@{DIGEST}",
    "expires": "7d",
    "subjects": "shop-dev:1.0",
    "app": "shop",
}
# Verbs that read no file before they have asked AWS for something else get that from files.
OFFLINE: dict[Words, dict[str, str]] = {
    ("judge",): {"reference": "", "findings": str(FIXTURES / "scanners/trivy.json")},
    ("verify",): {"subjects": str(FIXTURES / "bundles/v1-passed.zip")},
}
NEEDS_NO_AWS = {("completion",), ("policy", "schema")}
CONTENTS = {
    "random": bytes(range(256)) * 4,
    "empty": b"",
    "a list": b"[]",
    "an empty object": b"{}",
    "nested": b"[" * 20_000,
    "wrong types": b'{"version": 1, "stages": 5, "runs": 3, "Results": 4, "matches": {}, "statements": 7, "rules": 1}',
    "a pattern without an end": b"PK\x03\x04" + b"\xff" * 60,
}


def leaves(
    command: click.Command, words: Words, context: click.Context
) -> Iterator[tuple[Words, click.Command]]:
    """Yield each verb with its words."""
    if not isinstance(command, click.Group):
        yield words, command
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, (*words, name), context)


VERBS = dict(leaves(cli, (), click.Context(cli)))


def call_of(words: Words, values: dict[str, str], only: str = "") -> list[str]:
    """Return a call of the verb with all that it requires, with what `values` has, and with the option `only`."""
    call = list(words)
    for parameter in VERBS[words].params:
        name = parameter.name or ""
        if not (parameter.required or name in values or name == only):
            continue
        value = values.get(name, "x")
        if isinstance(parameter.type, click.Choice) and name not in values:
            value = str(parameter.type.choices[0])
        if value:
            call += [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]
    return call


def files_of(words: Words) -> list[str]:
    return [one.name or "" for one in VERBS[words].params if isinstance(one.type, click.Path)]


def assert_is_explained(result: Result, call: Sequence[str]) -> None:
    """Assert that it ends with 2 and one line; faults of a policy are a line each, with the place in the file."""
    assert result.code == 2, (call, result)
    assert "IMAGEGATE_DEBUG" not in result.err + result.out, (call, result)
    lines = result.err.splitlines()
    assert lines, (call, result)
    assert len(lines) == 1 or all("file.json:" in line for line in lines), (call, result)


@pytest.mark.parametrize("words", [words for words in VERBS if files_of(words)], ids=" ".join)
def test_a_file_of_any_content_is_no_traceback(gate: CliGate, tmp_path: Path, words: Words) -> None:
    file = tmp_path / "file.json"
    for name in files_of(words):
        for content in CONTENTS.values():
            file.write_bytes(content)
            call = call_of(words, VALUES | OFFLINE.get(words, {}) | {name: str(file)}, name)
            result = gate.call(*call)
            assert result.code in (0, 1, 2), (call, result)
            assert "IMAGEGATE_DEBUG" not in result.err + result.out, (call, result)
            if result.code == 2:
                assert_is_explained(result, call)
        for wrong in (tmp_path, tmp_path / "none/file.json", Path("/proc/1/mem")):
            call = call_of(words, VALUES | OFFLINE.get(words, {}) | {name: str(wrong)}, name)
            assert "IMAGEGATE_DEBUG" not in gate.call(*call).err, call


class AnyOutputs(dict[str, str]):
    """The outputs of a stack, whatever they are called."""

    def __missing__(self, name: str) -> str:
        return DIGEST if name.endswith("Digest") else "https://x.invalid/" if "Url" in name else "any-name"


def refuse(_client: Any, operation: str, _arguments: Any) -> Any:
    raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no,\nnever"}}, operation)


@pytest.mark.parametrize(
    "what", ["credentials", "a Region", "a profile", "any permission", "permissions after the stack"]
)
def test_without_aws_each_verb_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    """A verb that needs AWS ends with 2 and one line, whatever is missing."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("AWS_", "IMAGEGATE_"))]:
        monkeypatch.delenv(name)
    settings = {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "eu-central-1"}
    settings |= {"CONFIG_FILE": "/none", "SHARED_CREDENTIALS_FILE": "/none", "EC2_METADATA_DISABLED": "true"}
    if what == "credentials":
        settings = {name: value for name, value in settings.items() if "KEY" not in name}
    if what == "a Region":
        del settings["DEFAULT_REGION"]
    if what == "a profile":
        settings["PROFILE"] = "unheard-of"
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    if "permission" in what:
        monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    find = (lambda name: Stack(name, ARN, AnyOutputs())) if "after" in what else find_stack
    clients.forget()
    for words in VERBS:
        if words in NEEDS_NO_AWS or words[0] == "doctor":
            continue
        call = call_of(words, VALUES)
        monkeypatch.setattr(sys, "argv", ["imagegate", *call])
        with pytest.raises(SystemExit) as exited:
            main(CommandLine(find_stack=find, pauses=Pauses(sleep=lambda _: None)))
        told = capsys.readouterr()
        assert_is_explained(Result(int(exited.value.code or 0), told.out, told.err), call)
    clients.forget()


# The stream that takes the output


def run_into(stream: Any, monkeypatch: pytest.MonkeyPatch, *call: str) -> int:
    monkeypatch.setattr(sys, "argv", ["imagegate", *call])
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit) as exited:
        main(CommandLine(lambda: NOW))
    return int(exited.value.code or 0)


def drain(stream: io.TextIOBase) -> None:
    """Let the stream be closed, though what it holds cannot be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@pytest.mark.parametrize("words", [(), *VERBS], ids=" ".join)
def test_a_reader_that_has_gone_is_no_error(
    words: Words, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the pipe is closed, as by `| head -1`; and a terminal is narrow. A code of 1 would be a clear no."""
    monkeypatch.setenv("COLUMNS", "40")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        assert run_into(stream, monkeypatch, *words, "--help") == 2
        drain(stream)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "koi8-r", "utf-8", "utf-16"])
def test_every_character_can_be_written_in_every_encoding(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A character that an encoding lacks is an escape, so JSON stays JSON."""
    reason = "d\u00e9j\u00e0 \u2192 \u0436 \U0001f600"
    waiver = {
        "vulnerability": "CVE-2026-1000",
        "package": "zlib",
        "reason": reason,
        "owner": "ann",
        "expires": f"{NOW + timedelta(days=9):%Y-%m-%d}",
        "repositories": "shop-dev",
    }
    stages = {"dev": {"repositories": "{app}-dev"}}
    file = tmp_path / "policy.yaml"
    file.write_text(
        json.dumps({"version": 1, "stages": stages, "waivers": [waiver]}, ensure_ascii=False),
        encoding="utf-8",
    )
    for options in ([], ["--json"]):
        content = io.BytesIO()
        stream = io.TextIOWrapper(content, encoding=encoding)
        code = run_into(stream, monkeypatch, "policy", "explain", "shop-dev", "--policy", str(file), *options)
        stream.flush()
        assert code == 0
        written = content.getvalue().decode(encoding)
        assert "CVE-2026-1000" in written
    assert reason in json.dumps(json.loads(written), ensure_ascii=False)


def test_a_full_disk_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as stream:
        assert run_into(stream, monkeypatch, "policy", "schema") == 2
        drain(stream)
    assert capsys.readouterr().err == "imagegate: No space left on device\n"


@pytest.mark.parametrize(
    "call", [[], ["nosuch"], ["policy"], ["policy", "check", "nosuch.yaml"], ["judge", "--no"]]
)
@pytest.mark.parametrize("is_closed", [False, True])
def test_an_error_that_nobody_can_read_has_its_exit_code(
    call: list[str], is_closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk of standard error is full, or its reader has gone: 1 would say that an image is blocked."""
    reader, writer = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    unused, used = (full, writer) if is_closed else (writer, full)
    os.close(unused)
    with os.fdopen(used, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        assert run_into(io.StringIO(), monkeypatch, *call) == 2
        stream.flush()  # as Python does at the end, where a fault changes the exit code


@pytest.mark.parametrize(
    "call", [["judge", "--findings", "-", "--policy", str(POLICY)], ["policy", "check", "-"]]
)
def test_standard_input_that_is_closed_is_one_line(
    call: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert run_into(io.StringIO(), monkeypatch, *call) == 2
    assert capsys.readouterr().err == "imagegate: standard input: closed; name a file instead of -\n"


@pytest.mark.parametrize("columns", ["0", "1", "-7", "x", ""])
def test_a_terminal_of_any_width_shows_the_answer(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    output = io.StringIO()
    report = FIXTURES / "scanners/trivy.json"
    assert run_into(output, monkeypatch, "judge", "--policy", str(POLICY), "--findings", str(report)) == 1
    assert "BLOCK" in output.getvalue()


@pytest.mark.parametrize(("name", "value"), [("AWS_DEFAULT_REGION", ""), ("AWS_ENDPOINT_URL", "not a URL")])
def test_an_address_that_is_none_names_the_settings(
    name: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "eu-central-1"}
    for key, given in settings.items():
        monkeypatch.setenv(f"AWS_{key}", given)
    monkeypatch.setenv(name, value)
    clients.forget()
    assert run_into(io.StringIO(), monkeypatch, "list") == 2
    clients.forget()
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert name in told
    assert "IMAGEGATE_DEBUG" not in told


INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background has it ignored
loaded = sys.argv.pop(1)
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(loaded):
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from imagegate_cli.__main__ import run
run()
"""


@pytest.mark.parametrize(
    ("loaded", "code", "says"),
    [
        ("imagegate_cli.main", -signal.SIGINT, ""),
        ("click", -signal.SIGINT, ""),
        ("imagegate_cli.commands.", 130, "imagegate: interrupted; a release that was started goes on\n"),
    ],
)
def test_an_interrupt_at_any_time_is_no_traceback(loaded: str, code: int, says: str) -> None:
    """Ctrl-C comes while the module is loaded."""
    command = [sys.executable, "-c", INTERRUPTED, loaded, "policy", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.lstrip("\n")) == (code, says)
