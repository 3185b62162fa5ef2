"""JSON that is read exactly as it is written: what signs and what verifies must not understand it differently."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from imagegate.domain.errors import VerificationError

# Signatures and trust policies need five at most; what is deeper could exhaust the stack of whoever prints it.
_MAX_DEPTH = 16
_SHOWN = 200


def exact_object(content: bytes, name: str, refused: type[VerificationError]) -> dict[str, Any]:
    """Parse a JSON object: UTF-8, no duplicate keys, no NaN, no half surrogates, not deep, nothing behind it."""
    try:
        value = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
        _check_depth(value)
        json.dumps(value, ensure_ascii=False).encode()  # refuses half surrogates
    except (ValueError, RecursionError) as error:
        raise refused(f"{name} is not exact JSON: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise refused(f"{name} is not a JSON object")
    return value


def require_keys(
    value: Any,
    required: frozenset[str],
    name: str,
    refused: type[VerificationError],
    optional: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The object, which has all that is required and nothing that is not known."""
    if not isinstance(value, dict):
        raise refused(f"{name} is not an object")
    missing, unknown = sorted(required - set(value)), sorted(set(value) - required - optional)
    if missing or unknown:
        raise refused(f"{name}: missing {missing}, not understood {shown(unknown)}")
    return value


def is_texts(value: Any) -> bool:
    """A list of strings."""
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def shown(value: Any) -> str:
    """For messages: what somebody else wrote, in ASCII and never long."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _refuse_constant(text: str) -> None:
    raise ValueError(text)


def _check_depth(value: Any) -> None:
    level: list[Any] = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise ValueError("nested too deep")


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
