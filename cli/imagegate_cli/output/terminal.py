"""What the command line prints: the one place that writes to stdout and stderr.

Each text is one line, and steers no terminal, whoever wrote it. `output.screen` prints tables and the like.
"""

from __future__ import annotations

from typing import Any

import click

from imagegate.text import json_text, printable


def say(text: str, *, err: bool = False) -> None:
    """Print one line."""
    click.echo(printable(text), err=err)


def confirm(question: str) -> bool:
    """Ask on stderr: stdout is for what comes of it."""
    return click.confirm(printable(question), err=True)


def show_json(document: Any) -> None:
    """Print one document for programs, and for whoever looks at it."""
    click.echo(json_text(document, indent=2))


def hand_out(content: str) -> None:
    """Print what is whole in itself, and made for that: a file, a rendered table, Markdown."""
    click.echo(content, nl=False)
