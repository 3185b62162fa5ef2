"""`imagegate status`: the newest attempt of an image, or the newest attempts of a repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

from imagegate.release.release import Release, ReleaseId
from imagegate_cli.context import CommandLine, now
from imagegate_cli.durations import DurationType
from imagegate_cli.faults import CANNOT_TELL
from imagegate_cli.output.terminal import say, show_json
from imagegate_cli.reference import ReferenceType, RepositoryReference
from imagegate_cli.releases import facts, find
from imagegate_cli.releases.pending_approval import PendingApproval, pending_approval
from imagegate_cli.releases.progress import choose
from imagegate_cli.releases.steps import ExecutionHistory
from imagegate_cli.releases.waiting import Deadline, WaitTimeoutError, wait_for_begin, wait_for_end
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
    """Show the newest attempt of an image, or the newest attempts of a repository.

    With :TAG it is the newest attempt of the image that the tag points to now.

    \b
    Exit codes with --wait and --watch:
      0    released
      1    blocked, conflict, superseded or withdrawn
      2    failed, or the result is not known (every error ends so)
      3    held: passed and signed, the next stage requires approval
      124  not ended within --timeout
    """
    stack = command_line.stack
    if not wait and not watch:
        return show(stack, reference, as_json=as_json)
    return wait_for(stack, reference, timeout, watch=watch, as_json=as_json)


def show(stack: Stack, reference: RepositoryReference, *, as_json: bool) -> None:
    """Show the image or the repository. Raises `NotFoundError` if it has no attempt."""
    if reference.names_an_image:
        release = find.newest(stack, reference)
        if release is None:
            raise find.missing(stack, reference)
        return show_one(release, pending_approval(stack, release, now()), as_json=as_json)
    attempts = find.of_repository(stack, reference.repository, _LIMIT)
    if not attempts:
        raise find.missing(stack, reference)
    return show_many(attempts, as_json=as_json)


def show_one(release: Release, pending: PendingApproval | None = None, *, as_json: bool) -> None:
    """Show one attempt, with the approvals that it waits for."""
    if as_json:
        more = {"approval": pending.as_json()} if pending else {}
        return show_json({**facts.as_json(release), **more})
    from imagegate_cli.releases import view

    return view.console().print(view.detail_of(release, str(pending or "")))


def show_many(
    attempts: list[Release], pending: Mapping[ReleaseId, PendingApproval] | None = None, *, as_json: bool
) -> None:
    """Show attempts as a table, with the approvals that each one waits for."""
    known = pending or {}
    if as_json:
        approvals = {id_: {"approval": one.as_json()} for id_, one in known.items()}
        return show_json([{**facts.as_json(one), **approvals.get(one.id, {})} for one in attempts])
    from imagegate_cli.releases import view

    console = view.console()
    texts = {id_: str(one) for id_, one in known.items()}
    return console.print(view.table_of(attempts, now(), console.width, texts))


def wait_for(
    stack: Stack,
    reference: RepositoryReference,
    timeout: float,
    *,
    watch: bool,
    as_json: bool,
    begun: Callable[[], Release | None] | None = None,
) -> None:
    """Wait for the attempt that `begun` finds (by default the newest) to end, show it, and exit by its outcome."""
    deadline = Deadline.after(timeout)
    try:
        with choose(ExecutionHistory(stack), reference, watch=watch, as_json=as_json) as progress:
            release = wait_for_begin(stack, reference, deadline, progress, begun)
            release = wait_for_end(stack, release, deadline, progress)
    except WaitTimeoutError:
        say(f"imagegate: {reference} has not ended within {timeout:g} s; it goes on", err=True)
        raise click.exceptions.Exit(facts.TIMED_OUT) from None
    show_one(release, pending_approval(stack, release, now()), as_json=as_json)
    raise click.exceptions.Exit(facts.EXIT_CODES[release.outcome] if release.outcome else CANNOT_TELL)
