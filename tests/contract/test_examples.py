"""The pipelines in `examples/` and the guide to the policy: what stands there is understood by those it is for."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic import BaseModel

from imagegate.policy.file.image import AlertsShape
from imagegate.policy.file.load import parse
from imagegate.policy.file.model import StageShape
from imagegate_cli.clock import wind
from imagegate_cli.main import cli
from imagegate_cli.releases.facts import EXIT_CODES, TIMED_OUT
from tests.fakes import NOW

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / "examples/github-actions/release.yml"
GITLAB = ROOT / "examples/gitlab-ci/.gitlab-ci.yml"
README = ROOT / "examples/README.md"
GUIDE = ROOT / "docs/reference/policy.md"


@dataclass(frozen=True)
class Script:
    """One shell snippet, with the variables that its pipeline sets."""

    name: str
    text: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def github_scripts() -> Iterator[Script]:
    workflow = load(GITHUB)
    # What GitHub puts in at run time is some text here.
    variables = {name: re.sub(r"\$\{\{.*\}\}", "x", text) for name, text in workflow["env"].items()}
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            if "run" in step:
                yield Script(f"GitHub: {job['name']}: {step['name']}", step["run"], variables)


def gitlab_scripts() -> Iterator[Script]:
    pipeline = load(GITLAB)
    variables = {**pipeline["variables"], "CI_COMMIT_SHA": "0" * 40}
    for name, job in pipeline.items():
        for key in ("before_script", "script"):
            if isinstance(job, dict) and key in job:
                yield Script(f"GitLab: {name}: {key}", "\n".join(job[key]), variables)


def consoles(path: Path) -> Iterator[Script]:
    for number, block in enumerate(re.findall(r"```console\n(.*?)```", path.read_text(), re.DOTALL)):
        commands = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
        yield Script(f"{path.name}: {number}", "\n".join(commands))


PIPELINES = [*github_scripts(), *gitlab_scripts()]
SCRIPTS = [*PIPELINES, *consoles(GUIDE), *consoles(README), *consoles(ROOT / "README.md")]

# Command lines


def commands(script: Script) -> Iterator[list[str]]:
    """The arguments of each call of imagegate; of one in a loop, for each round."""
    text = script.text.replace("\\\n", " ")
    loops = {name: words.split() for name, words in re.findall(r"for (\w+) in ([\w ]+);", text)}
    for line in text.splitlines():
        for words in calls(line):
            loop = next((name for name in loops if f"${name}" in words), None)
            for value in loops.get(loop or "", [""]):
                variables = {**script.variables, loop or "": value}
                yield [expanded(word, variables) for word in words]


def calls(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    tokens = list(lexer)
    begins = True
    for place, token in enumerate(tokens):
        if begins and token in ("imagegate", ".venv/bin/imagegate"):
            rest = tokens[place + 1 :]
            end = next((n for n, word in enumerate(rest) if set(word) <= set("();<>|&")), len(rest))
            yield rest[:end]
        begins = set(token) <= set("();|&") or token in ("do", "then", "else", "!", "if")


def expanded(word: str, variables: Mapping[str, str]) -> str:
    """Fails where the pipeline does not set what it uses."""
    while found := re.search(r"\$\{?(\w+)\}?", word):
        word = word.replace(found[0], variables[found[1]])
    return word


def understood(arguments: list[str]) -> None:
    """Raise click's error where the command line does not take them."""
    command: click.Command = cli
    context = click.Context(cli, info_name="imagegate")
    wind(context, lambda: NOW)  # `30d` is read as a day when the line is parsed
    while isinstance(command, click.Group):
        name, *arguments = arguments
        found = command.get_command(context, name)
        assert found is not None, f"{context.command_path} has no {name}"
        command = found
        if not isinstance(command, click.Group):
            command.make_context(name, arguments, parent=context)
        context = click.Context(command, info_name=name, parent=context)


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_every_call_of_imagegate_is_one_that_the_command_line_takes(script: Script) -> None:
    for arguments in commands(script):
        understood(arguments)


def test_the_calls_are_found() -> None:
    found = {path: [c for s in scripts for c in commands(s)] for path, scripts in by_pipeline().items()}
    for called in found.values():
        assert [arguments[0] for arguments in called] == ["judge"] * 4 + ["status"]
        formats = {arguments[arguments.index("--format") + 1] for arguments in called[:4]}
        assert formats == {"table", "sarif", "markdown", "json"}
    with pytest.raises(click.NoSuchOption):
        understood(["judge", "--polcy", "policy.yaml"])


def by_pipeline() -> dict[Path, list[Script]]:
    return {GITHUB: list(github_scripts()), GITLAB: list(gitlab_scripts())}


# The vendors' forms


