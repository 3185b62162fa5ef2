"""`imagegate board`: the board of applications and stages, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagegate_cli.context import CommandLine, now
from imagegate_cli.faults import CannotTellError
from imagegate_cli.output.spinner import map_with_spinner
from imagegate_cli.output.terminal import say, show_json

if TYPE_CHECKING:
    from imagegate.board.board import Board
    from imagegate_cli.stack import Stack

_THREADS = 16


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write index.html and board.json into this directory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the board as one object.")
@click.pass_obj
def board(command_line: CommandLine, /, *, out: Path | None, as_json: bool) -> None:
    """Make the board: the image at each stage, what is at risk, and who must do what.

    The page is one file for any browser, without scripts; it needs no server. docs/powers/read.json has the
    permissions.
    """
    if not out and not as_json:
        raise click.UsageError("say where the page goes: --out DIR; or --json")
    made = _read(command_line.stack)
    if as_json:
        show_json(made.as_json())
    if out:
        _write(made, out)


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
