"""`imagegate decide break-glass` and `decide revoke`: decisions for an emergency."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from imagegate.canonical_json import timestamp
from imagegate.errors import RejectedInputError
from imagegate_cli.context import CommandLine
from imagegate_cli.decisions.parameters import EndType, Scope, ScopeType
from imagegate_cli.output.terminal import confirm, show_json
from imagegate_cli.stack import Stack

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef


@click.command("break-glass")
@click.argument("scope", type=ScopeType(), metavar="REPOSITORY:TAG|REPOSITORIES@DIGEST")
@click.option("--reason", required=True, help="Why; sent to everybody at once.")
@click.option(
    "--expires", type=EndType(), required=True, metavar="4h|TIME", help="When it ends by itself; at most 7d."
)
@click.option("--json", "as_json", is_flag=True, help="Print the response.")
@click.pass_obj
def break_glass(
    command_line: CommandLine, scope: Scope, reason: str, expires: datetime, *, as_json: bool
) -> None:
    """Let one image run, and go on to its next stage, although its gate did not pass it.

    It is never signed. People are notified at once and when it ends, and every later verification shows it.
    'shop-*@DIGEST' is that image in each of these repositories.

    \b
    imagegate decide break-glass shop-production:1.3 \\
        --reason "payments are down, INC-7" --expires 4h
    imagegate decide withdraw b-0123456789ab        ends it now

    \b
    Exit codes:
      0  granted, also if it was granted before
      1  refused: it would not count
      2  nothing was decided
    """
    from imagegate_cli.decisions import emergencies
    from imagegate_cli.decisions.client import request_decision
    from imagegate_cli.output import screen

    stack = command_line.stack
    digest = str(scope.digest or _image(stack, scope).digest)
    response = request_decision(
        stack,
        "break-glass",
        repositories=scope.repositories,
        digest=digest,
        reason=reason,
        expires=timestamp(expires),
    )
    if as_json:
        return show_json(emergencies.as_json(response))
    return screen.console().print(emergencies.granted(response))


@click.command()
@click.argument("scope", type=ScopeType(), metavar="REPOSITORY:TAG|REPOSITORY@DIGEST")
@click.option("--reason", required=True, help="Why; kept by AWS Signer and by the ledger.")
@click.option(
    "--this-gate-only", is_flag=True, help="Keep the signatures of later gates.  [default: revoke them, too]"
)
@click.option("--yes", is_flag=True, help="Revoke without a question.")
@click.option("--json", "as_json", is_flag=True, help="Print the response; needs --yes.")
@click.pass_obj
def revoke(
    command_line: CommandLine, scope: Scope, reason: str, *, this_gate_only: bool, yes: bool, as_json: bool
) -> None:
    """Revoke the signatures of an image, at its gate and at every gate after it. This cannot be undone.

    From then on, clients that verify signatures refuse the image, and so does the check at deployment. Containers that
    run are not stopped. The image is never signed again: push another build.

    \b
    Exit codes:
      0  revoked, also if it was revoked before
      1  not confirmed
      2  nothing was decided
    """
    from imagegate_cli.decisions import emergencies
    from imagegate_cli.decisions.client import request_decision
    from imagegate_cli.output import screen

    stack = command_line.stack
    image = _image(stack, scope)
    if not yes:
        _confirm(image, this_gate_only=this_gate_only, as_json=as_json)
    fields = {"repository": image.repository, "digest": str(image.digest), "reason": reason}
    response = request_decision(stack, "revoke", **fields, onward=not this_gate_only)
    if as_json:
        return show_json(response)
    return screen.console().print(emergencies.revoked(response))


def _image(stack: Stack, scope: Scope) -> ImageRef:
    """Return the image that the scope names. A tag is resolved now."""
    from imagegate_cli.reference import RepositoryReference
    from imagegate_cli.releases import find as releases

    reference = RepositoryReference(scope.repositories, scope.tag, scope.digest)
    if scope.is_pattern or not reference.names_an_image:
        raise click.UsageError("name one image: REPOSITORY:TAG or REPOSITORY@DIGEST")
    releases.check_managed(stack, reference)
    try:
        image = releases.image_of(stack, reference)
    except RejectedInputError as error:
        raise click.UsageError(str(error)) from error
    if image is None:
        raise releases.missing(stack, reference)
    return image


def _confirm(image: ImageRef, *, this_gate_only: bool, as_json: bool) -> None:
    import sys

    if as_json or not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to confirm on: add --yes to revoke")
    where = "by its gate" if this_gate_only else "by its gate and every gate after it"
    question = f"Revoke what was signed {where} for {image}? This cannot be undone"
    confirm(question, "nothing was revoked")