@pytest.mark.parametrize(
    ("path", "options"),
    [(GITHUB, ["vendor.github-workflows"]), (GITLAB, ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"])],
    ids=["GitHub", "GitLab"],
)
def test_a_pipeline_follows_its_vendors_schema(path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *options, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("script", PIPELINES, ids=str)
def test_a_snippet_is_legal_bash(script: Script) -> None:
    ended = subprocess.run(["bash", "-n"], input=script.text, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_actions_are_pinned_by_commit_and_say_their_version() -> None:
    used = re.findall(r"uses: (.+)", GITHUB.read_text())
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used)


def test_only_the_job_that_pushes_can_sign_in_to_aws() -> None:
    workflow, pipeline = load(GITHUB), load(GITLAB)
    assert workflow["permissions"] == {}
    may = {name: job["permissions"] for name, job in workflow["jobs"].items()}
    assert may == {
        "judge": {"contents": "read", "security-events": "write"},
        "release": {"contents": "read", "id-token": "write"},
    }
    assert workflow["jobs"]["release"]["if"] == "github.event_name == 'push'"
    assert [name for name, job in pipeline.items() if "id_tokens" in job] == ["release-image"]


def test_every_job_ends() -> None:
    assert all("timeout-minutes" in job for job in load(GITHUB)["jobs"].values())
    jobs = [job for name, job in load(GITLAB).items() if "script" in job]
    assert jobs
    assert all("timeout" in job for job in jobs)


# What comes of a verdict


STUBS = {
    "imagegate": 'exit "$IMAGEGATE_SAYS"',
    # Who reads from it may have ended before: that is no failure.
    "aws": "trap '' PIPE; echo key secret token 2>/dev/null || true",
    "skopeo": "echo {} | tee digest",
    "curl": 'while [ "$1" != --output ]; do shift; done; echo x > "$2"',
}


def exit_code(script: Script, says: int, work: Path) -> int:
    """Run it where imagegate ends so, and where nothing else is what it is called."""
    stubs = work / "bin"
    stubs.mkdir()
    for name, body in STUBS.items():
        (stubs / name).write_text(f"#!/bin/sh\n{body}\n")
        (stubs / name).chmod(0o755)
    environment = {
        **script.variables,
        "PATH": f"{stubs}:{os.environ['PATH']}",
        "IMAGEGATE_SAYS": str(says),
        "GITHUB_STEP_SUMMARY": str(work / "summary.md"),
        "AWS_ID_TOKEN": "token",
        "CI_PROJECT_ID": "1",
        "CI_JOB_ID": "1",
    }
    command = ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", script.text]
    ended = subprocess.run(command, env=environment, cwd=work, capture_output=True, text=True, check=False)
    return ended.returncode


def named(name: str) -> Script:
    return next(script for script in PIPELINES if script.name == name)


WAITS = {
    "GitHub": "GitHub: Push and wait for the gate: Wait for the gate",
    "GitLab": "GitLab: release-image: script",
}
JUDGES = {"GitHub": "GitHub: Build and judge: Judge", "GitLab": "GitLab: judge-image: script"}


@pytest.mark.parametrize("says", sorted({*EXIT_CODES.values(), TIMED_OUT}))
@pytest.mark.parametrize("vendor", WAITS)
def test_what_became_of_the_image_is_what_becomes_of_the_job(vendor: str, says: int, tmp_path: Path) -> None:
    ends = exit_code(named(WAITS[vendor]), says, tmp_path)
    held_is_fine = vendor == "GitHub" and says == 3
    assert ends == (0 if held_is_fine else says)


def test_a_held_image_is_a_warning_on_gitlab() -> None:
    assert load(GITLAB)["release-image"]["allow_failure"] == {"exit_codes": 3}


@pytest.mark.parametrize("says", [0, 1, 2])
@pytest.mark.parametrize("vendor", JUDGES)
def test_a_verdict_is_the_jobs(vendor: str, says: int, tmp_path: Path) -> None:
    assert exit_code(named(JUDGES[vendor]), says, tmp_path) == says


def test_the_pipelines_role_can_push_and_look_and_no_more() -> None:
    role, *trusts = [json.loads(b) for b in re.findall(r"```json\n(.*?)```", README.read_text(), re.DOTALL)]
    for statement in role["Statement"]:
        actions = statement["Action"]
        actions = [actions] if isinstance(actions, str) else actions
        assert not any("*" in action for action in actions)
        assert statement["Resource"] != "*" or actions == ["ecr:GetAuthorizationToken"]
    for trust in trusts:
        (statement,) = trust["Statement"]
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        keys = chain.from_iterable(statement["Condition"].values())
        assert {key.rpartition(":")[2] for key in keys} == {"aud", "sub"}


# The guide


def rows() -> dict[str, str]:
    """Settings and rules of the guide's tables, each with its example."""
    found = re.findall(r"^\| `([a-z_.]+)` \|.*\| `([^|]+)` \|$", GUIDE.read_text(), re.MULTILINE)
    return dict(found)


# Enough around a stage that every rule makes sense in it.
AROUND = """\
version: 1
scanner: enhanced
stages:
  base: {repositories: "{app}-base"}
  dev: {repositories: "{app}-dev", promotes_to: staging}
  production: {repositories: "{app}-production"}
"""


@pytest.mark.parametrize("key", rows())
def test_an_example_of_the_guide_is_a_policy(key: str) -> None:
    part, _, rule = key.rpartition(".")
    example = f"{{{rule}: {rows()[key]}}}"
    stage = {"repositories": '"{app}-staging"', "promotes_to": "production"}
    stage |= {part: example} if part else {key: rows()[key]}
    if key in ("registry", "role"):  # both or neither, and such a stage leads nowhere from here
        stage |= {one: rows()[one] for one in ("registry", "role")}
        del stage["promotes_to"]
    written = ", ".join(f"{name}: {said}" for name, said in stage.items())
    parse(f"{AROUND}  staging: {{{written}}}\n".encode())


def test_the_guide_names_every_setting_and_every_rule() -> None:
    assert set(rows()) == set(keys_of_a_stage())


def keys_of_a_stage() -> Iterator[str]:
    for name, part in StageShape.model_fields.items():
        shape = part.annotation
        if isinstance(shape, type) and issubclass(shape, BaseModel) and shape is not AlertsShape:
            yield from (f"{name}.{key}" for key in shape.model_fields)
        else:
            yield name


def test_the_policies_of_the_guide_are_policies() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        whole = (
            block
            if "stages:" in block
            else f"{AROUND}  staging: {{repositories: '{{app}}-staging'}}\n{block}"
        )
        parse(whole.encode())
