"""`imagegate rollback`: announces an earlier release to deployers again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from imagegate.errors import RecordNotFoundError, RejectedInputError
from imagegate.oci.image import Digest
from imagegate_cli.context import CommandLine, now
from imagegate_cli.faults import NotFoundError
from imagegate_cli.output.terminal import confirm, show_json
from imagegate_cli.reference import RepositoryReference
from imagegate_cli.stack import Stack

if TYPE_CHECKING:
    from imagegate.workflow.decide.rollback import RollbackPlan


@click.command()
@click.argument("app")
@click.argument("stage")
@click.option("--to", metavar="TAG|DIGEST", help="The release.  [default: the last one before that is valid]")
@click.option("--reason", default="", help="Why; sent to people. Required without --dry-run.")
@click.option("--dry-run", is_flag=True, help="Only show the plan.")
@click.option("--yes", is_flag=True, help="Go back without a question.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one object: plan, and rollback where it was done."
)
@click.pass_obj
def rollback(
    command_line: CommandLine, /, app: str, stage: str, *, to: str | None, reason: str, **flags: Any
) -> None:
    """Return to the release of APP in STAGE before the last. Deployers get its Image Released event again.

    Nothing is pushed or tagged. The earlier release must have passed its gate, be signed and not revoked, and no later
    decision may be against it; this is checked now. It needs the power "rollback" (docs/how-to/grant-powers.md).

    \b
    imagegate rollback shop production --reason "1.4 does not start"
    imagegate rollback shop production --to 1.2 --reason "1.3 leaks, too"

    \b
    Exit codes:
      0  deployers were notified
      1  there is no release to go back to, or it was not confirmed
      2  nothing was done
    """
    stack = command_line.stack
    plan = _plan(stack, _repository(stack, app, stage), to)
    if flags["dry_run"]:
        return _show(plan, None, as_json=flags["as_json"])
    if not reason:
        raise click.UsageError("say why: --reason TEXT")
    if not flags["yes"]:
        _confirm(plan, as_json=flags["as_json"])
    from imagegate_cli.decisions.client import request_decision

    digests = {"to": str(plan.target.image.digest), "from": str(plan.current.image.digest)}
    repository = plan.current.image.repository
    response = request_decision(stack, "rollback", repository=repository, **digests, reason=reason)
    return _show(plan, response, as_json=flags["as_json"])


def _repository(stack: Stack, app: str, stage: str) -> str:
    known = stack.policy.stages
    if stage not in known:
        raise NotFoundError(f"there is no stage {stage}: the policy has {', '.join(known)}")
    return known[stage].repositories.repository_of(app)


def _plan(stack: Stack, repository: str, to: str | None) -> RollbackPlan:
    from imagegate.workflow.decide.rollback import RollbackRefusedError
    from imagegate_cli.decisions.client import RefusedError

    try:
        return stack.rollback_planning.run(repository, _digest(stack, repository, to), now())
    except RollbackRefusedError as error:
        raise RefusedError(str(error)) from error
    except RecordNotFoundError as error:
        raise NotFoundError(str(error)) from error


def _digest(stack: Stack, repository: str, to: str | None) -> Digest | None:
    if to is None:
        return None
    try:
        return Digest.parse(to)
    except RejectedInputError:
        digest = stack.images.digest_of(repository, RepositoryReference.parse(f"{repository}:{to}").tag or to)
    if digest is None:
        raise NotFoundError(f"{repository} has no tag {to}")
    return digest


def _confirm(plan: RollbackPlan, *, as_json: bool) -> None:
    if as_json or not sys.stdin.isatty():
        raise click.UsageError(
            "there is no terminal to confirm on: add --yes to go back, or --dry-run to look first"
        )
    from imagegate_cli.decisions import rollbacks
    from imagegate_cli.output import screen

    screen.console(stderr=True).print(rollbacks.planned(plan))
    confirm("Notify deployers?", "nothing was done")


def _show(plan: RollbackPlan, response: dict[str, Any] | None, *, as_json: bool) -> None:
    from imagegate_cli.decisions import rollbacks
    from imagegate_cli.output import screen

    if as_json:
        return show_json(rollbacks.as_json(plan, response))
    text = rollbacks.planned(plan) if response is None else rollbacks.done(plan, response)
    return screen.console().print(text)
