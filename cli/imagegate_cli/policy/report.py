"""`imagegate policy report`: what each gate stopped or would have stopped, and the shortest way to zero."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import click

from imagegate.errors import RejectedInputError
from imagegate.policy.policy import Mode, Policy, Stage
from imagegate.release.release import Release
from imagegate_cli.context import CommandLine, now
from imagegate_cli.durations import PeriodType
from imagegate_cli.enforcement import forms
from imagegate_cli.enforcement.current_images import StageImages, tally
from imagegate_cli.enforcement.flip import Flip, flip_of
from imagegate_cli.enforcement.report import EnforcementReport, StageReport
from imagegate_cli.enforcement.report import as_json as dumped
from imagegate_cli.enforcement.route import ImagePlan, shortest
from imagegate_cli.faults import CannotTellError
from imagegate_cli.output.spinner import map_with_spinner
from imagegate_cli.output.terminal import print_content, show_json
from imagegate_cli.policy import history
from imagegate_cli.releases import facts
from imagegate_cli.stack import Stack

# Where a checkout of the policy has it; the deployed one is named so where it is the same.
_USUAL = (Path("layers/policy/policy.yaml"), Path("policy.yaml"))


@click.command("report")
@click.option(
    "--since", type=PeriodType(), default="7d", show_default=True, help="How far back: 12h, 7d, 2w."
)
@click.option("--stage", "stage_name", help="Only this stage.  [default: all]")
@click.option(
    "--policy",
    "file",
    type=click.Path(path_type=Path),
    help="Whose line to flip.  [default: the deployed file]",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="For an issue or a job's summary.")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
@click.pass_obj
def report(
    command_line: CommandLine,
    /,
    *,
    since: timedelta,
    stage_name: str | None,
    file: Path | None,
    as_markdown: bool,
    as_json: bool,
) -> None:
    """What each gate blocked, or would have blocked, and the shortest way to zero.

    Of each image the newest verdict counts. An image is history when a later push came into its repository under a
    tag of the same pattern (1.0 and 1.1, main-3f2a9bc and main-99bc012). The actions are those that the decisions
    name; waivers are named only for what no action frees.
    """
    if as_markdown and as_json:
        raise click.UsageError("give --markdown or --json")
    at = now()
    stack = command_line.stack
    found = collect(stack, at, since, stage_name, file)
    if as_json:
        return show_json(dumped(found))
    if as_markdown:
        return print_content(forms.markdown(found))
    from imagegate_cli.releases import view

    console = view.console()
    for part in forms.shown(found):
        console.print(part)
    return None


def collect(
    stack: Stack, at: datetime, span: timedelta, stage_name: str | None, file: Path | None
) -> EnforcementReport:
    policy = stack.policy
    stages = _stages(policy, stage_name)
    attempts = history.attempts_since(stack, at - span, at)
    last = history.last_decisions(attempts)
    found = [(stage, tally(_of(stage, policy, last))) for stage in stages]
    standing = [release for _, one in found for release in one.standing]
    plans = dict(zip(map(id, standing), _plans(stack, standing), strict=True))
    source = _source(stack, file) if any(stage.mode is Mode.OBSERVE for stage in stages) else None
    return EnforcementReport(
        since=at - span,
        span=span,
        policy=str(policy.digest),
        stages=[
            _stage_report(stage, policy, one, [plans[id(release)] for release in one.standing], source)
            for stage, one in found
        ],
    )


def _stages(policy: Policy, name: str | None) -> list[Stage]:
    from imagegate.policy.file.yaml import did_you_mean

    if name is None:
        return list(policy.stages.values())
    if name not in policy.stages:
        known = ", ".join(policy.stages)
        raise CannotTellError(f"no stage {name!r}{did_you_mean(name, policy.stages)}; there are {known}")
    return [policy.stages[name]]


def _of(stage: Stage, policy: Policy, last: Iterable[Release]) -> list[Release]:
    return [release for release in last if policy.stage_of(release.image.repository) is stage]


def _plans(stack: Stack, standing: list[Release]) -> list[ImagePlan]:
    return map_with_spinner("reading the decisions", standing, lambda release: _plan(stack, release))


def _plan(stack: Stack, release: Release) -> ImagePlan:
    from imagegate_cli.enforcement.plans import plan_of

    name = facts.name(release)
    try:
        return plan_of(stack, name, history.decision_of(stack, release))
    except RejectedInputError as error:
        return ImagePlan(name, release.image.repository, hopeless=(f"its record cannot be read: {error}",))


def _stage_report(
    stage: Stage, policy: Policy, found: StageImages, plans: list[ImagePlan], source: tuple[bytes, str] | None
) -> StageReport:
    flip: Flip | None = None
    if stage.mode is Mode.OBSERVE and source is not None:
        flip = flip_of(*source, stage.name)
    return StageReport(
        stage=stage.name,
        mode=stage.mode,
        tally=found,
        route=shortest(plans),
        earlier=sum(release.policy != policy.digest for release in found.standing),
        flip=flip,
    )


def _source(stack: Stack, file: Path | None) -> tuple[bytes, str]:
    """The policy file whose line is named."""
    from imagegate_cli.policy.source import content_of

    if file is not None:
        return content_of(file), str(file)
    content = stack.policy_content
    for path in _USUAL:
        if path.is_file() and path.read_bytes() == content:
            return content, str(path)
    return content, "policy.yaml"
