"""Bytes, requests and memory of readers of a large ledger.

`python -m benchmarks.ledger --releases 1000000 --json FILE` writes one object: releases, item_bytes (of an attempt that
was released), and for two readers their requests, items, read_units and peak_mib: `newest` takes the newest twenty
attempts, as `imagegate list` does; `all` reads the 90 days, as `policy replay` and `policy report` do. Below the
product's adapter, DynamoDB is simulated: it makes up the items of a page for each request, so that the memory is that
of the reader.
"""

from __future__ import annotations

import argparse
import tracemalloc
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.output import write_result
from imagegate.aws import dynamodb
from imagegate.aws.dynamodb import Item, typed
from imagegate.aws.ledger.items import moment
from imagegate.aws.ledger.ledger import DynamoLedger
from imagegate.aws.ledger.periods import period
from imagegate.aws.ledger.release_item import write_release
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.promotion import Promotion
from imagegate.release.release import Outcome, Release, StartReason

_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_DAYS = 90
_APPLICATIONS = 1_000
_NEWEST = 20
_MIB = 1024 * 1024
# DynamoDB's limits: bytes of a page, and bytes that one unit reads, twice where they may be a little old.
_PAGE_BYTES = _MIB
_UNIT_BYTES = 4096


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Read a large simulated ledger, and measure it.")
    parser.add_argument("--releases", type=int, default=100_000, help="attempts of 90 days")
    parser.add_argument("--json", type=Path, help="write the result there; default: print it")
    arguments = parser.parse_args(argv)
    table = SimulatedTable(arguments.releases)
    dynamodb.client = lambda _name: table  # type: ignore[assignment, attr-defined]
    write_result(measure(table), arguments.json)
    return 0


def measure(table: SimulatedTable) -> dict[str, Any]:
    """Read the newest attempts, then all of the 90 days. Raises `RuntimeError` if a reader misses one."""
    return {
        "releases": table.releases,
        "item_bytes": size_of(table.item(0)),
        "newest": _read(table, min(_NEWEST, table.releases)),
        "all": _read(table, table.releases),
    }


def _read(table: SimulatedTable, wanted: int) -> dict[str, Any]:
    table.requests = table.items = 0
    table.units = 0.0
    stream = DynamoLedger("ledger").recent(_NOW - timedelta(days=_DAYS), _NOW)
    tracemalloc.start()
    found, last = 0, _NOW
    for release in islice(stream, wanted):
        if release.started_at > last:
            raise RuntimeError(f"{release.id} is newer than the one before")
        found, last = found + 1, release.started_at
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if found != wanted:
        raise RuntimeError(f"{found} of {wanted} attempts were found")
    return {
        "requests": table.requests,
        "items": table.items,
        "read_units": table.units,
        "peak_mib": round(peak / _MIB, 1),
    }


@dataclass
class SimulatedTable:
    """The index `by-day` of a ledger whose attempts began at equal distances within 90 days."""

    releases: int
    requests: int = 0
    items: int = 0
    units: float = 0.0

    def __post_init__(self) -> None:
        self._partitions: dict[str, list[int]] = {}
        for number in reversed(range(self.releases)):  # the oldest first, as the index is sorted
            part = period(self._image(number), self._began(number))
            self._partitions.setdefault(part, []).append(-number)
        self._bytes = size_of(self.item(0))

    def item(self, number: int) -> Item:
        """Return the attempt with this number; 0 is the newest."""
        image, at = self._image(number), self._began(number)
        return write_release(replace(_RELEASED, image=image, started_at=at, closed_at=at, pushed_at=at))

    def query(
        self,
        *,
        ExpressionAttributeValues: dict[str, dict[str, str]],  # noqa: N803 - the SDK's names, here and below
        Limit: int | None = None,  # noqa: N803
        ExclusiveStartKey: int | None = None,  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """Answer one page, newest first. The key of a page is a position in the partition."""
        partition = self._partitions.get(ExpressionAttributeValues[":by"]["S"], [])
        low, high = (ExpressionAttributeValues[name]["S"] for name in (":low", ":high"))
        begin = bisect_left(partition, low, key=self._time)
        end = (
            bisect_right(partition, high, key=self._time) if ExclusiveStartKey is None else ExclusiveStartKey
        )
        start = max(begin, end - min(Limit or self.releases, _PAGE_BYTES // self._bytes))
        page = [typed(self.item(-number)) for number in reversed(partition[start:end])]
        self._count(len(page))
        more = {"LastEvaluatedKey": start} if start > begin else {}
        return {"Items": page, **more}

    def _time(self, number: int) -> str:
        return moment(self._began(-number))

    def _image(self, number: int) -> ImageRef:
        return ImageRef(f"application-{number % _APPLICATIONS}-dev", Digest.of(str(number).encode()))

    def _began(self, number: int) -> datetime:
        return _NOW - timedelta(days=_DAYS) * (number / self.releases)

    def _count(self, items: int) -> None:
        self.requests += 1
        self.items += items
        self.units += max(1, ceil(items * self._bytes / _UNIT_BYTES)) / 2


def size_of(item: Item) -> int:
    """Return the bytes of an item, as DynamoDB counts them: names and texts in UTF-8, numbers by their digits."""
    return sum(
        len(name.encode()) + sum(len(str(one).encode()) for one in _values(item[name])) for name in item
    )


def _values(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, (set, frozenset)) else (value,)


_SOME = Digest.of(b"some")
_RELEASED = Release(
    image=ImageRef("application-0-dev", _SOME),
    attempt=1,
    stage="dev",
    policy=_SOME,
    tags=frozenset({"1.2.3"}),
    reason=StartReason.PUSH,
    started_at=_NOW,
    changes=1,
    pushed_at=_NOW,
    verdict="PASS",
    attention="log",
    decision=_SOME,
    signature=_SOME,
    evidence=(_SOME,),
    promotion=Promotion("application-0-staging", _SOME, ("1.2.3",)),
    outcome=Outcome.RELEASED,
    closed_at=_NOW,
    detail="promoted to application-0-staging",
    message_id="5f2b1c0e-7c1d-5e0f-9a34-46b8f2c9d001",
)


if __name__ == "__main__":
    raise SystemExit(main())
