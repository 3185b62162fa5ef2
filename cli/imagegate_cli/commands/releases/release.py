"""`imagegate release`: starts releases by hand: again, of an imported image, or of images from before the gate."""

from __future__ import annotations

from typing import Any

import click

from imagegate.oci.image import ImageRef
from imagegate.release.release import Release, StartReason
from imagegate_cli.adoption.preview import Pattern, PatternType, RateType
from imagegate_cli.commands.releases.status import show_one, wait_for
from imagegate_cli.context import CommandLine
from imagegate_cli.durations import DurationType
from imagegate_cli.output.terminal import say
from imagegate_cli.reference import ReferenceType, RepositoryReference
from imagegate_cli.releases import find as releases
from imagegate_cli.releases.exit_codes import TIMED_OUT
from imagegate_cli.releases.progress import choose
from imagegate_cli.releases.steps import ExecutionHistory
from imagegate_cli.releases.waiting import Deadline, WaitTimeoutError, wait_for_begin
from imagegate_cli.stack import Stack


class RevokedImageError(click.ClickException):
    """The image's signature was revoked: it is never judged again."""

    exit_code = 1


@click.command()
@click.argument("reference", type=ReferenceType("REPOSITORY:TAG"), metavar="[REPOSITORY:TAG]", required=False)
@click.option("--wait", is_flag=True, help="Wait until it has ended; exit codes as of imagegate status.")
@click.option("--watch", is_flag=True, help="Wait, and show the steps as they go.")
@click.option("--import", "source", metavar="SOURCE", help="Copy the image from another registry first.")
@click.option("--timeout", type=DurationType(), default="1h", show_default=True, help="How long to wait.")
@click.option(
    "--adopt",
    type=PatternType(),
    metavar="PATTERN",
    help="Images from before the installation: 'shop-*:v1.*'.",
)
@click.option("--stage", help="With --adopt: only repositories of this stage.")
@click.option(
    "--rate",
    type=RateType(),
    default="10/m",
    show_default=True,
    help="With --adopt: how many are started in which time.",
)
@click.option("--limit", type=click.IntRange(min=1), help="With --adopt: start at most so many.")
@click.option("--dry-run", is_flag=True, help="With --adopt: only show what would be started.")
@click.option("--yes", is_flag=True, help="With --adopt: start without a question.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the attempt, or what was adopted, as one JSON object."
)
@click.pass_obj
def release(
    command_line: CommandLine,
    /,
    reference: RepositoryReference | None,
    *,
    wait: bool,
    watch: bool,
    source: str | None,
    timeout: float,
    adopt: Pattern | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Release the image that REPOSITORY:TAG points to now, also again.

    The image is judged by the deployed policy, in a new attempt; an open attempt is joined. It needs the power
    "release" (docs/how-to/grant-powers.md). Your name is recorded, and you cannot approve this release.

    With --import the image comes from another registry: HOST/NAME:TAG, HOST/NAME@DIGEST, or a name of Docker Hub
    (nginx:1.27). REPOSITORY must exist and belong to a first stage. The copy uses your own AWS credentials, which must
    be allowed to push there (as with AmazonEC2ContainerRegistryPowerUser). Credentials for SOURCE are those
    of docker login, also in a credential helper; DOCKER_CONFIG names another folder than ~/.docker.

    With --adopt all matching tagged images from before the installation are released. They are shown first, and started
    a few at a time. The same command goes on where it stopped.
    """
    if adopt is not None:
        if reference is not None or wait or watch or source:
            raise click.UsageError("--adopt releases many, and waits for none: leave out the rest")
        from imagegate_cli.adoption.adopt import run

        return run(command_line.stack, adopt, as_json=as_json, **options)
    if reference is None:
        raise click.UsageError("name one image, REPOSITORY:TAG, or many with --adopt PATTERN")
    useless = [
        f"--{name.replace('_', '-')}" for name in ("stage", "limit", "dry_run", "yes") if options[name]
    ]
    if useless:
        raise click.UsageError(f"only --adopt knows {', '.join(useless)}")
    stack = command_line.stack
    start = _started(stack, reference) if source is None else _imported(stack, source, reference)
    return _follow(stack, reference, *start, timeout, wait=wait, watch=watch, as_json=as_json)


def _started(stack: Stack, reference: RepositoryReference) -> tuple[ImageRef, Release | None]:
    """Request a release. Return the image, and its newest attempt before the request."""
    image = releases.image_of(stack, reference)
    if image is None:
        raise releases.missing(stack, reference)
    # The release starts asynchronously: say here what it would refuse.
    releases.check_managed(stack, reference)
    before = stack.ledger.latest(image)
    if before and before.revoked:
        raise RevokedImageError(f"{reference}: its signature was {before.revoked}; push another image")
    stack.starter.request(image, [str(reference.tag)], StartReason.OPERATOR)
    return image, before


def _imported(stack: Stack, source: str, reference: RepositoryReference) -> tuple[ImageRef, Release | None]:
    """Import the image; its push starts the release. Return as `_started`, without an attempt if it was there."""
    from imagegate_cli.importing.bringing import bring
    from imagegate_cli.importing.sources import RemoteImage

    if reference.digest:
        raise click.UsageError("an import names its target by a tag alone: REPOSITORY:TAG")
    imported = bring(stack, RemoteImage.parse(source), reference)
    return imported.image, imported.before if imported.is_new else None


def _follow(
    stack: Stack,
    reference: RepositoryReference,
    image: ImageRef,
    before: Release | None,
    timeout: float,
    *,
    wait: bool,
    watch: bool,
    as_json: bool,
) -> None:
    if wait or watch:
        wait_for(
            stack,
            reference,
            timeout,
            watch=watch,
            as_json=as_json,
            begun=lambda: _begun(stack, image, before),
        )
    _report_start(stack, reference, image, before, timeout, as_json=as_json)


def _begun(stack: Stack, image: ImageRef, before: Release | None) -> Release | None:
    """Return the attempt that our request began, the open one that it joined, or None if there is none yet."""
    latest = stack.ledger.latest(image)
    if latest and before and latest.attempt == before.attempt and not before.is_open:
        return None
    return latest


def _report_start(
    stack: Stack,
    reference: RepositoryReference,
    image: ImageRef,
    before: Release | None,
    timeout: float,
    *,
    as_json: bool,
) -> None:
    deadline = Deadline.after(timeout)
    try:
        with choose(ExecutionHistory(stack), reference, watch=False, as_json=as_json) as progress:
            started = wait_for_begin(
                stack, reference, deadline, progress, lambda: _begun(stack, image, before)
            )
    except WaitTimeoutError:
        say(f"imagegate: {reference} was requested, and has not begun yet", err=True)
        raise click.exceptions.Exit(TIMED_OUT) from None
    if as_json:
        show_one(stack, started, as_json=True)
        return None
    verb = "joined" if before and before.is_open else "began"
    say(f"{reference} ({image.digest.short}): {verb} attempt {started.attempt}")
    return say(f"Follow it: imagegate status --watch {reference}")
