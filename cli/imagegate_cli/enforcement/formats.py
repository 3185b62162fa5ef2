"""The report on a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from imagegate_cli.enforcement import sentences
from imagegate_cli.enforcement.report import EnforcementReport, StageReport
from imagegate_cli.output import markdown as md

if TYPE_CHECKING:
    from rich.console import RenderableType


def on_terminal(report: EnforcementReport) -> Iterator[RenderableType]:
    """Yield the report for a terminal."""
    from imagegate_cli.output.screen import Text

    for number, one in enumerate(report.stages):
        if number:
            yield Text()
        yield Text(sentences.headline(one, report.span), style="bold")
        yield from _body(one)


def _body(report: StageReport) -> Iterator[RenderableType]:
    from imagegate_cli.output.screen import Text

    yield from map(Text, sentences.notes(report))
    for section in sentences.sections(report):
        yield Text()
        yield Text(section.title)
        yield from map(_indented, section.lines)


def _indented(line: str) -> RenderableType:
    from rich.table import Table

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(" ", line)
    return grid


def markdown(report: EnforcementReport) -> str:
    """Return the report for an issue or a job's summary. Text from images is escaped."""
    return "\n".join(line for one in report.stages for line in _markdown(one, report.span))


def _markdown(report: StageReport, span: timedelta) -> Iterator[str]:
    yield f"### {md.text(sentences.headline(report, span))}\n"
    for line in sentences.notes(report):
        yield f"{md.text(line)}\n"
    for section in sentences.sections(report):
        yield f"{md.text(section.title)}\n"
        box = "[ ] " if section.is_to_do else ""
        yield from (f"- {box}{md.text(line)}" for line in section.lines)
        if section.lines:
            yield ""
