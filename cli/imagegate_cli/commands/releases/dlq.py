"""`imagegate dlq`: events that could not be handled."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from imagegate.text import counted
from imagegate_cli.context import CommandLine, now
from imagegate_cli.durations import span
from imagegate_cli.faults import NotFoundError
from imagegate_cli.output.terminal import confirm, say, show_json

if TYPE_CHECKING:
    from imagegate_cli.dead_letters.letter import DeadLetter
    from imagegate_cli.dead_letters.redrive import Plan
    from imagegate_cli.stack import Stack

_SHORT_ID = 8
_LIMIT = click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Read at most so many."
)
_IDS = click.argument("ids", nargs=-1, metavar="[ID]...")
_ALL = click.option("--all", "every", is_flag=True, help="Every event that was read, instead of IDs.")
_YES = click.option("--yes", is_flag=True, help="Do it without a question.")


@click.group()
def dlq() -> None:
    """Show events that could not be handled; start their releases again, or drop them.

    AWS keeps them in the queue of dead letters for 14 days. An ID may be shortened to its first characters. All
    commands need the IAM policy docs/powers/dead-letters.json, and redrive needs the power "release", too.
    """


@dlq.command("list")
@_LIMIT
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects, with the events.")
@click.pass_obj
def list_letters(command_line: CommandLine, /, *, limit: int, as_json: bool) -> None:
    """List the events, the oldest first. Nothing is changed."""
    with command_line.stack.dead_letters.letters(limit) as letters:
        if as_json:
            return show_json([letter.as_json() for letter in letters])
    if not letters:
        return say("no event is in the queue", err=True)
    from imagegate_cli.output import screen

    table = screen.plain_table(["ID", "SINCE", "EVENT", "IMAGE", "ERROR"])
    for letter in letters:
        table.add_row(*_row(letter))
    return screen.console().print(table)


@dlq.command("show")
@click.argument("id_", metavar="ID")
@_LIMIT
@click.option("--json", "as_json", is_flag=True, help="Print one object, with the event.")
@click.pass_obj
def show_letter(command_line: CommandLine, /, id_: str, *, limit: int, as_json: bool) -> None:
    """Show one event: what happened, which function did not handle it, and why. Nothing is changed."""
    with command_line.stack.dead_letters.letters(limit) as letters:
        [letter] = _chosen(letters, [id_], every=False)
    document = letter.as_json()
    if as_json:
        return show_json(document)
    body = document.pop("body")
    for name, value in document.items():
        say(f"{name:<12}{value or '-'}")
    say("body")
    return show_json(body)


@dlq.command()
@_IDS
@_ALL
@_LIMIT
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@_YES
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects, each with its step.")
@click.pass_obj
def redrive(
    command_line: CommandLine, /, ids: Sequence[str], *, every: bool, limit: int, **flags: bool
) -> None:
    """Start the releases of these events again, and delete the events.

    An event names its image, and nothing else in it counts: what the image is, and which tags it has, is read from ECR
    now. An event whose image has its outcome already is only deleted. An event that no release can replace is kept.

    \b
    imagegate dlq redrive --all --dry-run
    imagegate dlq redrive 1f0c2a9e

    \b
    Exit codes:
      0  each event was redriven, or deleted because it is not needed
      1  some are kept, or it was not confirmed
      2  nothing was done
    """
    from imagegate_cli.dead_letters.redrive import Step, carry_out, plan

    stack = command_line.stack
    with stack.dead_letters.letters(limit) as letters:
        plans = [plan(stack, letter) for letter in _chosen(letters, ids, every=every)]
        if not flags["as_json"]:
            _show_plans(plans)
        if not flags["dry_run"]:
            _confirm(f"Redrive {_number(plans)}?", **flags)
            _carry_out_all(stack, plans, carry_out)
    if flags["as_json"]:
        show_json([planned.as_json() for planned in plans])
    raise click.exceptions.Exit(1 if any(planned.step is Step.KEEP for planned in plans) else 0)


@dlq.command()
@_IDS
@_ALL
@_LIMIT
@_YES
@click.option("--json", "as_json", is_flag=True, help="Print the dropped events, a list of objects.")
@click.pass_obj
def drop(command_line: CommandLine, /, ids: Sequence[str], *, every: bool, limit: int, **flags: bool) -> None:
    """Delete these events. It cannot be undone; --json prints a copy.

    \b
    Exit codes:
      0  they are deleted
      1  it was not confirmed
      2  nothing was done
    """
    queue = command_line.stack.dead_letters
    with queue.letters(limit) as letters:
        chosen = _chosen(letters, ids, every=every)
        if not flags["as_json"]:
            for letter in chosen:
                say("  ".join(_row(letter)))
        _confirm(f"Delete {_number(chosen)}?", **flags)
        for letter in chosen:
            queue.delete(letter)
    if flags["as_json"]:
        return show_json([letter.as_json() for letter in chosen])
    return say(f"Deleted {_number(chosen)}.")


def _chosen(letters: Sequence[DeadLetter], ids: Sequence[str], *, every: bool) -> list[DeadLetter]:
    """Return the letters that the IDs name. Raises `NotFoundError`, and `UsageError` for an ID that names several."""
    if every == bool(ids):
        raise click.UsageError("name events by their IDs, or all of them with --all")
    if every:
        return list(letters)
    return list({letter.id: letter for id_ in ids for letter in _named(letters, id_)}.values())


def _named(letters: Sequence[DeadLetter], id_: str) -> Iterator[DeadLetter]:
    named = [letter for letter in letters if letter.id.startswith(id_)]
    if not named:
        raise NotFoundError(
            f"no event {id_} is in the queue: see imagegate dlq list; another reader may have it"
        )
    if len(named) > 1:
        raise click.UsageError(f"{len(named)} events begin with {id_}: write more of the ID")
    yield from named


def _confirm(question: str, *, yes: bool, as_json: bool, **_other: bool) -> None:
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to confirm on: add --yes")
    confirm(question, "nothing was done")


def _carry_out_all(stack: Stack, plans: Sequence[Plan], carry_out: Any) -> None:
    for planned in plans:
        carry_out(stack, planned, stack.dead_letters.delete)


def _show_plans(plans: Sequence[Plan]) -> None:
    for planned in plans:
        image = str(planned.letter.image or planned.letter.name)
        say(f"{planned.letter.id[:_SHORT_ID]}  {planned.step:<7} {image}: {planned.why}")


def _row(letter: DeadLetter) -> tuple[str, ...]:
    age = span((now() - letter.since).total_seconds())
    return (letter.id[:_SHORT_ID], age, letter.name, str(letter.image or "-"), letter.envelope.error)


def _number(events: Sequence[object]) -> str:
    return counted(len(events), "event")
