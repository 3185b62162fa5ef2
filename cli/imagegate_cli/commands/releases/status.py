"""`imagegate status`: the newest attempt of an image, or the current state of each image of a repository."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from imagegate.board import release_facts as facts
from imagegate.board.status import ImageState, ImageStatus
from imagegate.release.release import Outcome, Release
from imagegate_cli.context import CommandLine, now
from imagegate_cli.durations import DurationType
from imagegate_cli.faults import CANNOT_TELL
from imagegate_cli.output.terminal import say, show_json
from imagegate_cli.reference import ReferenceType, RepositoryReference
from imagegate_cli.releases import find
from imagegate_cli.releases.exit_codes import EXIT_CODES, TIMED_OUT
from imagegate_cli.releases.progress import choose
from imagegate_cli.releases.states import break_glass_of, status_of
from imagegate_cli.releases.steps import ExecutionHistory
from imagegate_cli.releases.waiting import Deadline, WaitTimeoutError, wait_for_begin, wait_for_end
from imagegate_cli.stack import Stack

_LIMIT = 20
REFUSED = 1


@click.command()
@click.argument("reference", type=ReferenceType(), metavar="REPOSITORY[:TAG|@DIGEST]")
@click.option("--json", "as_json", is_flag=True, help="One object for an image, a list for a repository.")
@click.option(
    "--uri", is_flag=True, help="Print REGISTRY/REPOSITORY@DIGEST of what passed, and nothing else."
)
@click.option("--wait", is_flag=True, help="Wait until the newest attempt has ended, also for one to begin.")
@click.option("--watch", is_flag=True, help="Wait, and show the steps as they go.")
@click.option("--timeline", is_flag=True, help="When each step began, how long it took, where its record is.")
@click.option("--timeout", type=DurationType(), default="1h", show_default=True, help="How long to wait.")
@click.pass_obj
def status(
    command_line: CommandLine,
    reference: RepositoryReference,
    *,
    as_json: bool,
    uri: bool,
    wait: bool,
    watch: bool,
    timeline: bool,
    timeout: float,
) -> None:
    """Show the newest attempt of an image, or the current state of each image of a repository.

    With :TAG it is the newest attempt of the image that the tag points to now. With --uri the exit code is 1 if
    the image has not passed.

    \b
    Exit codes with --wait and --watch:
      0    released
      1    blocked, conflict, superseded, withdrawn, or revoked after it was released
      2    failed, no such repository, or the result is not known (every error ends so)
      3    held: passed and signed, the next stage requires approval
      124  not ended within --timeout
    """
    stack = command_line.stack
    if uri and (as_json or timeline):
        raise click.UsageError("--uri goes without --json and --timeline")
    if timeline:
        return show_timeline(stack, reference, as_json=as_json)
    if not wait and not watch:
        return show(stack, reference, as_json=as_json, uri=uri)
    if find.begun(stack, reference) is None:
        find.check_can_begin(stack, reference)
    return wait_for(stack, reference, timeout, watch=watch, as_json=as_json, uri=uri)


def show(stack: Stack, reference: RepositoryReference, *, as_json: bool, uri: bool = False) -> None:
    """Show the image or the repository. Raises `NotFoundError` if it has no attempt."""
    if reference.names_an_image:
        release = find.newest(stack, reference)
        if release is None:
            raise find.missing(stack, reference)
        show_one(stack, release, tag=reference.tag, as_json=as_json, uri=uri)
        if uri and not _has_passed(release):
            raise click.exceptions.Exit(REFUSED)
        return None
    attempts = find.of_repository(stack, reference.repository, _LIMIT)
    if not attempts:
        raise find.missing(stack, reference)
    if uri:
        for one in filter(_has_passed, attempts):
            say(_uri(stack, one))
        return None
    at, glass = now(), break_glass_of(stack)
    return show_states([status_of(stack, one, at, glass) for one in attempts], as_json=as_json)


def show_timeline(stack: Stack, reference: RepositoryReference, *, as_json: bool) -> None:
    """Show the steps of the newest attempt. Raises `NotFoundError` if it has none."""
    from imagegate_cli.releases.timeline import read_timeline

    release = find.newest(stack, reference)
    if release is None:
        raise find.missing(stack, reference)
    steps = read_timeline(stack, release)
    if as_json:
        return show_json([step.as_json() for step in steps])
    from imagegate_cli.output import screen

    table = screen.plain_table(["TIME (UTC)", "TOOK", "STEP", "RECORD"])
    for step in steps:
        table.add_row(*step.row)
    return screen.console().print(table)


def show_one(
    stack: Stack, release: Release, *, tag: str | None = None, as_json: bool, uri: bool = False
) -> ImageState:
    """Show one attempt with its state, waivers and approvals. Return the state. `tag` is printed first."""
    status = status_of(stack, release, now(), break_glass_of(stack))
    if uri and _has_passed(release):
        say(_uri(stack, release))
    elif uri:
        say(f"imagegate: {release.image}: {status.state}", err=True)
    elif as_json:
        show_json(status.as_json(now()))
    else:
        from imagegate_cli.output import screen
        from imagegate_cli.releases import view

        screen.console().print(view.detail_of(status, now(), tag))
    return status.state


def _has_passed(release: Release) -> bool:
    return release.outcome in (Outcome.RELEASED, Outcome.HELD) and release.revoked is None


def _uri(stack: Stack, release: Release) -> str:
    return f"{stack.images.registry}/{release.image}"


def show_states(statuses: Sequence[ImageStatus], *, as_json: bool) -> None:
    """Show current states, one row for each image."""
    if as_json:
        return show_json([one.as_json(now()) for one in statuses])
    from imagegate_cli.output import screen
    from imagegate_cli.releases import view

    console = screen.console()
    return console.print(view.state_table(statuses, now(), console.width))


def show_many(attempts: list[Release], *, as_json: bool) -> None:
    """Show attempts as a table."""
    if as_json:
        return show_json([facts.as_json(one) for one in attempts])
    from imagegate_cli.output import screen
    from imagegate_cli.releases import view

    console = screen.console()
    return console.print(view.table_of(attempts, now(), console.width))


def wait_for(
    stack: Stack,
    reference: RepositoryReference,
    timeout: float,
    *,
    watch: bool,
    as_json: bool,
    uri: bool = False,
    begun: Callable[[], Release | None] | None = None,
) -> None:
    """Wait for the attempt that `begun` finds (by default the newest) to end, show it, and exit by its outcome."""
    deadline, release = Deadline.after(timeout), None
    try:
        with choose(ExecutionHistory(stack), reference, watch=watch, as_json=as_json or uri) as progress:
            release = wait_for_begin(stack, reference, deadline, progress, begun)
            release = wait_for_end(stack, release, deadline, progress)
    except WaitTimeoutError:
        say(f"imagegate: {_not_ended(stack, reference, release, timeout)}", err=True)
        raise click.exceptions.Exit(TIMED_OUT) from None
    state = show_one(stack, release, tag=reference.tag, as_json=as_json, uri=uri)
    raise click.exceptions.Exit(_exit_code(release, state))


def _exit_code(release: Release, state: ImageState) -> int:
    if state is ImageState.REVOKED:
        return REFUSED
    return EXIT_CODES[release.outcome] if release.outcome else CANNOT_TELL


def _not_ended(stack: Stack, reference: RepositoryReference, release: Release | None, timeout: float) -> str:
    if release is not None:
        return f"{reference} has not ended within {timeout:g} s; it goes on"
    if reference.tag and find.image_of(stack, reference) is None:
        return f"no such tag yet: {reference} was not pushed within {timeout:g} s"
    return f"{reference} has not begun within {timeout:g} s"
