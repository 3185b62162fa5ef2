"""`imagegate status`: what became of an image, or of the images of a repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

from imagegate.release.release import Release, ReleaseId
from imagegate_cli.context import CommandLine, now, pauses
from imagegate_cli.faults import CANNOT_TELL, NotFoundError
from imagegate_cli.output.terminal import say, show_json
from imagegate_cli.reference import ReferenceType, RepositoryReference
from imagegate_cli.releases import facts
from imagegate_cli.releases import find as releases
from imagegate_cli.releases.history import ExecutionHistory
from imagegate_cli.releases.pending_approval import PendingApproval, asked
from imagegate_cli.releases.progress import Progress, choose
from imagegate_cli.releases.waiting import Deadline, DurationType, WaitTimeoutError
from imagegate_cli.stack import Stack

_LIMIT = 20


@click.command()
@click.argument("reference", type=ReferenceType(), metavar="REPOSITORY[:TAG|@DIGEST]")
@click.option("--json", "as_json", is_flag=True, help="One object for an image, a list for a repository.")
@click.option("--wait", is_flag=True, help="Wait until the newest attempt has ended, also for one to begin.")
@click.option("--watch", is_flag=True, help="Wait, and show the steps as they go.")
@click.option("--timeout", type=DurationType(), default="1h", show_default=True, help="How long to wait.")
@click.pass_obj
def status(
    command_line: CommandLine,
    reference: RepositoryReference,
    *,
    as_json: bool,
    wait: bool,
    watch: bool,
    timeout: float,
) -> None:
    """What became of an image, or of the newest images of a repository.

    With :TAG it is the newest attempt of the image that the tag points to now.

    \b
    Exit codes with --wait and --watch:
      0    released
      1    blocked, conflict, superseded or withdrawn
      2    failed, or it cannot be told (every error ends so)
      3    held: passed and signed, the next stage asks for approval
      124  not ended within --timeout
    """
    stack = command_line.stack
    if not wait and not watch:
        return show(stack, reference, as_json=as_json)
    return wait_for(stack, reference, timeout, watch=watch, as_json=as_json)


def show(stack: Stack, reference: RepositoryReference, *, as_json: bool) -> None:
    if reference.names_an_image:
        release = releases.newest(stack, reference)
        if release is None:
            raise releases.missing(stack, reference)
        return show_one(release, asked(stack, release, now()), as_json=as_json)
    found = releases.of_repository(stack, reference.repository, _LIMIT)
    if not found:
        raise releases.missing(stack, reference)
    return show_many(found, as_json=as_json)


def show_one(release: Release, waits: PendingApproval | None = None, *, as_json: bool) -> None:
    """`waits`: for which approvals, and who has decided."""
    if as_json:
        more = {"approval": waits.as_json()} if waits else {}
        return show_json({**facts.as_json(release), **more})
    from imagegate_cli.releases import view

    return view.console().print(view.detail_of(release, str(waits or "")))


def show_many(
    found: list[Release], waits: Mapping[ReleaseId, PendingApproval] | None = None, *, as_json: bool
) -> None:
    """`waits`: for which approvals each one waits, where that is asked."""
    known = waits or {}
    if as_json:
        told = [
            {**facts.as_json(one), **({"approval": known[one.id].as_json()} if one.id in known else {})}
            for one in found
        ]
        return show_json(told)
    from imagegate_cli.releases import view

    console = view.console()
    return console.print(
        view.table_of(found, now(), console.width, {id_: str(one) for id_, one in known.items()})
    )


def wait_for(
    stack: Stack,
    reference: RepositoryReference,
    timeout: float,
    *,
    watch: bool,
    as_json: bool,
    begun: Callable[[], Release | None] | None = None,
) -> None:
    """Wait for the attempt that `begun` finds (the newest one) to end, show it, and exit by its outcome."""
    deadline = Deadline.after(timeout)
    try:
        with choose(ExecutionHistory(stack), reference, watch=watch, as_json=as_json) as progress:
            release = begin(stack, reference, deadline, progress, begun)
            release = end(stack, release, deadline, progress)
    except WaitTimeoutError:
        say(f"imagegate: {reference} has not ended within {timeout:g} s; it goes on", err=True)
        raise click.exceptions.Exit(facts.TIMED_OUT) from None
    show_one(release, asked(stack, release, now()), as_json=as_json)
    raise click.exceptions.Exit(facts.EXIT_CODES[release.outcome] if release.outcome else CANNOT_TELL)


def begin(
    stack: Stack,
    reference: RepositoryReference,
    deadline: Deadline,
    progress: Progress,
    begun: Callable[[], Release | None] | None = None,
) -> Release:
    """Raise `NotFoundError` when no attempt begins in reasonable time."""

    def look() -> Release | None:
        release = begun() if begun else releases.begun(stack, reference)
        progress.show(release)
        return release

    soon = deadline.sooner(pauses().begin)
    try:
        return soon.poll(look)
    except WaitTimeoutError:
        if soon is deadline:
            raise
    fault = releases.missing(stack, reference)
    raise NotFoundError(f"nothing began within {pauses().begin:.0f} s: {fault.message}")


def end(stack: Stack, release: Release, deadline: Deadline, progress: Progress) -> Release:
    def look() -> Release | None:
        newest = releases.again(stack, release)
        progress.show(newest)
        return None if newest.is_open else newest

    closed = deadline.poll(look)
    try:
        return Deadline.after(pauses().message).poll(lambda: _announced(stack, closed))
    except WaitTimeoutError:
        return closed


def _announced(stack: Stack, release: Release) -> Release | None:
    newest = releases.again(stack, release)
    return newest if newest.message_id else None
