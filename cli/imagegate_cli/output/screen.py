"""Rich's text, console and tables for text from outside: each text is one printable line, and never markup."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Self

import rich.text
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment, Segments
from rich.table import Table

from imagegate.text import printable

# Output that goes to a file or a pipe is wide, so that digests are whole and grep and cut work.
_PIPED_WIDTH = 240
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
    """Return the console. It heeds NO_COLOR, TERM and COLUMNS."""
    made = Screen(stderr=stderr)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _PIPED_WIDTH
    return made


def coloured(word: str | None) -> Text:
    """Return an outcome or a verdict in its colour."""
    return Text(word or "", style=_COLOURS.get(word or "", ""))


def speaks_unicode(console: Console) -> bool:
    """Tell whether the console's encoding is Unicode."""
    return console.encoding.lower().startswith("utf")


def labelled(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    """Return rows of a label and its value. Long values are folded."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(label, value)
    return grid


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
