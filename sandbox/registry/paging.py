"""Pages with an opaque token, for the listings of the JSON API."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from sandbox.registry.errors import EcrError

T = TypeVar("T")


def page(items: Sequence[T], token: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """Return the items from `token` on, and the token of the next page if there is one."""
    start = _position(token) if token else 0
    end = start + limit
    return items[start:end], _token(end) if end < len(items) else None


def _token(position: int) -> str:
    return base64.urlsafe_b64encode(f"from:{position}".encode()).decode()


def _position(token: str) -> int:
    try:
        _, _, position = base64.urlsafe_b64decode(token).decode().partition("from:")
        return int(position)
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise EcrError("InvalidParameterException", "Invalid next token") from error
