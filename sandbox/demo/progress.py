"""The live view of the demo: the releases of one image as rows, their steps as columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from imagegate.release.release import Release
from imagegate_cli.output import screen
from imagegate_cli.releases import view
from imagegate_cli.releases.steps import NAMES, ExecutionHistory, ExecutionStep, StepState, steps_of


class View:
    """A live table of releases and their steps; plain lines without a terminal."""

    def __init__(self, console: Console, history: ExecutionHistory) -> None:
        self._history = history
        self._unicode = screen.speaks_unicode(console)
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._console = console
        self._said = 0

    def update(self, chain: Sequence[Release]) -> None:
        if self._live:
            self._live.update(self._table(chain))
            return
        # Without a terminal each release is one line, once it has ended.
        for release in chain[self._said :]:
            if release.message_id:
                self._said += 1
                self._console.print(self._line(release))

    def _table(self, chain: Sequence[Release]) -> Table:
        grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for heading in ("", *(name.removesuffix(" Image") for name in NAMES)):
            grid.add_column(heading, no_wrap=True)
        for release in chain:
            steps = steps_of(release, self._history.entered(release))
            name = Text(f"  {release.image.repository}", overflow="ellipsis")
            grid.add_row(name, *(self._cell(step) for step in steps))
        return grid

    def _cell(self, step: ExecutionStep) -> Text:
        mark = view.mark(step.state, unicode=self._unicode)
        is_word = step.name in ("Judge Image", "Announce") and step.state is not StepState.RUNNING
        return Text.assemble(mark, " ", screen.coloured(step.result)) if is_word and step.result else mark

    def _line(self, release: Release) -> Text:
        done = [step for step in steps_of(release) if step.state is StepState.DONE]
        steps = ", ".join(f"{step.name} ({step.result})" if step.result else step.name for step in done)
        return Text(f"  {release.image.repository}: {steps}")

    def start(self) -> None:
        if self._live:
            self._live.start()

    def stop(self) -> None:
        if self._live:
            self._live.stop()


@contextmanager
def showing(console: Console, history: ExecutionHistory) -> Iterator[View]:
    table = View(console, history)
    table.start()
    try:
        yield table
    finally:
        table.stop()
