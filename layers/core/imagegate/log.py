"""Log entries as one line of JSON each, without characters that control a terminal."""

from __future__ import annotations

from typing import Any

from imagegate.text import json_text


def log_line(entry: dict[str, Any]) -> str:
    """Return an entry of the Powertools Logger as JSON (its option `json_serializer`)."""
    return json_text(entry, default=str, separators=(",", ":"))
