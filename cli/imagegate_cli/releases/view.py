"""Releases as people read them: tables and details for any width, colours only on a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table

from imagegate.release.release import Release, ReleaseId
from imagegate_cli.output.screen import Screen, Text
from imagegate_cli.releases import facts
from imagegate_cli.releases.steps import ExecutionStep, StepState

# Nobody reads a file at 80 columns: digests stay whole, so that grep and cut work.
_PIPED_WIDTH = 240
_WIDE = 100
_COLOURS = {
    "released": "green",
    "blocked": "red",
    "held": "yellow",
    "conflict": "red",
    "superseded": "dim",
    "withdrawn": "dim",
    "failed": "bold red",
    "open": "cyan",
    "PASS": "green",
    "BLOCK": "red",
    "ERROR": "bold red",
}
_MARKS = {
    StepState.WAITING: ("·", ".", "dim"),
    StepState.RUNNING: ("…", ">", "cyan"),
    StepState.DONE: ("✓", "+", "green"),
    StepState.SKIPPED: ("-", "-", "dim"),
    StepState.FAILED: ("✗", "x", "bold red"),
}


def console(*, stderr: bool = False) -> Console:
    """NO_COLOR, TERM and COLUMNS count as everywhere."""
    made = Screen(stderr=stderr)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _PIPED_WIDTH
    return made


def coloured(word: str | None) -> Text:
    return Text(word or "", style=_COLOURS.get(word or "", ""))


def table_of(
    releases: Iterable[Release], now: datetime, width: int, waits: Mapping[ReleaseId, str] | None = None
) -> Table:
    """Narrow terminals keep what matters: the reasons stay, the times go."""
    is_wide = width >= _WIDE
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
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


def detail_of(release: Release, waits: str = "") -> RenderableType:
    """Everything that the ledger knows about one attempt. Labels are short: a digest fits beside them in 80 columns."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for label, value in _rows(release, waits):
        grid.add_row(label, value)
    return grid


def _rows(release: Release, waits: str) -> list[tuple[str, RenderableType]]:
    promotion = release.promotion
    rows: list[tuple[str, RenderableType]] = [
        ("Image", facts.name(release)),
        ("Digest", str(release.image.digest)),
        ("Outcome", coloured(str(release.outcome or "open"))),
        ("Verdict", coloured(release.verdict)),
        ("Reasons", Group(*(_reason(reason) for reason in release.reasons)) if release.reasons else ""),
        ("Remedy", Group(*(Text(text) for text in release.remedies)) if release.remedies else ""),
        ("Cause", release.detail),
        ("Waits for", waits),
        ("Soaks", f"until {release.soaks_until:%Y-%m-%d %H:%M} UTC" if _soaks(release) else ""),
        ("Let through", release.break_glass),
        ("Revoked", Text(str(release.revoked or ""), "red")),
        ("Went to", f"{promotion.repository}: {', '.join(promotion.tags)}" if promotion else ""),
        ("Signed", str(release.signature or "")),
        ("SBOM", release.sbom.note if release.sbom else ""),
        ("Record", str(release.decision or "")),
        ("Policy", str(release.policy)),
        ("Message", release.message_id or ""),
        ("Attempt", f"{release.attempt} ({release.reason}) at the {release.stage} gate"),
        ("Begun by", release.started_by),
        ("Time", _time(release)),
    ]
    return [(label, value) for label, value in rows if str(value)]


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
    """Below each other, with what came out of each."""
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
    pretty, plain, style = _MARKS[state]
    return Text(pretty if unicode else plain, style=style)


def speaks_unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")


def age(moment: datetime, now: datetime) -> str:
    return f"{span(round((now - moment).total_seconds()))} ago"


def took(release: Release, now: datetime) -> str:
    return span(facts.seconds(release, release.closed_at or now) or 0.0)


def span(seconds: float) -> str:
    """`1.9 s`, `42 s`, `12 min`, `3 h`, `5 d`: what one glance takes in."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
