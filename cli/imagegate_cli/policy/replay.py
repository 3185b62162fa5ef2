"""`imagegate policy replay`: judges the images of the last days again, under a policy that is not deployed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagegate.board import release_facts as facts
from imagegate.errors import RejectedInputError
from imagegate.gate.decision_record import Decision
from imagegate.gate.verdict import VerdictOutcome
from imagegate.policy.policy import Policy, Stage
from imagegate.policy.waiver import Waiver
from imagegate.release.release import Release
from imagegate.text import counted
from imagegate_cli.context import CommandLine, now
from imagegate_cli.durations import PeriodType, period_in_words
from imagegate_cli.faults import CANNOT_TELL
from imagegate_cli.output.spinner import map_with_spinner
from imagegate_cli.output.terminal import say, show_json
from imagegate_cli.policy import history
from imagegate_cli.policy.effects import Effect, ReplayedImage, ReplayResult, StageVerdict, UnreadableImage
from imagegate_cli.stack import Stack

if TYPE_CHECKING:
    from rich.table import Table

_WIDE = 100
_NO_BASELINE = "the image of the next stage was not recorded, so every finding counts"


@click.command("replay")
@click.argument("file", type=click.Path(path_type=Path), metavar="NEW.yaml")
@click.option(
    "--since", type=PeriodType(), default="7d", show_default=True, help="How far back: 12h, 7d, 2w."
)
@click.option("--repository", metavar="GLOB", help="Only images of these repositories.")
@click.option("--exit-code", "by_code", is_flag=True, help="Exit with 1 where a verdict changes.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one object: changes, effects, images left out.",
)
@click.pass_obj
def replay(
    command_line: CommandLine,
    file: Path,
    *,
    since: timedelta,
    repository: str | None,
    by_code: bool,
    as_json: bool,
) -> None:
    """Judge the images of the last days again, under a policy that is not deployed yet. Writes nothing.

    The newest decision of each image counts. The image is judged as at the time of that decision, with the findings
    and the granted waivers of its record. An image whose record lacks a fact that the new rules need is no change.

    \b
    Exit codes:
      0  whether or not a verdict changes
      1  with --exit-code: a verdict changes
      2  the policy has faults, or the decisions cannot be read
    """
    at = now()
    policy = read_policy(file, at.date())
    stack = command_line.stack
    result = replay_decisions(stack, policy, at - since, at, repository)
    if as_json:
        show_json(result.as_json())
    else:
        _print(result, since)
    if by_code and result.changes:
        raise click.exceptions.Exit(1)


def read_policy(path: Path, today: date) -> Policy:
    """Read the policy. If it has faults, print each on its own line and exit with 2."""
    from imagegate_cli.policy.source import examined_file

    source = examined_file(path, today)
    if source.examined.policy is None:
        for fault in source.examined.faults:
            say(f"{source.name}:{fault.line}: {fault}", err=True)
        raise click.exceptions.Exit(CANNOT_TELL)
    return source.examined.policy


def replay_decisions(
    stack: Stack, policy: Policy, since: datetime, at: datetime, repository: str | None
) -> ReplayResult:
    """Judge the last decision of each image again. `repository` is a glob."""
    last = history.last_decisions(stack, since, at, repository)
    managed = [one for one in last if policy.stage_of(one.image.repository)]
    results = map_with_spinner("judging again", managed, lambda release: _replay(stack, policy, release))
    return ReplayResult(
        policy=policy,
        since=since,
        replayed=[one for one in results if isinstance(one, ReplayedImage)],
        unreadable=[one for one in results if isinstance(one, UnreadableImage)],
        unmanaged=[one for one in last if not policy.stage_of(one.image.repository)],
    )


def _replay(stack: Stack, policy: Policy, release: Release) -> ReplayedImage | UnreadableImage:
    from imagegate.findings.versions import VERSIONS
    from imagegate.workflow.examination.replay import Replay

    stage = policy.stage_of(release.image.repository)
    if stage is None:
        raise TypeError(f"{release.image.repository} has no stage")
    try:
        decision = history.decision_of(stack, release)
        if decision.facts is None:
            return UnreadableImage(release, "judged before findings were kept")
        grants = [Waiver.from_json(raw) for raw in decision.grants]
        again = Replay(stack.records, VERSIONS).run(decision, policy, stage, grants, decision.judged_at)
    except RejectedInputError as error:
        return UnreadableImage(release, f"its record cannot be read: {error}")
    reasons = [reason.as_json() for reason in again.verdict.reasons]
    before = StageVerdict(decision.verdict, decision.mode, decision.reasons)
    after = StageVerdict(again.verdict.outcome, stage.mode, reasons)
    problem = _problem(stack, decision, stage, before, after)
    return ReplayedImage(release, decision, stage, before, after, problem)


def _problem(
    stack: Stack, decision: Decision, stage: Stage, before: StageVerdict, after: StageVerdict
) -> str:
    """Return which fact the record lacks because the old policy did not need it; empty if it lacks none."""
    if after.outcome is VerdictOutcome.ERROR and before.outcome is not VerdictOutcome.ERROR:
        return "the record does not say"
    is_compared = stage.findings.no_worse_than_next and decision.baseline is None
    if not is_compared or after.outcome is VerdictOutcome.PASS:
        return ""
    try:
        old = stack.records.policy(decision.policy).stages[decision.stage].findings
    except (RejectedInputError, KeyError):
        return _NO_BASELINE
    return "" if old.no_worse_than_next else _NO_BASELINE


def _print(result: ReplayResult, since: timedelta) -> None:
    from imagegate_cli.output import screen

    console = screen.console()
    if result.changes:
        console.print(_table(result.changes, console.width, unicode=screen.speaks_unicode(console)))
        console.print()
    for line in _totals(result, since):
        console.print(line)


def _table(changes: Sequence[ReplayedImage], width: int, *, unicode: bool) -> Table:
    from imagegate_cli.output import screen
    from imagegate_cli.output.screen import Text, plain_table

    table = plain_table()
    table.add_column("IMAGE", overflow="fold", min_width=16)
    if width >= _WIDE:
        table.add_column("STAGE", overflow="fold")
    table.add_column("VERDICT", overflow="fold", min_width=13)
    table.add_column("WHY", overflow="fold", min_width=24)
    for one in changes:
        arrow = " → " if unicode else " -> "
        verdict = Text.assemble(screen.coloured(str(one.before)), arrow, screen.coloured(str(one.after)))
        stage = (one.stage.name,) if width >= _WIDE else ()
        table.add_row(facts.name(one.release), *stage, verdict, one.why)
    return table


def _totals(result: ReplayResult, since: timedelta) -> list[str]:
    numbers = Counter(one.effect for one in result.changes)
    effects = ", ".join(f"{numbers[effect]} {effect}" for effect in Effect if numbers[effect])
    total, number = len(result.replayed), len(result.changes)
    images = counted(total, "image")
    lines = [f"{number} of {images} change{'s' if number == 1 else ''}: {effects}" if number else ""]
    if not number:
        lines = [f"No verdict changes: {images} of the last {period_in_words(since)} judged again"]
    for why, count in Counter(one.why for one in result.unknown).items():
        lines.append(f"{count} cannot be told, and not counted as a change: {why}")
    for why, count in Counter(one.why.partition(": ")[0] for one in result.unreadable).items():
        lines.append(f"{count} could not be judged again ({why})")
    if result.unmanaged:
        names = sorted({release.image.repository for release in result.unmanaged})
        left = f"{counted(len(result.unmanaged), 'image')} would be left alone"
        lines.append(f"No stage of the new policy has {', '.join(names)}: {left}")
    return lines
