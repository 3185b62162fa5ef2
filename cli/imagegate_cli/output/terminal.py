"""Writes to stdout and stderr. No other module does, except `output.screen` for tables.

Each text becomes one printable line, whoever wrote it.
"""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterable
from typing import Any

import click

from imagegate.text import escape_unencodable, json_text, printable

_ESCAPES = "imagegate-escapes"


def accept_all_characters() -> None:
    """Let stdout take every character: one that its encoding lacks (Latin-1, code pages) is written as an escape."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        codecs.register_error(_ESCAPES, escape_unencodable)
        sys.stdout.reconfigure(errors=_ESCAPES)


def say(text: str, *, err: bool = False) -> None:
    """Print one line."""
    click.echo(printable(text), err=err)


def confirm(question: str, otherwise: str) -> None:
    """Ask on stderr, since stdout is for results. If the answer is no, say `otherwise` and exit with 1.

    Ctrl-C is a no, too, with exit code 130: nothing has been done yet.
    """
    try:
        is_confirmed, code = click.confirm(printable(question), err=True), 1
    except click.Abort:
        is_confirmed, code = False, 130
    if not is_confirmed:
        say(f"imagegate: {otherwise}", err=True)
        raise click.exceptions.Exit(code)


def show_json(document: Any) -> None:
    """Print one JSON document, indented."""
    click.echo(json_text(document, indent=2))


def show_json_list(documents: Iterable[Any]) -> None:
    """Print one JSON list, each document as soon as it is there: a long list needs no memory."""
    before = "["
    for document in documents:
        click.echo(f"{before}\n{json_text(document, indent=2)}", nl=False)
        before = ","
    click.echo("\n]" if before == "," else "[]")


def print_content(content: str) -> None:
    """Print content that is printable already: a file, a rendered table, Markdown."""
    click.echo(content, nl=False)
