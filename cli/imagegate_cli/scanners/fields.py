"""Typed access to the fields of a scanner's document. A field of the wrong type is refused with its path.

A field is named by the keys that lead to it: `text(raw, "Layer", "Digest")`. Absent, null and "" are the same, because
Go's encoder omits empty fields or writes null.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from imagegate.canonical_json import parse_timestamp, timestamp
from imagegate.errors import RejectedInputError

T = TypeVar("T")
Raw = dict[str, Any]

_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "text", bool: "true or false"}


class MalformedError(Exception):
    """A part of the document cannot be read. Callers add to its path: `Results[2].Vulnerabilities[0].Severity`."""

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
    results: list[T] = []
    for position, element in enumerate(elements(raw, *keys)):
        try:
            results.append(read(_expect(dict, element)))
        except MalformedError as error:
            raise error.within(f"{'.'.join(keys)}[{position}]") from error
    return results


def elements(raw: Raw, *keys: str) -> list[Any]:
    value = _value_at(raw, keys)
    return [] if value is None else _expect(list, value, *keys)


def inner(raw: Raw, *keys: str) -> Raw:
    """Return an object, or an empty one if it is absent."""
    value = _value_at(raw, keys)
    return {} if value is None else _expect(dict, value, *keys)


def text(raw: Raw, *keys: str) -> str:
    value = optional(raw, *keys)
    if value is None:
        raise MalformedError("missing", *keys)
    return value


def optional(raw: Raw, *keys: str) -> str | None:
    value = _value_at(raw, keys)
    return None if value is None or value == "" else _text(value, keys)


def texts(raw: Raw, *keys: str) -> list[str]:
    path = ".".join(keys)
    return [_text(value, (f"{path}[{n}]",)) for n, value in enumerate(elements(raw, *keys))]


def number(raw: Raw, *keys: str, highest: float) -> float | None:
    """Return a number from 0 to `highest`, or None if it is absent."""
    value = _value_at(raw, keys)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedError(f"a number was expected, not {_kind(value)}", *keys)
    # In this order: an integer can be too large for a float, and infinity is larger than any of them.
    if not 0 <= value <= highest:
        raise MalformedError(f"not a number from 0 to {highest:g}: {str(value)[:20]}", *keys)
    return float(value)


def flag(raw: Raw, *keys: str) -> bool | None:
    """Return true or false, or None if it is absent."""
    value = _value_at(raw, keys)
    return None if value is None else _expect(bool, value, *keys)


def decimal(raw: Raw, *keys: str, highest: float) -> float | None:
    """Return a number from 0 to `highest` that is written as a text, or None if it is absent."""
    value = optional(raw, *keys)
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,20})?", value) or float(value) > highest:
        raise MalformedError(f"not a number from 0 to {highest:g}: {value[:20]!a}", *keys)
    return float(value)


def moment(raw: Raw, *keys: str) -> datetime | None:
    """Return a time: RFC 3339, or seconds since 1970 as AWS writes them; or None if absent or Go's zero time."""
    value = _value_at(raw, keys)
    if value is None or value == "" or (isinstance(value, str) and value.startswith("0001-01-01")):
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        return parse_timestamp(value)
    except (RejectedInputError, ValueError, OverflowError, OSError) as error:
        raise MalformedError(f"not a time: {str(value)[:40]!a}", *keys) from error


def day_or_moment(raw: Raw, *keys: str) -> str | None:
    """Return a day unchanged, or a time as RFC 3339 in UTC, or None if it is absent."""
    value = _value_at(raw, keys)
    if isinstance(value, str) and len(value) == len("2026-11-21"):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError as error:
            raise MalformedError(f"not a day: {value!a}", *keys) from error
    when = moment(raw, *keys)
    return timestamp(when) if when else None


def plain_object(raw: Raw, *keys: str) -> Raw | None:
    """Return an object unchanged, or None if it is absent or empty."""
    value = inner(raw, *keys)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise MalformedError("half a surrogate pair", *keys) from error
    return value or None


def unread_sections(raw: Raw, known: frozenset[str]) -> dict[str, int]:
    """Return the sections that no reader knows, with the number of entries in each.

    They become a note, so that no part of a report is skipped silently.
    """
    sections = {
        key: value for key, value in raw.items() if key not in known and isinstance(value, list | dict)
    }
    return {ascii(key)[1:-1][:40]: len(value) for key, value in sections.items() if value}


def unread_notes(sections: Mapping[str, int], who: str) -> list[str]:
    """Return a note that names the sections, or no note if there are none."""
    listed = ", ".join(f"{number} under {name}" for name, number in sections.items())
    return [f"{who} also reports {listed}: not judged"] if sections else []


def _value_at(raw: Raw, keys: Sequence[str]) -> Any:
    value: Any = raw
    for depth, key in enumerate(keys):
        if value is None:
            return None
        value = _expect(dict, value, *keys[:depth]).get(key)
    return value


def _expect(kind: type[T], value: object, *path: str) -> T:
    if not isinstance(value, kind):
        raise MalformedError(f"{_KINDS[kind]} was expected, not {_kind(value)}", *path)
    return value


def _text(value: object, path: Sequence[str]) -> str:
    value = _expect(str, value, *path)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise MalformedError("half a surrogate pair", *path) from error
    return value


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return _KINDS.get(type(value), "a number")
