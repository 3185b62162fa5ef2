"""`imagegate access`: who used the registry, and who may."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

import click

from imagegate_cli.access.permissions import ACTIONS, CANNOT_TELL
from imagegate_cli.access.trail import EVENTS, USUAL
from imagegate_cli.context import CommandLine, now, pauses
from imagegate_cli.durations import PeriodType
from imagegate_cli.output.spinner import Spinner
from imagegate_cli.output.terminal import say, show_json, show_json_list
from imagegate_cli.request_pace import RequestPace

if TYPE_CHECKING:
    from imagegate_cli.access.trail import RegistryCall
    from imagegate_cli.stack import Stack

_COLUMNS = "{:<19}  {:<10}  {:<22}  {:<8}  {}  {}  {}"


@click.command()
@click.argument("repository", required=False)
@click.option("--since", type=PeriodType(), default="7d", show_default=True, help="Calls since then.")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(list(EVENTS)),
    multiple=True,
    help="Only calls of this kind; may be repeated. Without it, all but pulls. login: only those that failed.",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many; without it, all.")
@click.option(
    "--who",
    type=(click.Choice(["can"]), click.Choice(list(ACTIONS))),
    metavar="can ACTION",
    help=f"Who may do it in REPOSITORY now: {', '.join(ACTIONS)}.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects; with --who one object.")
@click.pass_obj
def access(
    command_line: CommandLine,
    /,
    repository: str | None,
    *,
    since: timedelta,
    kinds: Sequence[str],
    limit: int | None,
    who: tuple[str, str] | None,
    as_json: bool,
) -> None:
    """Show who used the registry, or who may do something in a repository now.

    Calls come from the event history of CloudTrail, which needs no trail, has 90 days, and is some minutes late. Two
    requests a second are permitted, each with 50 calls: pulls of a busy registry take long, and the saved query "who
    pulled" of CloudWatch Logs Insights is faster. imagegate decide list has waivers, approvals and break-glass.

    \b
    imagegate access --since 7d
    imagegate access shop-production --kind pull --since 1d
    imagegate access --who can push shop-production
    """
    stack = command_line.stack
    if who is not None:
        if repository is None:
            raise click.UsageError("--who needs a REPOSITORY")
        return _show_permissions(stack, who[1], repository, as_json=as_json)
    calls = islice(_calls(repository, since, kinds or USUAL), limit)
    if as_json:
        return show_json_list(call.as_json() for call in calls)
    number = 0
    for number, call in enumerate(calls, 1):
        if number == 1:
            say(_COLUMNS.format("TIME (UTC)", "KIND", "CALL", "RESULT", "WHO", "FROM", "IMAGE"))
        say(_COLUMNS.format(*call.row))
    return None if number else say("no such call in this time", err=True)


def _calls(repository: str | None, since: timedelta, kinds: Sequence[str]) -> Iterator[RegistryCall]:
    from imagegate.aws.clients import client
    from imagegate_cli.access.trail import PER_SECOND, read_calls

    at, pace = now(), RequestPace(PER_SECOND, pauses().sleep)
    with Spinner("reading CloudTrail, two requests a second") as spinner:
        calls = read_calls(client("cloudtrail"), dict.fromkeys(kinds), at - since, at, pace, spinner.step)
        yield from (call for call in calls if repository in (None, call.repository))


def _show_permissions(stack: Stack, verb: str, repository: str, *, as_json: bool) -> None:
    from imagegate.aws import clients
    from imagegate_cli.access.permissions import PER_SECOND, find_permissions

    pace = RequestPace(PER_SECOND, pauses().sleep)
    with Spinner("simulating the policies of users and roles") as spinner:
        permissions = list(find_permissions(stack, clients.client, verb, repository, pace, spinner.step))
    if as_json:
        return show_json(
            {"permissions": [one.as_json() for one in permissions], "cannot_tell": list(CANNOT_TELL)}
        )
    if permissions:
        from imagegate_cli.output import screen

        table = screen.plain_table(["", "WHO", "BY", "DEPENDS ON"])
        for one in permissions:
            table.add_row(*one.row)
        screen.console().print(table)
    else:
        say(f"nobody may {verb}, by the policies of this account", err=True)
    if verb == "approve":
        say("The approvers of the stage, if its policy names some, narrow this.", err=True)
    return say(f"Not known here: {'; '.join(CANNOT_TELL)}.", err=True)
