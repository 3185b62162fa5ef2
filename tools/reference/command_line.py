"""Every command of `imagegate` with its options, from the click commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from imagegate_cli.main import cli
from tools.reference.markdown import NOTE, code, sentence, table

_INTRODUCTION = """\
# Command line: every command

`imagegate COMMAND --help` prints the same. Errors are one line on standard error and end with 2;
[Exit codes](exit-codes.md) has all codes in one table. Account, Region and credentials are those of the AWS CLI.
"""


def page() -> str:
    """Return the page `docs/reference/command-line.md`."""
    context = click.Context(cli, info_name="imagegate")
    lines = [NOTE, "", _INTRODUCTION, "## For every command", "", *_options(cli, context)]
    for command, inner in _commands(cli, context):
        lines += [
            f"## {inner.command_path}",
            "",
            *_usage(command, inner),
            *_text(command),
            *_options(command, inner),
        ]
    return "\n".join(lines)


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        yield command, inner
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _usage(command: click.Command, context: click.Context) -> list[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    return ["```text", f"{context.command_path} {usage}", "```", ""]


def _text(command: click.Command) -> Iterator[str]:
    """Yield the help text; click marks paragraphs whose lines stay as they are with `\\b`."""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        first, _, rest = paragraph.strip("\n").partition("\n")
        if first.strip(" ") == "\b":
            yield from ("```text", rest, "```", "")
        else:
            yield from (sentence(paragraph), "")


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [one.get_help_record(context) for one in command.params if isinstance(one, click.Option)]
    rows = [[code(names), sentence(text)] for names, text in filter(None, records)]
    if rows:
        yield from table(("option", "description"), rows)
