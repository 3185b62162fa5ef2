"""`imagegate policy replay`: what a new policy would have said of what was judged in the last days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagegate.errors import RejectedInputError
from imagegate.gate.decision_record import Decision
from imagegate.gate.verdict import VerdictOutcome
from imagegate.policy.policy import Policy, Stage
from imagegate.policy.waiver import Waiver
from imagegate.release.release import Release
from imagegate_cli.context import CommandLine, now
from imagegate_cli.durations import PeriodType, period_in_words
from imagegate_cli.faults import CANNOT_TELL
from imagegate_cli.output.spinner import map_with_spinner
from imagegate_cli.output.terminal import say, show_json
from imagegate_cli.policy import history
from imagegate_cli.policy.replayed import Effect, Replayed, Said, Unjudged, WhatIf
from imagegate_cli.releases import facts
from imagegate_cli.stack import Stack

if TYPE_CHECKING:
    from rich.table import Table

_WIDE = 100
_NO_BASELINE = "what the next stage had then was not recorded, so everything counts here"


@click.command("replay")
@click.argument("file", type=click.Path(path_type=Path), metavar="NEW.yaml")
@click.option(
    "--since", type=PeriodType(), default="7d", show_default=True, help="How far back: 12h, 7d, 2w."
)
@click.option("--repository", metavar="GLOB", help="Only images of these repositories.")
@click.option("--exit-code", "by_code", is_flag=True, help="Exit with 1 where a verdict changes.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one object: changes, effects, what was left out."
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
    """Judge again what was judged, under a policy that is not deployed yet. Writes nothing.

    Of each image the newest decision counts. It is judged at the time of that decision, with the findings and
    the granted waivers that were recorded with it.

    \b
    Exit codes:
      0  whether or not a verdict changes
      1  with --exit-code: a verdict changes
      2  the policy has faults, or nothing could be looked at
    """
    at = now()
    policy = read_policy(file, at.date())
    stack = command_line.stack
    found = what_if(stack, policy, at - since, at, repository)
    if as_json:
        show_json(found.as_json())
    else:
        _print(found, since)
    if by_code and found.changes:
        raise click.exceptions.Exit(1)


def read_policy(path: Path, today: date) -> Policy:
    """Every fault of the file on a line of its own, and exit code 2."""
    from imagegate_cli.policy.source import examined_file

    source = examined_file(path, today)
    if source.examined.policy is None:
        for fault in source.examined.faults:
            say(f"{source.name}:{fault.line}: {fault}", err=True)
        raise click.exceptions.Exit(CANNOT_TELL)
    return source.examined.policy


def what_if(stack: Stack, policy: Policy, since: datetime, at: datetime, repository: str | None) -> WhatIf:
    attempts = history.attempts_since(stack, since, at)
    wanted = [one for one in attempts if repository is None or fnmatchcase(one.image.repository, repository)]
    last = history.last_decisions(wanted)
    ours = [one for one in last if policy.stage_of(one.image.repository)]
    results = map_with_spinner("judging again", ours, lambda release: _again(stack, policy, release))
    return WhatIf(
        policy=policy,
        since=since,
        found=[one for one in results if isinstance(one, Replayed)],
        unjudged=[one for one in results if isinstance(one, Unjudged)],
        unmanaged=[one for one in last if not policy.stage_of(one.image.repository)],
    )


def _again(stack: Stack, policy: Policy, release: Release) -> Replayed | Unjudged:
    from imagegate.findings.versions import VERSIONS
    from imagegate.workflow.examination.replay import Replay

    stage = policy.stage_of(release.image.repository)
    if stage is None:
        raise TypeError(f"{release.image.repository} has no stage")
    try:
        decision = history.decision_of(stack, release)
        if decision.facts is None:
            return Unjudged(release, "judged before findings were kept")
        grants = [Waiver.from_json(raw) for raw in decision.grants]
        again = Replay(stack.records, VERSIONS).run(decision, policy, stage, grants, decision.judged_at)
    except RejectedInputError as error:
        return Unjudged(release, f"its record cannot be read: {error}")
    reasons = [reason.as_json() for reason in again.verdict.reasons]
    before = Said(decision.verdict, decision.mode, decision.reasons)
    after = Said(again.verdict.outcome, stage.mode, reasons)
    return Replayed(release, decision, stage, before, after, _problem(stack, decision, stage, before, after))


def _problem(stack: Stack, decision: Decision, stage: Stage, before: Said, after: Said) -> str:
    """What a gate would look up, and a record of another policy may lack."""
    if after.outcome is VerdictOutcome.ERROR and before.outcome is not VerdictOutcome.ERROR:
        return "the record does not say"
    is_compared = stage.findings.no_worse_than_next and decision.baseline is None
    if not is_compared or after.outcome is VerdictOutcome.PASS:
        return ""
    try:
        asked = stack.records.policy(decision.policy).stages[decision.stage].findings.no_worse_than_next
    except (RejectedInputError, KeyError):
        asked = False
    return "" if asked else _NO_BASELINE


# What is printed


def _print(found: WhatIf, since: timedelta) -> None:
    from imagegate_cli.releases import view

    console = view.console()
    if found.changes:
        console.print(_table(found.changes, console.width, unicode=view.speaks_unicode(console)))
        console.print()
    for line in _totals(found, since):
        console.print(line)


def _table(changes: Sequence[Replayed], width: int, *, unicode: bool) -> Table:
    from rich.table import Table

    from imagegate_cli.output.screen import Text
    from imagegate_cli.releases import view

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("IMAGE", overflow="fold", min_width=16)
    if width >= _WIDE:
        table.add_column("STAGE", overflow="fold")
    table.add_column("VERDICT", overflow="fold", min_width=13)
    table.add_column("WHY", overflow="fold", min_width=24)
    for one in changes:
        arrow = " → " if unicode else " -> "
        after = "?" if one.effect is Effect.UNTOLD else str(one.after)
        verdict = Text.assemble(view.coloured(str(one.before)), arrow, view.coloured(after))
        stage = (one.stage.name,) if width >= _WIDE else ()
        table.add_row(facts.name(one.release), *stage, verdict, one.why)
    return table


def _totals(found: WhatIf, since: timedelta) -> list[str]:
    numbers = Counter(one.effect for one in found.changes)
    told = ", ".join(f"{numbers[effect]} {effect}" for effect in Effect if numbers[effect])
    all_of_them, number = len(found.found), len(found.changes)
    images = "1 image" if all_of_them == 1 else f"{all_of_them} images"
    lines = [f"{number} of {images} change{'s' if number == 1 else ''}: {told}" if number else ""]
    if not number:
        lines = [f"No verdict changes: {images} of the last {period_in_words(since)} judged again"]
    for why, count in Counter(one.why.partition(": ")[0] for one in found.unjudged).items():
        lines.append(f"{count} could not be judged again ({why})")
    if found.unmanaged:
        names = sorted({release.image.repository for release in found.unmanaged})
        count = len(found.unmanaged)
        left = f"{count} image{'s' if count > 1 else ''} would be left alone"
        lines.append(f"No stage of the new policy has {', '.join(names)}: {left}")
    return lines
