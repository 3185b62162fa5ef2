"""`imagegate decide approve` and `decide reject`, for images that are held until people approve them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imagegate.release.release import Outcome
from imagegate_cli.context import CommandLine
from imagegate_cli.output.terminal import show_json
from imagegate_cli.reference import ReferenceType, RepositoryReference
from imagegate_cli.stack import Stack

if TYPE_CHECKING:
    from imagegate.release.release import Release

_IMAGE = ReferenceType()
_REASON = "Why; some stages require it."


@click.command()
@click.argument("reference", type=_IMAGE, metavar="REPOSITORY:TAG|@DIGEST")
@click.option("--reason", default="", help=_REASON)
@click.option("--json", "as_json", is_flag=True, help="Print the response: standing, request, decided.")
@click.pass_obj
def approve(command_line: CommandLine, reference: RepositoryReference, reason: str, *, as_json: bool) -> None:
    """Let an image that is held into its next stage.

    It is judged again, by what is known now, before it is promoted. imagegate list --waiting shows the images that wait
    for an approval.

    \b
    Exit codes:
      0  approved; or more approvals are needed
      1  refused: you may not decide so, or not any more
      2  nothing was decided
    """
    _decide(command_line.stack, reference, "approve", reason, as_json=as_json)


@click.command()
@click.argument("reference", type=_IMAGE, metavar="REPOSITORY:TAG|@DIGEST")
@click.option("--reason", default="", help=_REASON)
@click.option("--json", "as_json", is_flag=True, help="Print the response: standing, request, decided.")
@click.pass_obj
def reject(command_line: CommandLine, reference: RepositoryReference, reason: str, *, as_json: bool) -> None:
    """Keep an image that is held out of its next stage, even if others have approved it.

    \b
    Exit codes:
      0  rejected
      1  refused: you may not decide so, or not any more
      2  nothing was decided
    """
    _decide(command_line.stack, reference, "reject", reason, as_json=as_json)


def _decide(stack: Stack, reference: RepositoryReference, action: str, reason: str, *, as_json: bool) -> None:
    from imagegate_cli.decisions import approvals
    from imagegate_cli.decisions.client import request_decision
    from imagegate_cli.output import screen

    release = _held_release(stack, reference)
    image = release.image
    fields = {"repository": image.repository, "digest": str(image.digest), "attempt": release.attempt}
    response = request_decision(stack, action, **fields, reason=reason)
    if as_json:
        return show_json(response)
    return screen.console().print(approvals.decided(response, str(reference)))


def _held_release(stack: Stack, reference: RepositoryReference) -> Release:
    from imagegate_cli.decisions.client import RefusedError
    from imagegate_cli.releases import find as releases

    if not reference.names_an_image:
        raise click.UsageError("name one image: REPOSITORY:TAG or REPOSITORY@DIGEST")
    release = releases.newest(stack, reference)
    if release is None:
        raise releases.missing(stack, reference)
    if release.outcome is not Outcome.HELD:
        now = release.outcome or "not over"
        raise RefusedError(f"{reference} does not wait for an approval: attempt {release.attempt} is {now}")
    return release
