"""`imagegate decide approve` and `decide reject`: a person lets a held image into its next stage, or keeps it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imagegate.release.release import Outcome
from imagegate_cli.context import CommandLine
from imagegate_cli.faults import NotFoundError
from imagegate_cli.output.terminal import show_json
from imagegate_cli.reference import ReferenceType, RepositoryReference
from imagegate_cli.stack import Stack

if TYPE_CHECKING:
    from imagegate.release.release import Release

_IMAGE = ReferenceType()
_REASON = "Why; some stages ask for it."


@click.command()
@click.argument("reference", type=_IMAGE, metavar="REPOSITORY:TAG|@DIGEST")
@click.option("--reason", default="", help=_REASON)
@click.option("--json", "as_json", is_flag=True, help="Print the answer: standing, request, decided.")
@click.pass_obj
def approve(command_line: CommandLine, reference: RepositoryReference, reason: str, *, as_json: bool) -> None:
    """Let an image that is held into its next stage.

    It is judged once more, by what is known of it now, before it is promoted. imagegate list --waiting shows what
    waits.

    \b
    Exit codes:
      0  approved; or more approvals are asked for
      1  refused: you may not decide so, or not any more
      2  nothing was decided
    """
    _decide(command_line.stack, reference, "approve", reason, as_json=as_json)


@click.command()
@click.argument("reference", type=_IMAGE, metavar="REPOSITORY:TAG|@DIGEST")
@click.option("--reason", default="", help=_REASON)
@click.option("--json", "as_json", is_flag=True, help="Print the answer: standing, request, decided.")
@click.pass_obj
def reject(command_line: CommandLine, reference: RepositoryReference, reason: str, *, as_json: bool) -> None:
    """Keep an image that is held out of its next stage, whoever has approved it.

    \b
    Exit codes:
      0  rejected
      1  refused: you may not decide so, or not any more
      2  nothing was decided
    """
    _decide(command_line.stack, reference, "reject", reason, as_json=as_json)


def _decide(stack: Stack, reference: RepositoryReference, action: str, reason: str, *, as_json: bool) -> None:
    from imagegate_cli.decisions import approvals
    from imagegate_cli.decisions.calling import decide as ask
    from imagegate_cli.releases import view

    release = _held(stack, reference)
    image = release.image
    asked = {"repository": image.repository, "digest": str(image.digest), "attempt": release.attempt}
    told = ask(stack, action, **asked, reason=reason)
    if as_json:
        return show_json(told)
    return view.console().print(approvals.shown(told, str(reference)))


def _held(stack: Stack, reference: RepositoryReference) -> Release:
    from imagegate_cli.releases import find as releases

    if not reference.names_an_image:
        raise click.UsageError("name one image: REPOSITORY:TAG or REPOSITORY@DIGEST")
    release = releases.newest(stack, reference)
    if release is None:
        raise releases.missing(stack, reference)
    if release.outcome is not Outcome.HELD:
        now = release.outcome or "not over"
        raise NotFoundError(f"{reference} does not wait for an approval: attempt {release.attempt} is {now}")
    return release
