"""The entry point of `imagegate`."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from imagegate_cli.commands.decide import decide
from imagegate_cli.commands.judge import judge
from imagegate_cli.commands.list import list_
from imagegate_cli.commands.policy import policy
from imagegate_cli.commands.release import release
from imagegate_cli.commands.rollback import rollback
from imagegate_cli.commands.status import status
from imagegate_cli.commands.verify import verify
from imagegate_cli.context import CommandLine
from imagegate_cli.faults import report

_VERBS = (judge, status, release, list_, decide, rollback, policy, verify)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--stack",
    envvar="IMAGEGATE_STACK",
    show_envvar=True,
    default="imagegate",
    show_default=True,
    help="Name of the CloudFormation stack.",
)
@click.version_option(package_name="imagegate", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, stack: str) -> None:
    """The gate for container images in Amazon ECR.

    Account, Region and credentials are those of the AWS CLI: AWS_PROFILE, AWS_DEFAULT_REGION, ….
    In the sandbox: source .sandbox/env
    """
    context.obj = replace(context.ensure_object(CommandLine), stack_name=stack)


for _verb in _VERBS:
    cli.add_command(_verb)


def main(command_line: CommandLine | None = None) -> None:
    """Run the command of `sys.argv` and exit. An error is one line on stderr, and exit code 2."""
    try:
        code = cli.main(prog_name="imagegate", standalone_mode=False, obj=command_line or CommandLine())
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort of a program
        code = report(error)
    sys.exit(code if isinstance(code, int) else 0)
