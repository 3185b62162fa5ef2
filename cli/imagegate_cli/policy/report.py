"""`imagegate policy report`: the images that each gate blocks, and the shortest plan to unblock all of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import click

from imagegate.board import release_facts as facts
from imagegate.errors import RejectedInputError
from imagegate.policy.policy import Mode, Policy, Stage
from imagegate.release.release import Release
from imagegate_cli.context import CommandLine, now
from imagegate_cli.durations import PeriodType
from imagegate_cli.enforcement import formats
from imagegate_cli.enforcement.current_images import StageImages, sort_images
from imagegate_cli.enforcement.report import EnforcementReport, ModeChange, StageReport, mode_change
from imagegate_cli.enforcement.report import as_json as dumped
from imagegate_cli.enforcement.shortest_plan import ImagePlan, shortest_plan
from imagegate_cli.faults import CannotTellError
from imagegate_cli.output.spinner import map_with_spinner
from imagegate_cli.output.terminal import print_content, show_json
from imagegate_cli.policy import history
from imagegate_cli.stack import Stack

# If one of these files is the deployed policy, the report names its line.
_USUAL_PATHS = (Path("layers/policy/policy.yaml"), Path("policy.yaml"))


@click.command("report")
@click.option(
    "--since", type=PeriodType(), default="7d", show_default=True, help="How far back: 12h, 7d, 2w."
)
@click.option("--stage", "stage_name", help="Only this stage.  [default: all]")
@click.option(
    "--policy",
    "file",
    type=click.Path(path_type=Path),
    help="The policy file whose line the report names.  [default: the deployed file]",
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
    """Report the images that each gate blocks, or would block, and the shortest plan to unblock all of them.

    The newest verdict of each image counts. A later push replaces an image if it came into the same repository under a
    tag of the same pattern (1.0 and 1.1, main-3f2a9bc and main-99bc012). The plan has the actions that the decisions
    name, and waivers only where no action helps.
    """
    if as_markdown and as_json:
        raise click.UsageError("give --markdown or --json")
    at = now()
    stack = command_line.stack
    collected = collect(stack, at, since, stage_name, file)
    if as_json:
        return show_json(dumped(collected))
    if as_markdown:
        return print_content(formats.markdown(collected))
    from imagegate_cli.output import screen

    console = screen.console()
    for part in formats.on_terminal(collected):
        console.print(part)
    return None


def collect(
    stack: Stack, at: datetime, span: timedelta, stage_name: str | None, file: Path | None
) -> EnforcementReport:
    """Collect the report of the stage, or of all stages, over the last `span`."""
    policy = stack.policy
    stages = _stages(policy, stage_name)
    last = history.last_decisions(stack, at - span, at)
    images = [(stage, sort_images(_of(stage, policy, last))) for stage in stages]
    blocked = [release for _, one in images for release in one.current]
    plans = dict(zip(map(id, blocked), _plans(stack, blocked), strict=True))
    source = _source(stack, file) if any(stage.mode is Mode.OBSERVE for stage in stages) else None
    return EnforcementReport(
        since=at - span,
        span=span,
        policy=str(policy.digest),
        stages=[
            _stage_report(stage, policy, one, [plans[id(release)] for release in one.current], source)
            for stage, one in images
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


def _plans(stack: Stack, blocked: list[Release]) -> list[ImagePlan]:
    return map_with_spinner("reading the decisions", blocked, lambda release: _plan(stack, release))


def _plan(stack: Stack, release: Release) -> ImagePlan:
    from imagegate_cli.enforcement.image_plans import plan_of

    name = facts.name(release)
    try:
        return plan_of(stack, name, history.decision_of(stack, release))
    except RejectedInputError as error:
        return ImagePlan(name, release.image.repository, obstacles=(f"its record cannot be read: {error}",))


def _stage_report(
    stage: Stage,
    policy: Policy,
    images: StageImages,
    plans: list[ImagePlan],
    source: tuple[bytes, str] | None,
) -> StageReport:
    change: ModeChange | None = None
    if stage.mode is Mode.OBSERVE and source is not None:
        change = mode_change(*source, stage.name)
    return StageReport(
        stage=stage.name,
        mode=stage.mode,
        images=images,
        plan=shortest_plan(plans),
        earlier=sum(release.policy != policy.digest for release in images.current),
        mode_change=change,
    )


def _source(stack: Stack, file: Path | None) -> tuple[bytes, str]:
    """Return content and name of the policy file whose line the report names."""
    from imagegate_cli.policy.source import content_of

    if file is not None:
        return content_of(file), str(file)
    content = stack.policy_content
    for path in _USUAL_PATHS:
        if path.is_file() and path.read_bytes() == content:
            return content, str(path)
    return content, "policy.yaml"
