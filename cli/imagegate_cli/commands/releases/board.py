"""`imagegate board`: the board of applications and stages, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagegate_cli.context import CommandLine, now
from imagegate_cli.durations import DurationType
from imagegate_cli.faults import CannotTellError, NotFoundError
from imagegate_cli.output.spinner import map_with_spinner
from imagegate_cli.output.terminal import say, show_json

if TYPE_CHECKING:
    from imagegate.board.board import Board
    from imagegate_cli.stack import Stack

_THREADS = 16
_LONGEST_LINK = 7 * 24 * 3600  # seconds (Amazon S3 user guide, "Sharing objects with presigned URLs")


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write index.html and board.json into this directory.",
)
@click.option(
    "--link",
    type=DurationType(),
    is_flag=False,
    flag_value="1h",
    help="Print a link to the stack's own board that opens it without credentials for so long: 1h unless given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the board as one object.")
@click.pass_obj
def board(command_line: CommandLine, /, *, out: Path | None, link: float | None, as_json: bool) -> None:
    """Make the board: the image at each stage, what is at risk, and who must do what.

    With Board=on the stack keeps such a page in a bucket, and makes it anew after each release; --link opens that one.
    The page is one file for any browser, without scripts; it needs no server. docs/powers/read.json has the
    permissions.
    """
    if link is not None:
        return say(_link(command_line.stack, link))
    if not out and not as_json:
        raise click.UsageError("say where the page goes: --out DIR; or --json, or --link")
    whole = _read(command_line.stack)
    if as_json:
        show_json(whole.as_json())
    if out:
        _write(whole, out)
    return None


def _link(stack: Stack, seconds: float) -> str:
    """Return the link. Raises `NotFoundError` if the stack makes no board."""
    from imagegate.aws.board_pages import S3BoardPages

    bucket = stack.outputs.get("BoardBucket")
    if not bucket:
        raise NotFoundError(
            f"the stack {stack.name} makes no board: deploy it with Board=on, or use --out DIR"
        )
    if seconds > _LONGEST_LINK:
        raise click.UsageError("a link works for 168h at most")
    return S3BoardPages(bucket).link(int(seconds))


def _read(stack: Stack) -> Board:
    from imagegate.workflow.board.read import ReadBoard

    step = ReadBoard(
        stack=stack.name,
        ledger=stack.ledger,
        records=stack.records,
        grants=stack.grants,
        policy=stack.policy,
        each=lambda read, names: map_with_spinner("reading applications", names, read, _THREADS),
    )
    return step.run(now())


def _write(made: Board, folder: Path) -> None:
    """Write the page and the JSON. Raises `CannotTellError` if they cannot be written."""
    from imagegate.board.html import board_page
    from imagegate.text import json_text

    files = {"index.html": board_page(made), "board.json": json_text(made.as_json(), indent=2) + "\n"}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise CannotTellError(f"{folder}: {error.strerror}") from error
    say(f"wrote {folder / 'index.html'}", err=True)
