"""The clock of the running command: the one that `main` was given."""

from __future__ import annotations

from datetime import datetime

import click

from imagegate.clock import Clock

_KEY = "imagegate.clock"


def wind(context: click.Context, clock: Clock) -> None:
    """Make it the clock of this command and of its subcommands."""
    context.meta[_KEY] = clock


def now() -> datetime:
    """Return the time. Verbs ask here, and hand it on to what they call."""
    clock: Clock = click.get_current_context().meta[_KEY]
    return clock()
