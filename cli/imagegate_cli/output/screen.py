"""Rich's text and console, with each text as one line that steers no terminal. Texts are never markup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import rich.text
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from imagegate.text import printable


class Text(rich.text.Text):
    """A line, or a part of one, whoever wrote what is in it."""

    def __init__(self, text: str = "", *args: Any, **kwargs: Any) -> None:
        super().__init__(printable(text), *args, **kwargs)

    def append(self, text: rich.text.Text | str, *args: Any, **kwargs: Any) -> Self:
        super().append(printable(text) if isinstance(text, str) else text, *args, **kwargs)
        return self


class Screen(Console):
    """Also what was not made of our `Text` is a line: cells of tables, titles, and what others make."""

    def __init__(self, **how: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        return super().render(_as_line(renderable), options)

    def render_str(self, text: str, *args: Any, **kwargs: Any) -> rich.text.Text:
        return super().render_str(printable(text), *args, **kwargs)


def _as_line(renderable: RenderableType) -> RenderableType:
    if not isinstance(renderable, rich.text.Text) or printable(renderable.plain) == renderable.plain:
        return renderable
    return Text(renderable.plain, renderable.style, justify=renderable.justify, end=renderable.end)
