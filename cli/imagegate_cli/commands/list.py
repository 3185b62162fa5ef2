"""`imagegate list`: the newest attempts of all repositories."""

from __future__ import annotations

from collections.abc import Callable

import click

from imagegate.release.release import Outcome, Release
from imagegate_cli.commands.status import show_many
from imagegate_cli.context import CommandLine, now
from imagegate_cli.output.terminal import say
from imagegate_cli.releases.pending_approval import pending_approval
from imagegate_cli.stack import Stack

# A filter that matches nothing must not read the whole ledger.
_READ_AT_MOST = 5_000
OPEN = "open"


@click.command("list")
@click.option("--stage", help="Only releases at this stage's gate.")
@click.option("--outcome", type=click.Choice([*map(str, Outcome), OPEN]), help="Only releases that ended so.")
@click.option("--waiting", is_flag=True, help="Only images that wait for an approval now.")
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
    """List the newest attempts of all repositories, of the last 90 days."""
    if waiting:
        return _waiting(command_line.stack, stage, limit, as_json=as_json)

    def wanted(release: Release) -> bool:
        return stage in (None, release.stage) and outcome in (None, str(release.outcome or OPEN))

    attempts = newest(command_line.stack, limit, wanted)
    if not attempts and not as_json:
        return say("no such release in the last 90 days", err=True)
    return show_many(attempts, as_json=as_json)


def _waiting(stack: Stack, stage: str | None, limit: int, *, as_json: bool) -> None:
    """Show the held images, the longest wait first."""
    held = [stack.ledger.get(one) for one in stack.ledger.held()]
    held = sorted((one for one in held if stage in (None, one.stage)), key=lambda one: one.started_at)
    if not held and not as_json:
        return say("nothing waits for an approval", err=True)
    pending = {one.id: pending_approval(stack, one, now()) for one in held[:limit]}
    show_many(held[:limit], {id_: one for id_, one in pending.items() if one}, as_json=as_json)
    if not as_json:
        say("Approve one: imagegate decide approve REPOSITORY:TAG", err=True)
    return None


def newest(stack: Stack, limit: int, wanted: Callable[[Release], bool]) -> list[Release]:
    """Return the newest attempts that are wanted. Reads more of the ledger until there are enough."""
    number = limit
    while True:
        attempts = stack.ledger.recent(number, now())
        kept = [release for release in attempts if wanted(release)]
        if len(kept) >= limit or len(attempts) < number or number >= _READ_AT_MOST:
            return kept[:limit]
        number = min(number * 4, _READ_AT_MOST)
