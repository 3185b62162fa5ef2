"""One byte form for records, so that a digest names them: sorted keys, no spaces, UTF-8.

It is the form of RFC 8785 for the types that we use. Two things differ, and none of our records has them: keys beyond
U+FFFF, which the RFC sorts by UTF-16, and integers from 2**53 on, which the RFC does not have.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from imagegate.errors import RejectedInputError


def canonical_json(value: Any) -> bytes:
    """Encode strings, booleans, null, integers, lists and dicts with string keys. Raises `RejectedInputError`."""
    _check(value)
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise RejectedInputError("not canonical JSON: half a surrogate pair") from error


def _check(value: Any) -> None:
    """Refuse values that encoders write differently: floats, and keys that are not strings."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise RejectedInputError("not canonical JSON: a key that is not a string")
        value = list(value.values())
    if isinstance(value, list | tuple):
        for element in value:
            _check(element)
    elif not (value is None or isinstance(value, str | bool | int)):
        raise RejectedInputError(f"not canonical JSON: {type(value).__name__}")


@lru_cache(maxsize=1024)  # a document repeats the same few times
def timestamp(moment: datetime) -> str:
    """Return RFC 3339 in UTC with whole seconds: `2026-11-21T07:52:38Z`."""
    whole = moment.astimezone(UTC).replace(microsecond=0, tzinfo=None)
    return (
        whole.isoformat() + "Z"
    )  # `strftime` writes years before 1000 with fewer digits, which nobody reads


def parse_timestamp(text: object) -> datetime:
    """Read an RFC 3339 time with a zone, as `timestamp` writes it or in another form. Raises `RejectedInputError`."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # refused below
    raise RejectedInputError(f"not an RFC 3339 time with a zone: {text!r}")
