"""How log entries are written: one line of JSON each, in which nothing steers what shows it."""

from __future__ import annotations

from typing import Any

from imagegate.text import json_text


def log_line(entry: dict[str, Any]) -> str:
    """Serialise an entry of the Powertools Logger (its option `json_serializer`)."""
    return json_text(entry, default=str, separators=(",", ":"))
