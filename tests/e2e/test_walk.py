"""A walk through the verbs of the command line, as a person on call sees it: `walk/transcript.txt` has each command,
what is printed in 80 columns, and the exit code.

`IMAGEGATE_WRITE_WALK=1` writes the file anew from its commands; a person reads the difference.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.images.build import build_image
from tests.contract.served_cloud import ROOT, ServedCloud, served_cloud, sourced
from tests.e2e.command_line import run_here
from tests.patience import eventually

WALK = Path(__file__).parent / "walk"
TRANSCRIPT = WALK / "transcript.txt"
COLUMNS = 80
_PROMPT = re.compile(r"(?P<user>[a-z]*)\$ (?P<command>.*)")
_HEX = re.compile(r"(?<![0-9a-f])(?!123456789012)[0-9a-f]{12}(?:[0-9a-f]{52})?(?![0-9a-f])")
# Lines that only a slow machine shows: waiting, and progress.
_SLOWNESS = re.compile(r"waiting for |[a-z][a-z ]*(: \d+ of \d+)? …$")
# Other texts that differ from run to run. A substitute is as long as the text, so that no line wraps elsewhere.
_OTHERS: tuple[tuple[str, str], ...] = (
    (r"\d{4}-\d\d-\d\d([ T])\d\d:\d\d:\d\d", r"2026-01-02\g<1>03:04:05"),
    (r"\d{4}-\d\d-\d\d([ T])\d\d:\d\d(?!:)", r"2026-01-02\g<1>03:04"),
    (r"\d{4}-\d\d-\d\d", "2026-01-02"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "01234567-89ab-cdef-0123-456789abcdef"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:45670"),
    (r"^( *)\d\d:\d\d UTC", r"\g<1>03:04 UTC"),  # a time that was wrapped after the day
    (r"took [\d.]+ (s|min)", "took 1 s"),
    (r"that of AWS by [\d.]+ s", "that of AWS by 0.1 s"),
)


class Walk:
    """The sandbox, and the folder in which the commands run."""

    def __init__(self, cloud: ServedCloud, folder: Path) -> None:
        self._cloud, self._folder = cloud, folder
        self._substitutes: dict[str, str] = {}

    def play(self, lines: list[str]) -> Iterator[str]:
        """Carry out the commands among the lines; yield them with what was printed."""
        for line in lines:
            if line.startswith("#"):
                yield f"\n{line}\n\n" if line != lines[0] else f"{line}\n\n"
            elif line.startswith("% "):
                self._set_up(line[2:])
                yield f"{line}\n\n"
            elif prompt := _PROMPT.fullmatch(line):
                code, printed = self._run(prompt["user"], prompt["command"])
                yield f"{line}\n{self._normalised(printed)}[exit {code}]\n\n"

    def _run(self, user: str, command: str) -> tuple[int, str]:
        variables = sourced(self._cloud.state / f"env.{user}") if user else self._cloud.env
        program, *arguments = shlex.split(command.partition(" > ")[0].partition(" < ")[0])
        if arguments[:2] == ["-m", "sandbox"] and arguments[2] in ("push", "arrive"):
            self._build(arguments[-2])
        given = "n\n" if " < " in command else ""
        environment = {"PATH": os.environ["PATH"], "COLUMNS": str(COLUMNS), **variables}
        run = self._run_here if program == "imagegate" else self._run_python
        code, printed = run(arguments, environment, given)
        if target := command.partition(" > ")[2]:
            (self._folder / target).write_text(printed)
        shown = "" if target and code in (0, 1, 3) else printed
        return code, "".join(line for line in shown.splitlines(True) if not _SLOWNESS.match(line))

    def _run_here(self, arguments: list[str], environment: dict[str, str], given: str) -> tuple[int, str]:
        printed = io.StringIO()
        with contextlib.chdir(self._folder):
            return run_here(arguments, environment, printed, printed, given), printed.getvalue()

    def _run_python(self, arguments: list[str], environment: dict[str, str], given: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self._folder,
            env={"PYTHONPATH": str(ROOT), **environment},
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout

    def _build(self, name: str) -> None:
        if not (self._folder / name).exists():
            build_image(self._folder / name, files={"app.txt": name.encode()}, user="1000:1000")

    def _set_up(self, what: str) -> None:
        words = what.split()
        match words:
            case ["hold", "scans"] | ["let", "scans", "end"]:
                self._cloud.api("/sandbox-api/quirks", {"hold_scans": words[0] == "hold"})
            case ["delete", reference]:
                repository, tag = reference.split(":")
                self._cloud.client("ecr").batch_delete_image(
                    repositoryName=repository, imageIds=[{"imageTag": tag}]
                )
            case ["until", repository, "has", number, "images"]:
                eventually(lambda: len(self._states(repository)) == int(number), what)
            case ["until", repository, "is", *state]:
                eventually(lambda: " ".join(state) in self._states(repository), what)
            case _:
                raise AssertionError(what)

    def _states(self, repository: str) -> list[str]:
        code, printed = self._run("", f"imagegate status {repository} --json")
        return [image["state"] for image in json.loads(printed)] if code == 0 else []

    def _normalised(self, text: str) -> str:
        text = text.replace(str(self._folder), "FOLDER").replace("\r\n", "\n")  # tables of CSV have both
        for pattern, substitute in _OTHERS:
            text = re.sub(pattern, substitute, text, flags=re.MULTILINE)
        return _HEX.sub(lambda match: self._substitute(match[0]), text)

    def _substitute(self, text: str) -> str:
        """Return the same hex digits for the same digest, whole or shortened."""
        number = self._substitutes.setdefault(text[:12], f"{len(self._substitutes) + 1:012d}")
        return number + "0" * (len(text) - 12)


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Replace the shared fixture: the walk has a sandbox of its own."""


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("walk")
    shutil.copytree(WALK, folder, dirs_exist_ok=True)
    policy = (folder / "policy.yaml").read_text()
    (folder / "broken.yaml").write_text(
        policy.replace("observe", "obsreve").replace("soak: 14d", "soak: 40d")
    )
    (folder / "softer.yaml").write_text(policy.replace("critical: 0", "critical: 1"))
    with served_cloud(folder / ".sandbox", str(ROOT), "--policy", str(folder / "policy.yaml")) as cloud:
        yield Walk(cloud, folder)


def test_the_transcript_of_all_verbs_is_the_one_that_was_read(walk: Walk) -> None:
    before = TRANSCRIPT.read_text()
    after = "".join(walk.play(before.splitlines())).rstrip("\n") + "\n"
    if os.environ.get("IMAGEGATE_WRITE_WALK"):
        TRANSCRIPT.write_text(after)
    else:
        assert after == before, "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True)))
