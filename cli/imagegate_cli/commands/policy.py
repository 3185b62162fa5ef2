"""`imagegate policy`: checks, explains and tries policy files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagegate_cli.context import CommandLine, now
from imagegate_cli.faults import CANNOT_TELL, NotFoundError
from imagegate_cli.output.terminal import print_content, say, show_json
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
    """Check, explain and try policy files; report what the deployed policy blocks."""


@click.command()
@click.argument("file", type=_PATH)
@click.option("--prefix", default="", help="The prefix of every repository, as the stack's parameter has it.")
@click.option("--json", "as_json", is_flag=True, help="One object: faults, stages, notes.")
def check(file: Path, prefix: str, *, as_json: bool) -> None:
    """Print every fault of a policy file, or its stages in short.

    \b
    Exit codes:
      0  it can be deployed
      1  it has faults: FILE:LINE: path: what is wrong
      2  there is no such file, or it cannot be read
    """
    from imagegate_cli.policy import check as policy_check
    from imagegate_cli.policy.source import examined_file

    today = now().date()
    result = policy_check.check(examined_file(file, today, prefix), today)
    if as_json:
        show_json(policy_check.as_json(result))
    else:
        for line in policy_check.lines(result):
            say(line)
    raise click.exceptions.Exit(_FAULTY if result.faults else 0)


@click.command()
def schema() -> None:
    """Print the JSON Schema of policy files.

    With it, editors complete and explain every key. layers/policy/policy.schema.json is this output.
    """
    from imagegate_cli.policy.schema import text

    print_content(text())


@click.command()
@click.argument("repository", type=ReferenceType(), metavar="REPOSITORY")
@click.option("--policy", "file", type=_PATH, help="Policy file. Default: the deployed policy.")
@click.option("--json", "as_json", is_flag=True, help="One object: settings, rules, waivers.")
@click.pass_obj
def explain(
    command_line: CommandLine, repository: RepositoryReference, file: Path | None, *, as_json: bool
) -> None:
    """Explain the policy that applies to a repository.

    Prints every setting and rule after inheritance: its value, its action, and the line that sets it.
    """
    from imagegate_cli.policy import explain as policy_explain
    from imagegate_cli.policy.source import deployed_policy, examined_file

    at = now()
    source = examined_file(file, at.date()) if file else deployed_policy(command_line.stack)
    loaded = _policy_of(source)
    name = repository.repository
    explanation = policy_explain.explain(source, loaded, _stage_of(loaded, name), name, at)
    if as_json:
        return show_json(policy_explain.as_json(explanation))
    from imagegate_cli.output import screen
    from imagegate_cli.policy import table as policy_table

    console = screen.console()
    return console.print(policy_table.explanation_table(explanation))


def _policy_of(source: PolicyFile) -> Policy:
    """Return the policy. If the file has faults, print each on its own line and exit with 2."""
    if source.examined.policy is None:
        for fault in source.examined.faults:
            say(f"{source.name}:{fault.line}: {fault}", err=True)
        raise click.exceptions.Exit(CANNOT_TELL)
    return source.examined.policy


def _stage_of(loaded: Policy, repository: str) -> Stage:
    stage = loaded.stage_of(repository)
    if stage is None:
        patterns = ", ".join(f"{stage.repositories.text} ({name})" for name, stage in loaded.stages.items())
        raise NotFoundError(
            f"no stage has the repository {repository}, it is left alone; there are {patterns}"
        )
    return stage


for _command in (check, explain, schema, replay, report):
    policy.add_command(_command)
