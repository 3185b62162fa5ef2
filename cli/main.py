"""`imagegate`: the entry point."""

from __future__ import annotations

import sys

import click

from cli.clock import wind
from cli.faults import report
from cli.verbs.decide import decide
from cli.verbs.judge import judge
from cli.verbs.list import list_
from cli.verbs.policy import policy
from cli.verbs.release import release
from cli.verbs.rollback import rollback
from cli.verbs.status import status
from cli.verbs.verify import verify
from imagegate.clock import Clock, utc_now

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
