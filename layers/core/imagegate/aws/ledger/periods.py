"""Attempts over time: the index `by-day`, whose partitions are parts of a month. Open ones are listed in parts, too.

One partition takes 1,000 writes a second, so the attempts of a month are spread over several. Items from before this
was so have the day in the attribute: their partitions are read, too.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING
from zlib import crc32

from imagegate.aws.clients import MOST_THREADS
from imagegate.aws.dynamodb import Between, DynamoTable, Item
from imagegate.aws.ledger.items import moment

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef

BY_DAY = "by-day"
# More partitions take more writes a second, but a reader asks each of them.
_PARTS = 8
_FIRST_PAGE = 25


def period(image: ImageRef, time: datetime) -> str:
    """Return the partition of an attempt that began at that time: `2026-11#3`."""
    return f"{time.astimezone(UTC):%Y-%m}#{_part(image)}"


def open_part(image: ImageRef) -> str:
    """Return the partition of the index `waiting` for an open attempt: `open#3`."""
    return f"open#{_part(image)}"


def open_parts() -> list[str]:
    """Return the partitions of all open attempts."""
    return [f"open#{part}" for part in range(_PARTS)]


def _part(image: ImageRef) -> int:
    return crc32(str(image).encode()) % _PARTS


def read_period(
    table: DynamoTable, since: datetime, until: datetime, equal: Mapping[str, str]
) -> Iterator[Item]:
    """Yield the items of that time that have these attributes, newest first. A page of each partition is in memory."""
    between = Between("startedAt", moment(since), moment(until))
    for partitions in _months(since.astimezone(UTC).date(), until.astimezone(UTC).date()):
        # A page of which DynamoDB leaves most items out may be as large as it likes.
        size = 0 if equal else _FIRST_PAGE
        streams = [
            table.index(BY_DAY, "day", name, between=between, equal=equal, newest_first=True, limit=size)
            for name in partitions
        ]
        yield from heapq.merge(*_begin(streams), key=itemgetter("startedAt"), reverse=True)


def _months(first: date, last: date) -> Iterator[list[str]]:
    """Yield the names of the partitions of each month, the latest month first."""
    while last >= first:
        begin = max(first, last.replace(day=1))
        days = [begin + timedelta(days=number) for number in range((last - begin).days + 1)]
        yield [f"{last:%Y-%m}#{part}" for part in range(_PARTS)] + [f"{one:%Y-%m-%d}" for one in days]
        last = last.replace(day=1) - timedelta(days=1)


def _begin(streams: Sequence[Iterator[Item]]) -> list[Iterator[Item]]:
    """Read the first page of each stream at the same time: a merge would read one after the other."""
    with ThreadPoolExecutor(MOST_THREADS) as threads:
        firsts = list(threads.map(lambda stream: next(stream, None), streams))
    return [
        chain([first], stream) for first, stream in zip(firsts, streams, strict=True) if first is not None
    ]
