"""Adopts images: shows which would be started, asks, starts them at a rate, and shows the progress."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Self

import click

from imagegate.release.release import StartReason
from imagegate.text import counted
from imagegate_cli.adoption.preview import AdoptableImage, Pattern, Preview, preview
from imagegate_cli.context import pauses
from imagegate_cli.durations import span
from imagegate_cli.output.terminal import confirm, say, show_json
from imagegate_cli.stack import Stack

if TYPE_CHECKING:
    from rich.table import Table

# Longer previews are cut; --json has all.
_MOST, _MOST_LEFT_OUT = 40, 15


def run(
    stack: Stack,
    pattern: Pattern,
    *,
    stage: str | None,
    rate: float,
    limit: int | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Start releases of the images that the pattern matches. `rate` is the seconds between two starts."""
    _check_terminal(yes=yes, dry_run=dry_run, as_json=as_json)
    images = preview(stack, pattern, stage, limit)
    if not as_json:
        _show(images, rate)
    started: int | None = None
    if images.start and not dry_run:
        if not yes:
            confirm(f"Start {counted(len(images.start), 'release')}?", "nothing was started")
        started = start(stack, images.start, rate)
    if as_json:
        return show_json(images.as_json(started))
    if started:
        say(f"{counted(started, 'release')} started. Follow them: imagegate list --outcome open")
    return None


def _check_terminal(*, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Raise `UsageError` if there is a question to ask and no terminal to ask it on."""
    if yes or dry_run:
        return
    if as_json:
        raise click.UsageError("--json asks no questions: add --yes, or --dry-run to look first")
    if not sys.stdin.isatty():
        raise click.UsageError(
            "there is no terminal to ask on: add --yes to start, or --dry-run to look first"
        )


def start(stack: Stack, images: Sequence[AdoptableImage], rate: float) -> int:
    """Start the releases one after the other and return their number.

    The next preview leaves out started images, so that the same command goes on where it stopped.
    """
    progress = _Progress(len(images), rate)
    try:
        with progress:
            for number, one in enumerate(images):
                if number:
                    pauses().sleep(rate)
                stack.starter.request(one.image, one.tags, StartReason.ADOPTED)
                progress.at(number + 1)
    except BaseException as error:
        is_stopped = isinstance(error, KeyboardInterrupt)
        count = f"{progress.done} of {len(images)} were started; the same command goes on from there"
        say(f"imagegate: {'interrupted: ' if is_stopped else ''}{count}", err=True)
        if is_stopped:
            raise click.exceptions.Exit(130) from None
        raise
    return len(images)


class _Progress:
    """One line on stderr: rewritten on a terminal, else printed once a minute."""

    def __init__(self, total: int, rate: float) -> None:
        from imagegate_cli.output import screen
        from imagegate_cli.output.screen import Text

        self.done = 0
        self._total, self._rate = total, rate
        self._console = screen.console(stderr=True)
        self._status = self._console.status(Text(self._line))
        self._printed_at = time.monotonic()

    def at(self, done: int) -> None:
        from imagegate_cli.output.screen import Text

        self.done = done
        if self._console.is_terminal:
            self._status.update(Text(self._line))
        elif done < self._total and time.monotonic() - self._printed_at >= pauses().report:
            self._printed_at = time.monotonic()
            say(self._line, err=True)

    @property
    def _line(self) -> str:
        left = span(round((self._total - self.done) * self._rate))
        return f"{self.done} of {self._total} started, about {left} left; Ctrl-C stops, and loses nothing"

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._status.stop()


def _show(images: Preview, rate: float) -> None:
    from imagegate_cli.output import screen

    console = screen.console()
    if images.start or images.left_out:
        console.print(_table(images))
        console.print()
    for line in _summary(images, rate):
        console.print(line)


def _table(images: Preview) -> Table:
    from imagegate_cli.output.screen import Text, plain_table

    table = plain_table()
    table.add_column("REPOSITORY", overflow="fold", min_width=12)
    table.add_column("TAGS", overflow="fold", min_width=6)
    table.add_column("DIGEST", no_wrap=True)
    table.add_column("PUSHED", no_wrap=True)
    if images.left_out:
        table.add_column("LEFT OUT", overflow="fold", min_width=14)
    for one in (*images.start[:_MOST], *images.left_out[:_MOST_LEFT_OUT]):
        image = one.image
        pushed = f"{one.pushed_at.astimezone(UTC):%Y-%m-%d}"
        cells = (image.repository, ", ".join(one.tags), image.digest.short, pushed)
        why = (Text(one.left_out, style="dim"),) if images.left_out else ()
        table.add_row(*cells, *why)
    return table


def _summary(images: Preview, rate: float) -> Iterator[str]:
    hidden = max(0, len(images.start) - _MOST) + max(0, len(images.left_out) - _MOST_LEFT_OUT)
    if hidden:
        yield f"… and {hidden} more; --json shows all"
    for name in images.unmanaged:
        yield f"{name} is left alone: no stage of the policy has it"
    for why, number in Counter(map(_kind, images.left_out)).items():
        yield f"{number} left out: {why}"
    if not images.start:
        yield "Nothing is left to adopt."
        return
    more = f", and {images.more} more beyond --limit" if images.more else ""
    seconds = round((len(images.start) - 1) * rate)
    took = f"; at this rate it takes {span(seconds)}" if seconds else ""
    yield f"{counted(len(images.start), 'release')} to start{more}{took}"


def _kind(one: AdoptableImage) -> str:
    """Return why the image is left out, without the number of its attempt."""
    return re.sub(r" (?:in attempt \d+|\(attempt \d+\))$", "", one.left_out)
