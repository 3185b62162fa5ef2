"""`imagegate baseline`: the settings of repositories and of the registry."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagegate_cli.context import CommandLine, now, pauses
from imagegate_cli.faults import CANNOT_TELL, NotFoundError
from imagegate_cli.output.terminal import confirm, print_content, say, show_json

if TYPE_CHECKING:
    from imagegate.baseline.plan import SettingsPlan
    from imagegate_cli.baseline.planning import Failure, Planner

_TO_DO = 1
_REPOSITORIES = click.argument("repositories", nargs=-1, metavar="[REPOSITORY]...")
_POLICY = click.option(
    "--policy", "file", type=click.Path(path_type=Path), help="Policy file. Default: the deployed policy."
)


@click.group()
def baseline() -> None:
    """Compare repositories and the registry with the policy's baseline, and change them."""


@baseline.command("plan")
@_REPOSITORIES
@_POLICY
@click.option("--json", "as_json", is_flag=True, help="One object: changes, remarks, failures.")
@click.pass_obj
def plan_(
    command_line: CommandLine, /, repositories: Sequence[str], *, file: Path | None, as_json: bool
) -> None:
    """Show what `imagegate baseline apply` would change. Nothing is changed.

    Without a REPOSITORY: every repository that the baseline covers, and the registry. A REPOSITORY that does not exist
    would be created.

    \b
    Exit codes:
      0  there is nothing to do
      1  something differs from the baseline
      2  something could not be read
    """
    from imagegate_cli.baseline import view

    planned = _planner(command_line, file).plans(repositories)
    if not as_json:
        raise click.exceptions.Exit(_exit_code(_shown(planned)))
    results = list(planned)
    show_json(view.as_json(results))
    raise click.exceptions.Exit(_exit_code(results))


@baseline.command("apply")
@_REPOSITORIES
@_POLICY
@click.option("--yes", is_flag=True, help="Do it without a question.")
@click.option(
    "--json", "as_json", is_flag=True, help="One object: what is left to change, remarks, failures."
)
@click.pass_obj
def apply_(
    command_line: CommandLine, /, repositories: Sequence[str], *, file: Path | None, yes: bool, as_json: bool
) -> None:
    """Change settings until they are those of the baseline.

    It can be stopped and run again at any time: what is done already is not done again. Settings and rules of others
    stay. A repository that somebody changes meanwhile is left alone, and reported.

    \b
    Exit codes:
      0  everything is as the baseline says
      1  something cannot be changed, or it was not confirmed
      2  something could not be read or changed
    """
    from imagegate_cli.baseline import view

    planner = _planner(command_line, file)
    planned = planner.plans(repositories)
    results = list(planned) if as_json else list(_shown(planned))
    to_do = [one for one in _plans(results) if one.changes]
    number = sum(len(one.changes) for one in to_do)
    if number and not yes:
        _confirm(f"Make {number} change{'s'[: number != 1]}?", as_json=as_json)
    left = {result.subject: result for result in results} | dict(_applied(planner, to_do))
    if as_json:
        show_json(view.as_json(list(left.values())))
    raise click.exceptions.Exit(_exit_code(left.values()))


@baseline.command("import")
@_POLICY
@click.pass_obj
def import_(command_line: CommandLine, /, *, file: Path | None) -> None:
    """Print the section `baseline` that says what the repositories of the stages have now.

    A stage gets the settings that all its repositories share, and each repository its others. Statements of repository
    policies and rules of the registry are left out: they stay where they are.

    \b
    Exit codes:
      0  printed; imagegate baseline plan finds nothing to do with it
      2  something could not be read
    """
    import yaml

    from imagegate.baseline.importing import section_of

    planner = _planner(command_line, file, needs_section=False)
    section = section_of(planner.found())
    print_content(yaml.safe_dump({"baseline": section}, sort_keys=False))


@baseline.command("export")
@_REPOSITORIES
@_POLICY
@click.option(
    "--format",
    "language",
    type=click.Choice(["cloudformation", "terraform"]),
    required=True,
    help="A template for AWS CloudFormation, or a .tf.json file for Terraform.",
)
@click.pass_obj
def export_(
    command_line: CommandLine, /, repositories: Sequence[str], *, file: Path | None, language: str
) -> None:
    """Print the whole baseline as a template for another tool.

    Settings of others, and settings that the baseline does not name, are in it as they are now. Let one tool alone
    change the settings afterwards: this command line or the other one.

    \b
    Exit codes:
      0  printed
      2  something could not be read
    """
    from imagegate.baseline.cloudformation import MOST_RESOURCES, cloudformation_template
    from imagegate.baseline.terraform import terraform_configuration

    whole = _planner(command_line, file).whole(repositories)
    if language == "terraform":
        show_json(terraform_configuration(whole))
        return
    template = cloudformation_template(whole)
    if len(template["Resources"]) > MOST_RESOURCES:
        raise click.UsageError(f"a template has at most {MOST_RESOURCES} resources: name fewer repositories")
    for call in template.get("Metadata", {}).get("imagegate", {}).get("NotInCloudFormation", ()):
        say(f"CloudFormation has no type for this: {call}", err=True)
    show_json(template)


