"""`imagegate cleanup`: which images of the repositories may go, and the way they go."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagegate.text import counted
from imagegate_cli.context import CommandLine, now, pauses
from imagegate_cli.faults import CANNOT_TELL, CannotTellError
from imagegate_cli.output.terminal import confirm, say, show_json

if TYPE_CHECKING:
    from imagegate.cleanup.plan import CleanupPlan
    from imagegate.oci.image import Digest
    from imagegate.workflow.cleanup.apply import AppliedPlan
    from imagegate.workflow.cleanup.parts import CleanupParts

_SOMETHING = 1
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one object.")


@click.group()
def cleanup() -> None:
    """Plan and apply the clean-up of repositories; try ECR's lifecycle rules.

    Nothing goes that runs, is released, waits for a decision, was pulled lately, or belongs to what stays. The policy
    says what may go (cleanup). The IAM policy docs/powers/cleanup.json has what the commands need.
    """


@cleanup.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="RULES.json")
@click.argument("repository")
@_JSON
@click.pass_obj
def simulate(command_line: CommandLine, /, *, file: Path, repository: str, as_json: bool) -> None:
    """Show what ECR's lifecycle rules would do in a repository, image by image and rule by rule.

    Names what the rules must not take: images that run or are released, evidence of what stays, parts of an index. If
    ECR has previews, its own is compared. Nothing is changed.

    \b
    Exit codes:
      0  the rules take nothing that has to stay
      1  they do, or ECR's preview differs from the simulation
      2  nobody can tell, or ECR refuses the rules
    """
    from imagegate.aws.cleanup.preview import preview_lifecycle
    from imagegate_cli.cleanup import view
    from imagegate_cli.cleanup.simulate import simulate_rules

    if not file.is_file():
        raise CannotTellError(f"there is no file {file}")
    sleep = pauses().sleep
    result = simulate_rules(
        command_line.stack.cleanup,
        file.read_bytes(),
        repository,
        now(),
        lambda name, policy: preview_lifecycle(name, policy, sleep),
    )
    if as_json:
        show_json(
            {
                "effects": [view.effect_as_json(one) for one in result.simulation.effects.values()],
                "dangers": [view.danger_as_json(one) for one in result.dangers],
                "differences": None if result.differences is None else list(result.differences),
            }
        )
    else:
        view.show_simulation(result.simulation.effects, result.dangers)
        for difference in result.differences or ():
            say(f"difference: {difference}")
        if result.differences is None:
            say("this registry has no previews: nothing was compared", err=True)
    raise click.exceptions.Exit(0 if result.is_safe else _SOMETHING)


@cleanup.command()
@click.option(
    "--repository", "repositories", multiple=True, help="Only this one; may be given several times."
)
@_JSON
@click.pass_obj
def plan(command_line: CommandLine, /, *, repositories: Sequence[str], as_json: bool) -> None:
    """Say which images may go, why each other one stays, and what it saves; store that as a plan.

    Nothing is deleted. `imagegate cleanup apply` takes the digest in the last line.

    \b
    Exit codes:
      0  there is nothing to do
      1  there is something to do
      2  nobody can tell, in one repository or in all
    """
    from imagegate.cleanup.plan import CleanupRun
    from imagegate.cleanup.savings import Savings
    from imagegate.oci.image import Digest
    from imagegate_cli.cleanup import view

    parts, at = command_line.stack.cleanup, now()
    planning = parts.planning(at)
    _warn_of_pulls(parts)
    plans: dict[str, Digest] = {}
    shown, refused, total = list[dict[str, Any]](), list[str](), Savings()
    for repository, planned in parts.plans(planning, repositories, at):
        if isinstance(planned, str):
            refused.append(planned)
            say(f"imagegate: {planned}", err=True)
            continue
        total += planned.savings
        record = planned.as_record()
        name = Digest.of(record)
        if planned.steps:
            plans[repository] = parts.records.put_cleanup(record)
        if as_json:
            shown.append(view.plan_as_json(name, planned))
        else:
            view.show_plan(name, planned)
    run = (
        parts.records.put_cleanup(CleanupRun(parts.images.registry, at, plans).as_record()) if plans else None
    )
    if as_json:
        totals = view.savings_as_json(total)
        show_json({"run": run and str(run), "plans": shown, "refused": refused, "totals": totals})
    else:
        say(f"all: {total}")
        if run:
            say(f"imagegate cleanup apply {run}")
    raise click.exceptions.Exit(CANNOT_TELL if refused else _SOMETHING if plans else 0)


@cleanup.command()
@click.argument("digest", metavar="PLAN")
@click.option("--yes", is_flag=True, help="Do it without a question.")
@_JSON
@click.pass_obj
def apply(command_line: CommandLine, /, *, digest: str, yes: bool, as_json: bool) -> None:
    """Take the images of a plan, if nothing has changed since it was made.

    Images, tags, pulls, what runs and the ledger are read again. Ctrl-C ends it after the batch at hand; the same
    command goes on later. A repository that has changed is left alone: plan again.

    \b
    Exit codes:
      0  all of it is done
      1  some is left: it was stopped, ECR refused images, or it was not confirmed
      2  something has changed since, or nobody can tell
    """
    from imagegate.oci.image import Digest
    from imagegate_cli.cleanup import view
    from imagegate_cli.cleanup.runs import read_plans

    parts, at = command_line.stack.cleanup, now()
    plans = dict(read_plans(parts.records, Digest.parse(digest)))
    if not yes:
        for name, one in plans.items():
            view.show_plan(name, one)
        confirm(f"Take these images from {counted(len(plans), 'repository')}?", "nothing was done")
    applied, refused = _apply_all(parts, plans, at)
    if as_json:
        show_json(
            {
                "applied": [view.applied_as_json(plans[name], one) for name, one in applied.items()],
                "refused": refused,
            }
        )
    else:
        view.show_applied(plans, applied)
    is_left = any(one.failed or one.is_stopped for one in applied.values())
    raise click.exceptions.Exit(CANNOT_TELL if refused else _SOMETHING if is_left else 0)


def _apply_all(
    parts: CleanupParts, plans: dict[Digest, CleanupPlan], at: Any
) -> tuple[dict[Digest, AppliedPlan], list[str]]:
    """Return what was done for each plan, and why others were refused."""
    from imagegate.workflow.cleanup.protection import CleanupRefusedError

    applying = parts.applying(at)
    applied: dict[Digest, AppliedPlan] = {}
    refused: list[str] = []
    with _stopping() as is_stopped:
        for name, one in plans.items():
            try:
                applied[name] = applying.apply(name, one, at, is_stopped)
            except CleanupRefusedError as error:
                refused.append(str(error))
                say(f"imagegate: {error}", err=True)
    return applied, refused


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Take Ctrl-C as a request to end after the batch at hand; a second one is an interruption like any other."""
    pressed = False

    def note(*_: Any) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)
        say("imagegate: stopping after this batch", err=True)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


@cleanup.command()
@click.argument("image", metavar="REPOSITORY@DIGEST")
@_JSON
@click.pass_obj
def show(command_line: CommandLine, /, *, image: str, as_json: bool) -> None:
    """Say which plan took an image, when and why.

    \b
    Exit codes:
      0  a plan took it
      1  no plan did
      2  nobody can tell
    """
    from imagegate_cli.cleanup import view
    from imagegate_cli.reference import RepositoryReference

    reference = RepositoryReference.parse(image)
    reference.check_is_in(lambda: command_line.stack.registry)
    if reference.image is None:
        raise click.UsageError("write REPOSITORY@sha256:…")
    note = command_line.stack.cleanup.cleaned.cleaned(reference.image)
    if as_json:
        show_json(note and view.note_as_json(note))
    else:
        say(view.note_in_words(note) if note else "no plan of a clean-up took this image")
    raise click.exceptions.Exit(0 if note else _SOMETHING)


def _warn_of_pulls(parts: CleanupParts) -> None:
    if parts.images.reads_are_pulls():
        say(
            "imagegate: ECR records what this role reads as pulls, so only indexes are read, and these look pulled;"
            " aws ecr register-pull-time-update-exclusion --principal-arn ROLE changes it",
            err=True,
        )
