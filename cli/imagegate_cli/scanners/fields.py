"""Fields of a scanner's document. What is not of the type that its format prescribes is refused, with its path.

A field is named by the keys that lead to it: `text(raw, "Layer", "Digest")`. Absent, null and "" are the same, for
Go's encoder leaves out or nulls what is empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from imagegate.canonical_json import parse_timestamp, timestamp
from imagegate.errors import RejectedInputError

T = TypeVar("T")
Raw = dict[str, Any]

_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "text", bool: "true or false"}


class MalformedError(Exception):
    """A part of the document cannot be read. Its path grows outwards: `Results[2].Vulnerabilities[0].Severity`."""

    def __init__(self, problem: str, *path: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = [part for part in path if part]

    def within(self, part: str) -> MalformedError:
        return MalformedError(self.problem, part, *self.path)

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.problem}" if self.path else self.problem


def each(raw: Raw, *keys: str, read: Callable[[Raw], T]) -> list[T]:
    """Read every element of a list of objects; an absent list is empty."""
    found: list[T] = []
    for position, element in enumerate(elements(raw, *keys)):
        try:
            found.append(read(_expect(dict, element)))
        except MalformedError as error:
            raise error.within(f"{'.'.join(keys)}[{position}]") from error
    return found


def elements(raw: Raw, *keys: str) -> list[Any]:
    found = _at(raw, keys)
    return [] if found is None else _expect(list, found, *keys)


def inner(raw: Raw, *keys: str) -> Raw:
    """An object, or an empty one where there is none."""
    found = _at(raw, keys)
    return {} if found is None else _expect(dict, found, *keys)


def text(raw: Raw, *keys: str) -> str:
    found = optional(raw, *keys)
    if found is None:
        raise MalformedError("missing", *keys)
    return found


def optional(raw: Raw, *keys: str) -> str | None:
    found = _at(raw, keys)
    return None if found is None or found == "" else _text(found, keys)


def texts(raw: Raw, *keys: str) -> list[str]:
    path = ".".join(keys)
    return [_text(found, (f"{path}[{n}]",)) for n, found in enumerate(elements(raw, *keys))]


def number(raw: Raw, *keys: str, highest: float) -> float | None:
    """From 0 to `highest`."""
    found = _at(raw, keys)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise MalformedError(f"a number was expected, not {_kind(found)}", *keys)
    # In this order: an integer can be too large for a float, and infinity is larger than any of them.
    if not 0 <= found <= highest:
        raise MalformedError(f"not a number from 0 to {highest:g}: {str(found)[:20]}", *keys)
    return float(found)


def moment(raw: Raw, *keys: str) -> datetime | None:
    """RFC 3339, or seconds since 1970 as AWS writes them; Go's zero time is none."""
    found = _at(raw, keys)
    if found is None or found == "" or (isinstance(found, str) and found.startswith("0001-01-01")):
        return None
    try:
        if isinstance(found, int | float) and not isinstance(found, bool):
            return datetime.fromtimestamp(found, UTC)
        return parse_timestamp(found)
    except (RejectedInputError, ValueError, OverflowError, OSError) as error:
        raise MalformedError(f"not a time: {str(found)[:40]!a}", *keys) from error


def day_or_moment(raw: Raw, *keys: str) -> str | None:
    """A day as it stands there, or a time as RFC 3339 in UTC."""
    found = _at(raw, keys)
    if isinstance(found, str) and len(found) == len("2026-11-21"):
        try:
            return date.fromisoformat(found).isoformat()
        except ValueError as error:
            raise MalformedError(f"not a day: {found!a}", *keys) from error
    when = moment(raw, *keys)
    return timestamp(when) if when else None


def plain(raw: Raw, *keys: str) -> Raw | None:
    """An object that is taken over as it is; None where there is none."""
    found = inner(raw, *keys)
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise MalformedError("half a surrogate pair", *keys) from error
    return found or None


def left_over(raw: Raw, known: frozenset[str]) -> dict[str, int]:
    """The sections that nobody here reads, and how much is in each: no part of a report is passed over in silence."""
    sections = {
        key: value for key, value in raw.items() if key not in known and isinstance(value, list | dict)
    }
    return {ascii(key)[1:-1][:40]: len(value) for key, value in sections.items() if value}


def counted(sections: Mapping[str, int], who: str) -> list[str]:
    """A note that names them; none where there are none."""
    listed = ", ".join(f"{number} under {name}" for name, number in sections.items())
    return [f"{who} also reports {listed}: not judged"] if sections else []


def _at(raw: Raw, keys: Sequence[str]) -> Any:
    found: Any = raw
    for depth, key in enumerate(keys):
        if found is None:
            return None
        found = _expect(dict, found, *keys[:depth]).get(key)
    return found


def _expect(kind: type[T], value: object, *path: str) -> T:
    if not isinstance(value, kind):
        raise MalformedError(f"{_KINDS[kind]} was expected, not {_kind(value)}", *path)
    return value


def _text(value: object, path: Sequence[str]) -> str:
    found = _expect(str, value, *path)
    if not found.isascii():
        try:
            found.encode()
        except UnicodeEncodeError as error:
            raise MalformedError("half a surrogate pair", *path) from error
    return found


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return _KINDS.get(type(value), "a number")