@baseline.command()
@click.argument(
    "team", type=click.Choice(["developer", "ci", "approver", "auditor", "break-glass", "boundary"])
)
@click.option("--stage", "names", multiple=True, help="Stage of the policy; repeat it for more.")
@click.option("--environment", help="Only repositories with this value of the tag Environment.")
@click.option("--from", "addresses", multiple=True, metavar="CIDR", help="Only from these IP addresses.")
@click.option("--vpc", "vpcs", multiple=True, metavar="VPC", help="Only from this VPC.")
@click.option(
    "--vpc-endpoint", "endpoints", multiple=True, metavar="ENDPOINT", help="Only through this endpoint."
)
@click.option("--mfa", is_flag=True, help="Only with multi-factor authentication.")
@_POLICY
@click.pass_obj
def iam(
    command_line: CommandLine,
    /,
    team: str,
    *,
    names: Sequence[str],
    environment: str | None,
    addresses: Sequence[str],
    vpcs: Sequence[str],
    endpoints: Sequence[str],
    mfa: bool,
    file: Path | None,
) -> None:
    """Print the IAM policy of a team for the repositories of stages.

    It has what the team needs in these repositories, and nothing else. Developers and ci push, except where the
    baseline lets only the gate push. The approver and break-glass may call their power of the function decide, too.
    With --from, --vpc and --vpc-endpoint, one of them must hold.

    boundary is a permissions boundary for roles that teams make themselves: they cannot push past the gate, sign, or
    change settings. Create it as the managed policy STACK-boundary.
    """
    from imagegate.baseline.teams import Origin, Team, boundary_policy, team_policy
    from imagegate_cli.baseline.teams import later_names, team_scope

    planner = _planner(command_line, file, needs_section=False)
    stack = command_line.stack.name
    if team == "boundary":
        show_json(boundary_policy(later_names(planner.compare.policy), planner.compare.registry, stack))
        return
    if not names:
        raise click.UsageError("name the stages: --stage STAGE")
    origin = Origin(tuple(addresses), tuple(vpcs), tuple(endpoints), mfa)
    scope = team_scope(
        planner.compare.policy, planner.compare.baseline, names, environment=environment, origin=origin
    )
    show_json(team_policy(Team(team), scope, planner.compare.registry, stack))


def _applied(planner: Planner, plans: Sequence[SettingsPlan]) -> Iterator[tuple[str, SettingsPlan | Failure]]:
    """Yield what is left of each plan, and report progress on stderr."""
    from imagegate_cli.baseline.planning import Failure

    for number, plan in enumerate(plans, 1):
        result = planner.apply(plan)
        if isinstance(result, Failure):
            message = result.why
        elif result.changes:
            message = f"{len(result.changes)} changes are left"
        else:
            message = "done"
        say(f"{number}/{len(plans)} {plan.subject}: {message}", err=True)
        yield plan.subject, result


def _confirm(question: str, *, as_json: bool) -> None:
    if as_json or not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to confirm on: add --yes")
    confirm(question, "nothing was done")


def _planner(command_line: CommandLine, file: Path | None, *, needs_section: bool = True) -> Planner:
    """Return the planner for a policy file or the deployed policy. If it has faults, print them and exit with 2."""
    from imagegate.aws.ecr.settings import EcrSettings
    from imagegate.aws.kms import key_of_alias
    from imagegate.baseline.repository_policy import GateRegistry
    from imagegate.workflow.settings.compare import CompareSettings
    from imagegate_cli.baseline.planning import Planner
    from imagegate_cli.policy.source import deployed_policy, examined_file

    stack = command_line.stack
    source = examined_file(file, now().date()) if file else deployed_policy(stack)
    examined = source.examined
    if examined.policy is None or examined.baseline is None:
        for fault in examined.faults:
            say(f"{source.name}:{fault.line}: {fault}", err=True)
        raise click.exceptions.Exit(CANNOT_TELL)
    if needs_section and examined.baseline.is_empty:
        raise NotFoundError(f"{source.name}: it has no section baseline; see imagegate baseline import")
    roles = tuple(stack.output("PushRoles").split(","))
    registry = GateRegistry(stack.account, stack.region, stack.arn.split(":")[1], roles)
    compare = CompareSettings(
        examined.policy, examined.baseline, registry, EcrSettings(), cache(key_of_alias)
    )
    return Planner(compare, pauses().sleep)


def _shown(results: Iterable[SettingsPlan | Failure]) -> Iterator[SettingsPlan | Failure]:
    """Print each result as it comes, and hand it on."""
    from imagegate_cli.baseline import view
    from imagegate_cli.baseline.planning import Failure

    number = 0
    for result in results:
        number += 1
        if isinstance(result, Failure):
            say(f"{result.subject}: {result.why}", err=True)
        else:
            for line in view.lines(result):
                say(line)
        yield result
    say(f"{number} compared with the baseline", err=True)


def _plans(results: Iterable[SettingsPlan | Failure]) -> list[SettingsPlan]:
    from imagegate.baseline.plan import SettingsPlan

    return [result for result in results if isinstance(result, SettingsPlan)]


def _exit_code(results: Iterable[SettingsPlan | Failure]) -> int:
    from imagegate.baseline.plan import SettingsPlan

    code = 0
    for result in results:
        if not isinstance(result, SettingsPlan):
            code = CANNOT_TELL
        elif not result.is_met:
            code = max(code, _TO_DO)
    return code
