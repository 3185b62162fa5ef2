"""`imagegate`: the entry point."""

from __future__ import annotations

import sys

import click

from imagegate.clock import Clock, utc_now
from imagegate_cli.clock import wind
from imagegate_cli.commands.decide import decide
from imagegate_cli.commands.judge import judge
from imagegate_cli.commands.list import list_
from imagegate_cli.commands.policy import policy
from imagegate_cli.commands.release import release
from imagegate_cli.commands.rollback import rollback
from imagegate_cli.commands.status import status
from imagegate_cli.commands.verify import verify
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
    wind(context, context.obj or utc_now)  # the one of `main`
    context.obj = stack


for _verb in _VERBS:
    cli.add_command(_verb)


def main(clock: Clock = utc_now) -> None:
    """Errors are one line on stderr and exit code 2."""
    try:
        code = cli.main(prog_name="imagegate", standalone_mode=False, obj=clock)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort of a program
        code = report(error)
    sys.exit(code if isinstance(code, int) else 0)
