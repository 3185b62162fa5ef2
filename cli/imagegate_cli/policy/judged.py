"""What was judged in the last days: the ledger's attempts, and the records of their decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

from imagegate.duration import parse_duration
from imagegate.errors import RejectedInputError
from imagegate.gate.decision_record import Decision
from imagegate.release.release import Release
from imagegate_cli.output.spinner import Spinner
from imagegate_cli.output.terminal import say
from imagegate_cli.stack import Stack

T = TypeVar("T")
R = TypeVar("R")

# The ledger's index has nothing older.
_LONGEST = timedelta(days=90)
# A period that is too long must not read the whole ledger.
_FIRST_READ, _READ_AT_MOST = 1_000, 16_000
# Each waits for S3 most of the time.
_AT_ONCE = 8


class PeriodType(click.ParamType[timedelta]):
    """`12h`, `7d`, `2w`: at most 90 days."""

    name = "period"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        span = parse_duration(value, "hdw")
        if span is None or not timedelta() < span <= _LONGEST:
            self.fail(f"{value!r} is no period; write 12h, 7d or 2w, at most 90d")
        return span


def spelt(span: timedelta) -> str:
    """`7 days`, `1 day`, `12 hours`."""
    number, unit = (
        (span.days, "day")
        if span % timedelta(days=1) == timedelta()
        else (span // timedelta(hours=1), "hour")
    )
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def attempts_since(
    stack: Stack, since: datetime, at: datetime, *, at_most: int = _READ_AT_MOST
) -> list[Release]:
    """Return the attempts that began since then, newest first. Say so if there are more than `at_most`."""
    limit = min(_FIRST_READ, at_most)
    with Spinner("reading the ledger"):
        while True:
            attempts = stack.ledger.recent(limit, at)
            is_all = len(attempts) < limit or attempts[-1].started_at < since
            if is_all or limit >= at_most:
                break
            limit = min(limit * 4, at_most)
    if not is_all:
        first = f"{attempts[-1].started_at:%Y-%m-%d %H:%M} UTC"
        say(f"imagegate: only the newest {limit} attempts are looked at, since {first}", err=True)
    return [release for release in attempts if release.started_at >= since]


def last_decisions(attempts: Iterable[Release]) -> list[Release]:
    """Of each image the newest attempt that was judged, newest first."""
    found: dict[Any, Release] = {}
    for attempt in attempts:
        if attempt.decision is not None:
            found.setdefault(attempt.image, attempt)
    return list(found.values())


def decision_of(stack: Stack, release: Release) -> Decision:
    """Raise `RejectedInputError` where the record is missing or cannot be read."""
    if release.decision is None:
        raise RejectedInputError(f"{release.id} was not judged")
    return Decision.decode(stack.records.decision(release.decision))


def each(text: str, items: Sequence[T], work: Callable[[T], R]) -> list[R]:
    """The results in the order of the items; several at once, and how far it is where it takes long."""
    from concurrent.futures import ThreadPoolExecutor

    with Spinner(text, len(items)) as patience:

        def done(item: T) -> R:
            result = work(item)
            patience.step()
            return result

        # The first one alone: clients are made once, by whoever comes first.
        first = [done(item) for item in items[:1]]
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            return first + list(pool.map(done, items[1:]))
        finally:
            pool.shutdown(cancel_futures=True)
