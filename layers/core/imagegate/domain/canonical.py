"""One byte form for records, so that a digest names them: sorted keys, no spaces, UTF-8 (as RFC 8785 for our types)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from imagegate.domain.errors import RejectedInputError


def canonical_json(value: Any) -> bytes:
    """Encode strings, booleans, null, integers, lists and dicts with string keys."""
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
        default=_refuse,
    ).encode()


def _refuse(value: object) -> None:
    raise RejectedInputError(f"not canonical JSON: {type(value).__name__}")


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds: `2026-11-21T07:52:38Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: object) -> datetime:
    """Read what `timestamp` writes, and any other RFC 3339 time with a zone."""
    if isinstance(text, str):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = datetime.min  # noqa: DTZ901 - has no zone: refused below
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    raise RejectedInputError(f"not an RFC 3339 time with a zone: {text!r}")
