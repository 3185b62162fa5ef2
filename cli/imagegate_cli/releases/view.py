"""Releases for people: tables and details for any width, with colours only on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table

from imagegate.board import release_facts as facts
from imagegate.board.status import ImageState, ImageStatus
from imagegate.release.release import Release, ReleaseId
from imagegate.risk.risk import Risk
from imagegate_cli.durations import span
from imagegate_cli.output.screen import Text, coloured, labelled, plain_table
from imagegate_cli.releases.outdated_bases import OutdatedBase
from imagegate_cli.releases.steps import ExecutionStep, StepState
from imagegate_cli.releases.vulnerable import VulnerableImage

_WIDE = 100
_MARKS = {
    StepState.WAITING: ("·", ".", "dim"),
    StepState.RUNNING: ("…", ">", "cyan"),
    StepState.DONE: ("✓", "+", "green"),
    StepState.SKIPPED: ("-", "-", "dim"),
    StepState.FAILED: ("✗", "x", "bold red"),
}


def table_of(
    releases: Iterable[Release], now: datetime, width: int, waits: Mapping[ReleaseId, str] | None = None
) -> Table:
    """Return the table for a terminal of that width; a narrow one has no times."""
    is_wide = width >= _WIDE
    table = plain_table()
    table.add_column("IMAGE", overflow="fold", min_width=16)
    table.add_column("STAGE", overflow="fold")
    table.add_column("OUTCOME", no_wrap=True)
    table.add_column("WHY", overflow="fold", min_width=20)
    if is_wide:
        table.add_column("STARTED", no_wrap=True)
        table.add_column("TOOK", no_wrap=True, justify="right")
    for release in releases:
        times = (age(release.started_at, now), took(release, now)) if is_wide else ()
        outcome = coloured(str(release.outcome or "open"))
        why = (waits or {}).get(release.id) or facts.why(release)
        table.add_row(facts.name(release), release.stage, outcome, why, *times)
    return table


def state_table(statuses: Iterable[ImageStatus], now: datetime, width: int) -> Table:
    """Return the current states for a terminal of that width; a narrow one has no times."""
    is_wide = width >= _WIDE
    table = plain_table()
    table.add_column("IMAGE", overflow="fold", min_width=16)
    table.add_column("STAGE", overflow="fold")
    table.add_column("STATE", overflow="fold", min_width=12)
    table.add_column("WHY, BY", overflow="fold", min_width=20)
    if is_wide:
        table.add_column("STARTED", no_wrap=True)
    for one in statuses:
        texts = [
            one.why,
            f"waived: {one.waived(now)}" if one.waivers else "",
            f"by {one.by}" if one.by else "",
        ]
        times = (age(one.release.started_at, now),) if is_wide else ()
        why = "; ".join(filter(None, texts))
        table.add_row(facts.name(one.release), one.release.stage, coloured(str(one.state)), why, *times)
    return table


def vulnerable_table(images: Iterable[VulnerableImage]) -> Table:
    """Return the images that have a vulnerability, with its packages and where each image is used."""
    return _table_of(("IMAGE", "STAGE", "PACKAGES", "IN USE"), (one.row for one in images))


def bases_table(bases: Iterable[OutdatedBase]) -> Table:
    """Return the outdated bases, each with the findings that a rebuild removes and the images to rebuild."""
    return _table_of(("BASE", "LATER RELEASE", "REMOVES", "REBUILD"), (one.row for one in bases))


def _table_of(columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = plain_table()
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def detail_of(status: ImageStatus, now: datetime, tag: str | None = None) -> RenderableType:
    """Return all facts of one image. `tag` is printed first if the image has it.

    A digest fits beside the labels in 80 columns: no label has more than seven characters.
    """
    return labelled(_rows(status, now, tag))


def _rows(status: ImageStatus, now: datetime, tag: str | None) -> list[tuple[str, RenderableType]]:
    release, waits = status.release, str(status.pending or "")
    promotion, is_waiting = release.promotion, status.state is ImageState.WAITING
    rows: list[tuple[str, RenderableType]] = [
        ("Image", facts.name(release, tag)),
        ("Digest", str(release.image.digest)),
        ("State", coloured(str(status.state))),
        ("Verdict", coloured(release.verdict)),
        ("Reasons", Group(*(_reason(reason) for reason in release.reasons)) if release.reasons else ""),
        ("Remedy", Group(*(Text(text) for text in release.remedies)) if release.remedies else ""),
        ("Cause", release.detail),
        ("Waits", f"for {waits}" if is_waiting and waits else ""),
        ("Answer", "" if is_waiting else waits),
        ("Soaks", f"until {release.soaks_until:%Y-%m-%d %H:%M} UTC" if _soaks(release) else ""),
        ("Risk", _risk(status.risk)),
        ("Waived", status.waived(now)),
        ("Allowed", release.break_glass or ", ".join(map(str, status.glass))),
        ("Revoked", Text(str(release.revoked or ""), "red")),
        ("Went to", f"{promotion.repository}: {', '.join(promotion.tags)}" if promotion else ""),
        ("Signed", str(release.signature or "")),
        ("SBOM", release.sbom.note if release.sbom else ""),
        ("Record", str(release.decision or "")),
        ("Policy", str(release.policy)),
        ("Message", release.message_id or ""),
        ("Attempt", f"{release.attempt} ({release.reason}) at the {release.stage} gate"),
        ("By", release.started_by),
        ("Time", _time(release)),
    ]
    return [(label, value) for label, value in rows if str(value)]


def _risk(risk: Risk | None) -> RenderableType:
    """Return what the risk is about, where the image runs, and which way leads out."""
    if risk is None:
        return ""
    fixed = [f"{one.package} {one.fixed}" for one in risk.findings if one.fixed]
    lines = [
        f"{risk.state} since {risk.since:%Y-%m-%d %H:%M} UTC",
        *risk.why,
        *(f"runs in {one}" for one in risk.runs),
        *([f"fixed in {', '.join(dict.fromkeys(fixed))}"] if fixed else []),
        *(f"without it: {one}" for one in risk.newer),
    ]
    return Group(*(Text(line, "red" if number == 0 else "") for number, line in enumerate(lines)))


def _soaks(release: Release) -> bool:
    return release.is_open and release.soaks_until is not None


def _reason(reason: dict[str, str]) -> Text:
    mark = "" if reason["action"] == "enforce" else "(warning) "
    return Text(f"{mark}{reason['message']}  [{reason['rule']}]")


def _time(release: Release) -> str:
    started = f"{release.started_at:%Y-%m-%d %H:%M:%S} UTC"
    lasted = facts.seconds(release, release.closed_at)
    return started if lasted is None else f"{started}, took {span(lasted)}"


def steps_table(steps: Iterable[ExecutionStep], *, unicode: bool, animated: bool = False) -> Table:
    """Return a row for each step, with its result."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    for _ in range(2):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for step in steps:
        running = animated and unicode and step.state is StepState.RUNNING
        style = "dim" if step.state in (StepState.WAITING, StepState.SKIPPED) else ""
        grid.add_row(
            Spinner("dots", style="cyan") if running else mark(step.state, unicode=unicode),
            Text(step.name, style=style),
            coloured(step.result),
        )
    return grid


def mark(state: StepState, *, unicode: bool) -> Text:
    """Return the sign of a step's state."""
    pretty, plain, style = _MARKS[state]
    return Text(pretty if unicode else plain, style=style)


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago it was: `3 h ago`."""
    return f"{span(round((now - moment).total_seconds()))} ago"


def took(release: Release, now: datetime) -> str:
    """Return how long the release took, or has taken until now."""
    return span(facts.seconds(release, release.closed_at or now) or 0.0)
