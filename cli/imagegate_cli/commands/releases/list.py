"""`imagegate list`: the current state of each image, or its past attempts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import click
from click.core import ParameterSource

from imagegate.board import release_facts as facts
from imagegate.board.status import ImageState, ImageStatus
from imagegate.oci.image import ImageRef
from imagegate.release.release import Outcome, Release
from imagegate.risk.risk import RiskState
from imagegate.text import list_some
from imagegate_cli.commands.releases.status import show_many, show_states
from imagegate_cli.context import CommandLine, now
from imagegate_cli.durations import PeriodType
from imagegate_cli.output.spinner import map_with_spinner
from imagegate_cli.output.terminal import say, show_json
from imagegate_cli.releases.find import check_stage
from imagegate_cli.releases.outdated_bases import find_outdated_bases
from imagegate_cli.releases.states import break_glass_of, risks_of, status_of
from imagegate_cli.releases.vulnerable import find_vulnerable
from imagegate_cli.stack import Stack

_BATCH = 20
OPEN = "open"


@dataclass(frozen=True, slots=True)
class Filter:
    """The images that the options ask for. An empty set of states means any state."""

    stage: str | None
    app: str | None
    since: datetime
    states: frozenset[ImageState] = frozenset()
    waived: bool = False

    def accepts_release(self, stack: Stack, release: Release, *, always: bool = False) -> bool:
        """Tell whether the attempt may match, by the ledger. `always`: also if it is older than `since`."""
        is_of_stage = self.stage in (None, release.stage) and (always or release.started_at >= self.since)
        return is_of_stage and (self.app is None or self.app == _app_of(stack, release))

    def accepts(self, status: ImageStatus) -> bool:
        """Tell whether the image matches."""
        is_in_state = not self.states or status.state in self.states
        return is_in_state and (not self.waived or bool(status.waivers))


@click.command("list")
@click.option("--stage", help="Only images at this stage's gate.")
@click.option("--app", help="Only images of this application.")
@click.option("--blocked", is_flag=True, help="Only images that are blocked.")
@click.option(
    "--waiting", is_flag=True, help="Only images that wait for an approval, the longest wait first."
)
@click.option("--at-risk", is_flag=True, help="Only released images that would not pass their gate today.")
@click.option("--cve", help="Only images in use that have this vulnerability; with --history also past ones.")
@click.option(
    "--outdated-bases", is_flag=True, help="Base images with a later release, and the images in use on them."
)
@click.option("--waived", is_flag=True, help="Only images that use a waiver.")
@click.option(
    "--since", type=PeriodType(), default="90d", show_default=True, help="Only attempts since then."
)
@click.option("--history", is_flag=True, help="Past attempts, not the current states.")
@click.option(
    "--outcome",
    type=click.Choice([*map(str, Outcome), OPEN]),
    help="Past attempts that ended so.",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects, as of imagegate status.")
@click.pass_obj
def list_(
    command_line: CommandLine,
    /,
    *,
    stage: str | None,
    app: str | None,
    since: timedelta,
    limit: int,
    as_json: bool,
    **options: Any,
) -> None:
    """List the current state of each image, by its newest attempt of the last 90 days.

    There is one row for each image and stage; docs/glossary.md defines the states.
    """
    stack = command_line.stack
    if stage is not None:
        check_stage(stack, stage)
    wanted = Filter(stage, app, now() - since, _states(options), options["waived"])
    if options["outdated_bases"]:
        return _show_outdated_bases(stack, as_json=as_json)
    if options["cve"]:
        return _show_vulnerable(stack, wanted, options, limit, as_json=as_json)
    if options["history"] or options["outcome"]:
        return _show_history(stack, wanted, options["outcome"], limit, as_json=as_json)
    statuses = _find_statuses(stack, wanted, options)
    _show_states(statuses, limit, options, as_json=as_json)
    if options["at_risk"] and not as_json:
        _tell_not_watched(stack, wanted)
    return None


def _show_outdated_bases(stack: Stack, *, as_json: bool) -> None:
    bases = find_outdated_bases(stack)
    if as_json:
        return show_json([one.as_json() for one in bases])
    if not bases and not stack.policy.base_stages:
        return say("no base is known: no stage of the policy has the rule image.base_images", err=True)
    if not bases:
        return say("no image in use is built on a base that has a later release", err=True)
    from imagegate_cli.output import screen
    from imagegate_cli.releases import view

    return screen.console().print(view.bases_table(bases))


def _show_vulnerable(
    stack: Stack, wanted: Filter, options: dict[str, Any], limit: int, *, as_json: bool
) -> None:
    """Show who has a vulnerability."""
    most, name, with_past = _most(limit, is_whole=True), options["cve"], options["history"]
    images = find_vulnerable(
        stack, name, lambda one: wanted.accepts_release(stack, one, always=not with_past), with_past=with_past
    )
    shown = list(islice(images, most))
    if as_json:
        return show_json([one.as_json() for one in shown])
    if not shown:
        return say(
            f"no image {'' if with_past else 'in use '}has {name}, by the findings that are known", err=True
        )
    from imagegate_cli.output import screen
    from imagegate_cli.releases import view

    return screen.console().print(view.vulnerable_table(shown))


def _most(limit: int, *, is_whole: bool) -> int | None:
    """Return how many to show. `is_whole`: all, unless --limit is given: a list that ends early would mislead."""
    is_given = click.get_current_context().get_parameter_source("limit") is ParameterSource.COMMANDLINE
    return limit if is_given or not is_whole else None


def _find_statuses(stack: Stack, wanted: Filter, options: dict[str, Any]) -> Iterator[ImageStatus]:
    if options["waiting"]:
        return _waiting(stack, wanted)
    return _at_risk(stack, wanted) if options["at_risk"] else _current(stack, wanted)


def _states(options: dict[str, Any]) -> frozenset[ImageState]:
    flags = {"blocked": ImageState.BLOCKED, "waiting": ImageState.WAITING, "at_risk": ImageState.AT_RISK}
    given = [flag for flag in flags if options[flag]]
    if len(given) > 1:
        raise click.UsageError("give one of --blocked, --waiting and --at-risk")
    return frozenset(flags[flag] for flag in given)


def _app_of(stack: Stack, release: Release) -> str | None:
    stage = stack.policy.stage_of(release.image.repository)
    return stage.repositories.app_of(release.image.repository) if stage else None


def _show_history(stack: Stack, wanted: Filter, outcome: str | None, limit: int, *, as_json: bool) -> None:
    def matches(release: Release) -> bool:
        is_outcome = outcome in (None, str(release.outcome or OPEN))
        return is_outcome and wanted.accepts_release(stack, release)

    attempts = list(islice(filter(matches, stack.ledger.recent(wanted.since, now())), limit))
    if not attempts and not as_json:
        return say("no such release in the last 90 days", err=True)
    return show_many(attempts, as_json=as_json)


def _show_states(
    statuses: Iterator[ImageStatus], limit: int, options: dict[str, Any], *, as_json: bool
) -> None:
    most = _most(limit, is_whole=options["waiting"] or options["at_risk"])
    shown = list(islice(statuses, most))
    if not shown and not as_json:
        nothing = (
            "nothing waits for an approval"
            if options["waiting"]
            else "no released image is at risk"
            if options["at_risk"]
            else "no such image in the last 90 days"
        )
        return say(nothing, err=True)
    show_states(shown, as_json=as_json)
    if options["waiting"] and not as_json:
        say("Approve one: imagegate decide approve REPOSITORY:TAG", err=True)
    return None


def _waiting(stack: Stack, wanted: Filter) -> Iterator[ImageStatus]:
    """Yield the held images that match, the longest wait first."""
    held = [stack.ledger.get(one) for one in stack.ledger.held()]
    held = [one for one in held if wanted.accepts_release(stack, one)]
    yield from _matching(stack, sorted(held, key=lambda one: one.started_at), wanted)


def _at_risk(stack: Stack, wanted: Filter) -> Iterator[ImageStatus]:
    """Yield the images at risk that match, also of releases that are older than 90 days; the oldest risk first.

    Raises `ClientError` if the risks cannot be read: nobody may take that for no risk.
    """
    yield from _matching(stack, _risky(stack, RiskState.AT_RISK, wanted), wanted)


def _risky(stack: Stack, state: RiskState, wanted: Filter) -> list[Release]:
    """Return the releases of images in use that are at risk, or not watched."""
    risks = (risk for risk in stack.ledger.risks() if risk.state is state)
    releases = (stack.ledger.latest(risk.image) for risk in risks)
    return [one for one in releases if one and wanted.accepts_release(stack, one, always=True)]


def _tell_not_watched(stack: Stack, wanted: Filter) -> None:
    """Name the images in use that no scanner looks at: a new vulnerability in them would not be noticed."""
    unwatched = _risky(stack, RiskState.NOT_WATCHED, wanted)
    if unwatched:
        names = list_some([facts.name(one) for one in unwatched[:_BATCH]], len(unwatched))
        say(f"not watched by any scanner, so their risk is not known: {names}", err=True)


def _current(stack: Stack, wanted: Filter) -> Iterator[ImageStatus]:
    """Yield the images that match, the newest attempt first. Reads more of the ledger as more are taken."""
    yield from _matching(stack, _latest(stack, wanted), wanted)


def _latest(stack: Stack, wanted: Filter) -> Iterator[Release]:
    """Yield the newest attempt of each image that may match. It comes first.

    Only images whose first attempt is still to come are kept in memory.
    """
    seen = set[ImageRef]()
    for release in stack.ledger.recent(wanted.since, now()):
        is_newest = release.image not in seen
        if release.attempt > 1:
            seen.add(release.image)
        else:
            seen.discard(release.image)
        if is_newest and wanted.accepts_release(stack, release):
            yield release


def _matching(stack: Stack, releases: Iterable[Release], wanted: Filter) -> Iterator[ImageStatus]:
    """Yield the statuses that match. Records are read a few at a time, so that a short list ends soon."""
    at, glass, risks = now(), break_glass_of(stack), risks_of(stack)
    rest = iter(releases)
    while some := list(islice(rest, _BATCH)):
        statuses = map_with_spinner(
            "reading states", some, lambda one: status_of(stack, one, at, glass, risks)
        )
        yield from (status for status in statuses if wanted.accepts(status))
