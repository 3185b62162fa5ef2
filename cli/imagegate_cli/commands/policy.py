"""`imagegate policy`: what a policy file says, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagegate_cli.context import CommandLine, now
from imagegate_cli.faults import CANNOT_TELL, NotFoundError
from imagegate_cli.output.terminal import hand_out, say, show_json
from imagegate_cli.policy.replay import replay
from imagegate_cli.policy.report import report
from imagegate_cli.reference import ReferenceType, RepositoryReference

if TYPE_CHECKING:
    from imagegate.policy.policy import Policy, Stage
    from imagegate_cli.policy.source import PolicyFile

_PATH = click.Path(path_type=Path)
_FAULTY = 1


@click.group()
def policy() -> None:
    """What a policy file says, and what is wrong with it."""


@click.command()
@click.argument("file", type=_PATH)
@click.option("--prefix", default="", help="What every repository must begin with, as the stack has it.")
@click.option("--json", "as_json", is_flag=True, help="One object: faults, stages, notes.")
def check(file: Path, prefix: str, *, as_json: bool) -> None:
    """Every fault of a policy file, or its stages in short.

    \b
    Exit codes:
      0  it can be deployed
      1  it has faults: FILE:LINE: path: what is wrong
      2  there is no such file, or it cannot be read
    """
    from imagegate_cli.policy import check as policy_check
    from imagegate_cli.policy.source import examined_file

    today = now().date()
    checked = policy_check.checked(examined_file(file, today, prefix), today)
    if as_json:
        show_json(policy_check.as_json(checked))
    else:
        for line in policy_check.lines(checked):
            say(line)
    raise click.exceptions.Exit(_FAULTY if checked.faults else 0)


@click.command()
def schema() -> None:
    """The JSON Schema of policy files.

    Editors complete and explain every key by it: layers/policy/policy.schema.json is this output.
    """
    from imagegate_cli.policy.schema import text

    hand_out(text())


@click.command()
@click.argument("repository", type=ReferenceType(), metavar="REPOSITORY")
@click.option("--policy", "file", type=_PATH, help="Policy file. Default: the deployed policy.")
@click.option("--json", "as_json", is_flag=True, help="One object: settings, rules, waivers.")
@click.pass_obj
def explain(
    command_line: CommandLine, repository: RepositoryReference, file: Path | None, *, as_json: bool
) -> None:
    """What holds at the gate of a repository.

    After inheritance: every setting and rule, its value, what it does, and where it was written.
    """
    from imagegate_cli.policy import explain as policy_explain
    from imagegate_cli.policy.source import deployed_policy, examined_file

    at = now()
    source = examined_file(file, at.date()) if file else deployed_policy(command_line.stack)
    read = _policy_of(source)
    name = repository.repository
    explained = policy_explain.explained(source, read, _stage_of(read, name), name, at)
    if as_json:
        return show_json(policy_explain.as_json(explained))
    from imagegate_cli.policy import table as policy_table
    from imagegate_cli.releases import view

    console = view.console()
    return console.print(policy_table.shown(explained))


def _policy_of(source: PolicyFile) -> Policy:
    """Every fault on a line of its own, and exit code 2: nothing can be explained."""
    if source.examined.policy is None:
        for fault in source.examined.faults:
            say(f"{source.name}:{fault.line}: {fault}", err=True)
        raise click.exceptions.Exit(CANNOT_TELL)
    return source.examined.policy


def _stage_of(read: Policy, repository: str) -> Stage:
    stage = read.stage_of(repository)
    if stage is None:
        patterns = ", ".join(f"{stage.repositories.text} ({name})" for name, stage in read.stages.items())
        raise NotFoundError(
            f"no stage has the repository {repository}, it is left alone; there are {patterns}"
        )
    return stage


# Whoever adds a verb adds it here.
for _verb in (check, explain, schema, replay, report):
    policy.add_command(_verb)
