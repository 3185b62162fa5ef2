"""Rich's text, console and tables for text from outside: each text is one printable line, and never markup."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, Self

import rich.text
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment, Segments
from rich.table import Table

from imagegate.text import printable

# Output that goes to a file or a pipe is wide, so that digests are whole and grep and cut work.
_PIPED_WIDTH = 240
_NARROWEST = 20
_COLOURS = {
    "released": "green",
    "at risk": "bold red",
    "blocked": "red",
    "held": "yellow",
    "conflict": "red",
    "superseded": "dim",
    "withdrawn": "dim",
    "failed": "bold red",
    "open": "cyan",
    "in progress": "cyan",
    "soaking": "cyan",
    "waiting for approval": "yellow",
    "rejected": "red",
    "expired": "red",
    "observed": "yellow",
    "broken glass": "yellow",
    "revoked": "bold red",
    "PASS": "green",
    "BLOCK": "red",
    "ERROR": "bold red",
}


class Text(rich.text.Text):
    """A line, or a part of one. It is printable, whoever wrote it."""

    def __init__(self, text: str = "", *args: Any, **kwargs: Any) -> None:
        super().__init__(printable(text), *args, **kwargs)

    def append(self, text: rich.text.Text | str, *args: Any, **kwargs: Any) -> Self:
        super().append(printable(text) if isinstance(text, str) else text, *args, **kwargs)
        return self


class Screen(Console):
    """A console that also makes other text printable: cells of tables, titles, and what Rich itself makes."""

    def __init__(self, **how: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        return super().render(_as_line(renderable), options)

    def print(self, *objects: Any, **how: Any) -> None:
        """Print; where no terminal shows it, without the blanks that fill the last column of a table."""
        how.setdefault("crop", False)  # the terminal wraps what must stay one word
        if self.is_terminal:
            super().print(*objects, **how)
            return
        with self.capture() as captured:
            super().print(*objects, **how)
        text = "\n".join(line.rstrip(" ") for line in captured.get().split("\n"))
        super().print(Segments([Segment(text)]), end="", soft_wrap=True)

    def render_str(self, text: str, *args: Any, **kwargs: Any) -> rich.text.Text:
        return super().render_str(printable(text), *args, **kwargs)


def console(*, stderr: bool = False) -> Console:
    """Return the console. It heeds NO_COLOR, TERM and COLUMNS, and has at least 20 columns."""
    screen = Screen(stderr=stderr)
    if not screen.is_terminal and "COLUMNS" not in os.environ:
        screen.width = _PIPED_WIDTH
    screen.width = max(screen.width, _NARROWEST)  # at a width of 0, Rich prints nothing
    return screen


def coloured(word: str | None) -> Text:
    """Return an outcome or a verdict in its colour."""
    return Text(word or "", style=_COLOURS.get(word or "", ""))


def speaks_unicode(console: Console) -> bool:
    """Tell whether the console's encoding is Unicode."""
    return console.encoding.lower().startswith("utf")


class LabelledRows:
    """Rows of a label and its value. Text wraps beside the label, and a long word, which people copy, stays whole."""

    def __init__(self, rows: Iterable[tuple[str, RenderableType]]) -> None:
        self._rows = list(rows)
        self._width = max((len(label) for label, _ in self._rows), default=0)

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        for label, value in self._rows:
            if isinstance(value, str):
                yield from self._lines(label, value, options.max_width)
                continue
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(no_wrap=True, style="bold", min_width=self._width)
            grid.add_column(overflow="fold")
            grid.add_row(label, value)
            yield grid

    def _lines(self, label: str, value: str, width: int) -> Iterator[Text]:
        indent = self._width + 2
        lines = textwrap.wrap(
            printable(value), max(width - indent, _NARROWEST), break_long_words=False, break_on_hyphens=False
        )
        for number, line in enumerate(lines or [""]):
            before = "" if number else label
            text = Text(before.ljust(indent), "bold", no_wrap=True, overflow="ignore")
            yield text.append(line, "not bold")


def labelled(rows: Iterable[tuple[str, RenderableType]]) -> LabelledRows:
    """Return rows of a label and its value."""
    return LabelledRows(rows)


def plain_table(columns: Iterable[str] = ()) -> Table:
    """Return a table without lines. These columns fold; the caller adds others."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _as_line(renderable: RenderableType) -> RenderableType:
    if not isinstance(renderable, rich.text.Text) or printable(renderable.plain) == renderable.plain:
        return renderable
    return Text(renderable.plain, renderable.style, justify=renderable.justify, end=renderable.end)
