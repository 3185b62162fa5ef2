"""The context of a run: its clock, its pauses and the stack. The caller of `main` passes it in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import click

from imagegate.clock import Clock, utc_now
from imagegate_cli.stack import Stack, find_stack


@dataclass(frozen=True, slots=True)
class Pauses:
    """The waits of commands. All times are in seconds."""

    sleep: Callable[[float], None] = time.sleep
    # Between the first two looks at a release; later looks are further apart.
    first: float = 0.3
    # For a release to begin: seconds after a push, three minutes where the event is delivered a third time.
    begin: float = 240.0
    # For the message of a closed release, which is sent right after it.
    message: float = 5.0
    # Between two lines of progress where there is no terminal.
    report: float = 60.0


@dataclass(frozen=True)
class CommandLine:
    """The context of one run of the program."""

    clock: Clock = utc_now
    find_stack: Callable[[str], Stack] = find_stack
    pauses: Pauses = Pauses()
    stack_name: str = "imagegate"

    @cached_property
    def stack(self) -> Stack:
        """The stack that `--stack` names. Raises `NotFoundError` at the first use if it does not exist."""
        return self.find_stack(self.stack_name)


def now() -> datetime:
    """Return the time of the running command's clock."""
    return _current().clock()


def pauses() -> Pauses:
    """Return the pauses of the running command."""
    return _current().pauses


def _current() -> CommandLine:
    command_line = click.get_current_context().find_object(CommandLine)
    if command_line is None:
        raise LookupError("the command has no context: it was not started by `main`")
    return command_line
