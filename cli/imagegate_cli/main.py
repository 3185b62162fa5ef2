"""The entry point of `imagegate`."""

from __future__ import annotations

import atexit
import gc
import sys
from dataclasses import replace
from importlib import import_module

import click

from imagegate import __version__
from imagegate_cli.context import CommandLine
from imagegate_cli.faults import CANNOT_TELL, report
from imagegate_cli.output.terminal import accept_all_characters

# The objects that are made before Python looks for unreachable ones among them. Its default, 700, is for programs that
# go on; a command makes 100,000 when it loads its modules, and keeps them.
_COLLECTED_AFTER = 50_000
_SUMMARIES = {
    "access": "Show who used the registry, or who may do something in a repository now.",
    "audit": "Audit the registry, its repositories and images against the policy and its baseline.",
    "cleanup": "Plan and apply the clean-up of repositories; try ECR's lifecycle rules.",
    "baseline": "Compare repositories and the registry with the policy's baseline, and change them.",
    "board": "Make the board: the image at each stage, what is at risk, and who must do what.",
    "completion": "Print the script that completes commands and options in a shell.",
    "decide": "Grant waivers, approvals and break-glass; revoke signatures.",
    "dlq": "Show events that could not be handled; start their releases again, or drop them.",
    "doctor": "Check credentials, clock, stack, permissions and scanner, and say what to do.",
    "images": "List what the registry stores now: last pull, size, findings; storage by repository.",
    "judge": "Judge scanners' files, or an image in ECR, as the pipeline would.",
    "list": "List the current state of each image, by its newest attempt of the last 90 days.",
    "policy": "Check, explain and try policy files; report what the deployed policy blocks.",
    "release": "Release the image that REPOSITORY:TAG points to now, also again.",
    "rollback": "Return to the release of APP in STAGE before the last.",
    "scan": "Scan an image again now, and say what is found.",
    "stats": "Print measures of the releases: scanned, signed, outcomes, times.",
    "status": "Show the newest attempt of an image, or the current state of each image of a repository.",
    "verify": "Verify which gate an image passed, when, under which policy, on which evidence.",
}
# The package of a command's module, below `commands`.
_PACKAGES = {
    "decisions": ("decide",),
    "registry": ("access", "baseline", "cleanup", "images", "scan"),
    "releases": ("board", "dlq", "list", "release", "rollback", "stats", "status"),
}


class Commands(click.Group):
    """The commands, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; a run imports only the command that it needs, and --help none."""
        if cmd_name not in _SUMMARIES:
            return None
        packages = [f"{package}." for package, names in _PACKAGES.items() if cmd_name in names]
        module = import_module(f"imagegate_cli.commands.{''.join(packages)}{cmd_name}")
        function = "list_" if cmd_name == "list" else cmd_name  # not to hide the built-in
        command: click.Command = getattr(module, function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--stack",
    envvar="IMAGEGATE_STACK",
    show_envvar=True,
    default="imagegate",
    show_default=True,
    help="Name of the CloudFormation stack.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, stack: str) -> None:
    """Judge, release, promote and verify container images in Amazon ECR.

    Account, Region and credentials are those of the AWS CLI: AWS_PROFILE, AWS_DEFAULT_REGION, ….
    In the sandbox: source .sandbox/env
    """
    context.obj = replace(context.ensure_object(CommandLine), stack_name=stack)


def main(command_line: CommandLine | None = None) -> None:
    """Run the command of `sys.argv` and exit. An error is one line on stderr, and exit code 2."""
    gc.set_threshold(_COLLECTED_AFTER)
    # Else Python looks through all objects once more when it ends.
    atexit.register(gc.freeze)
    accept_all_characters()
    try:
        code = cli.main(prog_name="imagegate", standalone_mode=False, obj=command_line or CommandLine())
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort of a program
        code = report(error)
    except SystemExit as ended:
        # click itself ends with 1, a clear no, where the reader of our output has gone.
        code = CANNOT_TELL if ended.code == 1 else ended.code
    sys.exit(code if isinstance(code, int) else 0)
