"""Goes through lists: many items at a time, within a time limit, and past items that are faulty."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

from imagegate.errors import ThrottledError

T = TypeVar("T")
# The items per thread between two looks at the clock, as long as no service asks to slow down.
_ITEMS_A_THREAD = 16


@dataclass(frozen=True, slots=True)
class Swept(Generic[T]):
    """The progress through a list. `last` is the item up to which all are done, `done` the sum of the results."""

    done: int
    last: T | None
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Workers:
    """A pool, and the number of its threads."""

    pool: Executor
    threads: int


@dataclass(slots=True)
class Sweep:
    """Goes through lists. A fault of one item does not stop the others; it is kept under the item's name.

    If a service throttles, half as many items are done at a time from then on, and the throttled ones once more.
    `elapsed` returns the seconds since the begin of the run.
    """

    workers: Workers
    elapsed: Callable[[], float]
    faults: dict[str, Exception] = field(default_factory=dict)
    _width: int = 0

    def __post_init__(self) -> None:
        self._width = self.workers.threads

    def each(
        self,
        what: str,
        listed: Callable[[], Iterable[T]],
        act: Callable[[T], int | None],
        *,
        until: float,
        name: Callable[[T], object] = str,
    ) -> Swept[T]:
        """Call `act` with each item, until so many seconds of the run have passed.

        `what` names the list if it cannot be read, or if a service throttles too much to go on.
        """
        done, last, items = 0, None, self._read(what, listed)
        while some := list(islice(items, self._at_once())):
            if self.elapsed() >= until:
                return Swept(done, last, is_whole=False)
            results = self._call(some, act, until)
            for item, result in zip(some, results, strict=True):
                if isinstance(result, ThrottledError):
                    self.faults[what] = result
                elif isinstance(result, Exception):
                    self.faults[str(name(item))] = result
                else:
                    done += result or 0
            if any(isinstance(result, ThrottledError) for result in results):
                return Swept(done, last, is_whole=False)
            last = some[-1]
        return Swept(done, last, is_whole=what not in self.faults)

    def listed(self, what: str, listed: Callable[[], Iterable[T]]) -> list[T]:
        """Return the items of a list, as far as they can be read."""
        return list(self._read(what, listed))

    def _at_once(self) -> int:
        return self.workers.threads * _ITEMS_A_THREAD if self._width == self.workers.threads else self._width

    def _call(
        self, items: Sequence[T], act: Callable[[T], int | None], until: float
    ) -> list[int | Exception | None]:
        call = partial(_result, act)
        results = list(self.workers.pool.map(call, items))
        throttled = [at for at, result in enumerate(results) if isinstance(result, ThrottledError)]
        if throttled:
            self._width = max(self._width // 2, 1)
        for at in throttled:  # one after the other, which gives the service a rest
            if self.elapsed() >= until:
                break
            results[at] = call(items[at])
            if isinstance(results[at], ThrottledError):
                break
        return results

    def _read(self, what: str, listed: Callable[[], Iterable[T]]) -> Iterator[T]:
        """Yield the items that can be read. An iterator that is broken off ends; others go on behind a fault."""
        items: Iterator[T] | None = None
        while True:
            try:
                items = items or iter(listed())
                item = next(items)
            except StopIteration:
                return
            except Exception as fault:  # noqa: BLE001 - other items are still read, and every fault is reported
                self.faults[what] = fault
                if items is None:
                    return
            else:
                yield item


def _result(act: Callable[[T], int | None], item: T) -> int | Exception | None:
    try:
        return act(item)
    except Exception as fault:  # noqa: BLE001 - the others are still done, and every fault is reported
        return fault
