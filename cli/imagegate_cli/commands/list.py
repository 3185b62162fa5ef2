"""`imagegate list`: the newest releases of all repositories."""

from __future__ import annotations

from collections.abc import Callable

import click

from imagegate.release.release import Outcome, Release
from imagegate_cli.commands.status import show_many
from imagegate_cli.context import CommandLine, now
from imagegate_cli.output.terminal import say
from imagegate_cli.releases.pending_approval import asked
from imagegate_cli.stack import Stack

# A filter that matches nothing must not read the whole ledger.
_READ_AT_MOST = 5_000
OPEN = "open"


@click.command("list")
@click.option("--stage", help="Only releases at this stage's gate.")
@click.option("--outcome", type=click.Choice([*map(str, Outcome), OPEN]), help="Only releases that ended so.")
@click.option("--waiting", is_flag=True, help="Only what waits for an approval now.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects, as of imagegate status.")
@click.pass_obj
def list_(
    command_line: CommandLine,
    *,
    stage: str | None,
    outcome: str | None,
    waiting: bool,
    limit: int,
    as_json: bool,
) -> None:
    """The newest releases of all repositories, of the last 90 days."""
    if waiting:
        return _waiting(command_line.stack, stage, limit, as_json=as_json)

    def wanted(release: Release) -> bool:
        return stage in (None, release.stage) and outcome in (None, str(release.outcome or OPEN))

    found = newest(command_line.stack, limit, wanted)
    if not found and not as_json:
        return say("no such release in the last 90 days", err=True)
    return show_many(found, as_json=as_json)


def _waiting(stack: Stack, stage: str | None, limit: int, *, as_json: bool) -> None:
    """The longest wait first."""
    held = [stack.ledger.get(one) for one in stack.ledger.held()]
    found = [one for one in held if stage in (None, one.stage)]
    found.sort(key=lambda one: one.started_at)
    if not found and not as_json:
        return say("nothing waits for an approval", err=True)
    shown = {one.id: asked(stack, one, now()) for one in found[:limit]}
    show_many(found[:limit], {id_: one for id_, one in shown.items() if one}, as_json=as_json)
    if not as_json:
        say("Let one in: imagegate decide approve REPOSITORY:TAG", err=True)
    return None


def newest(stack: Stack, limit: int, wanted: Callable[[Release], bool]) -> list[Release]:
    """Reads more until enough of them are wanted."""
    asked = limit
    while True:
        found = stack.ledger.recent(asked, now())
        kept = [release for release in found if wanted(release)]
        if len(kept) >= limit or len(found) < asked or asked >= _READ_AT_MOST:
            return kept[:limit]
        asked = min(asked * 4, _READ_AT_MOST)
