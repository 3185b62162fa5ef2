"""`make deploy`: what it asks, what it keeps, and for which architecture it builds."""

from __future__ import annotations

import copy
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from sandbox.deployment.template import check_parameters, read
from tools.built_template import main

ROOT = Path(__file__).parents[2]
# As `sam deploy --guided` writes it (samcli.commands.deploy.guided_config of aws-sam-cli).
SAVED = """version = 0.1

[default.deploy.parameters]
stack_name = "imagegate"
resolve_s3 = true
capabilities = "CAPABILITY_IAM"
parameter_overrides = "RepositoryPrefix=\\"shop/\\" Architecture=\\"x86_64\\" DeploymentCheck=\\"off\\""
"""


def commands(folder: Path, *arguments: str) -> str:
    """Return what `make deploy` would run in this folder."""
    for name in ("Makefile", "pyproject.toml", "requirements"):
        (folder / name).symlink_to(ROOT / name)
    command = ["make", "-n", "--no-print-directory", "deploy", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return result.stdout


@pytest.mark.parametrize("is_there", [True, False])
def test_the_first_deployment_asks_and_says_which_answer_ends_it(tmp_path: Path, is_there: bool) -> None:
    if is_there:  # the project's own file has no answers
        shutil.copy(ROOT / "samconfig.toml", tmp_path)
    said = commands(tmp_path)
    assert said.splitlines()[-1].endswith("sam deploy --guided")
    assert "Security Constraints Not Satisfied" in said
    assert "build --parameter-overrides Architecture=arm64" in said


def test_the_second_one_keeps_all_that_is_saved_and_asks_nothing(tmp_path: Path) -> None:
    (tmp_path / "samconfig.toml").write_text(SAVED)
    said = commands(tmp_path)
    assert said.splitlines()[-1].split()[-1] == "deploy"
    assert "build --parameter-overrides Architecture=x86_64" in said
    assert "tools.built_template x86_64" in said


def test_questions_come_again_with_what_is_saved(tmp_path: Path) -> None:
    """Overrides on the command line would replace all that is saved."""
    (tmp_path / "samconfig.toml").write_text(SAVED)
    last = commands(tmp_path, "ASK=1").splitlines()[-1]
    assert last.endswith("sam deploy --guided")
    assert "overrides" not in last


def test_a_deployment_that_changes_nothing_succeeds_also_with_saved_answers() -> None:
    """`sam deploy --guided` keeps what it does not ask for."""
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert settings["default"]["deploy"]["parameters"]["fail_on_empty_changeset"] is False


def test_no_page_tells_to_give_a_parameter_that_the_next_deployment_takes_back() -> None:
    pages = [path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "adr"]
    commands = [line for path in pages for line in path.read_text().splitlines() if "sam deploy" in line]
    assert commands
    assert not [line for line in commands if "--parameter-overrides" in line]


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_a_built_template_takes_its_own_architecture_only(tmp_path: Path, architecture: str) -> None:
    path = tmp_path / "template.yaml"
    shutil.copy(ROOT / "template.yaml", path)
    main(architecture, path)
    built = read(path)
    (other,) = {"arm64", "x86_64"} - {architecture}
    assert check_parameters(built, {"Architecture": architecture})
    with pytest.raises(ValueError, match=f"parameter Architecture: '{other}'"):
        check_parameters(built, {"Architecture": other})
    expected = copy.deepcopy(read(ROOT / "template.yaml"))
    expected["Parameters"]["Architecture"] = built["Parameters"]["Architecture"]
    assert built == expected
