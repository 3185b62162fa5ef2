"""Strict reading of JSON: a document that another client could read differently is refused.

Go's decoder folds the case of keys, merges duplicate keys and repairs broken text; Python's does none of these.
Sources: Go's encoding/json, "Unmarshal"; RFC 8259, sections 4 and 8.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from imagegate.errors import AmbiguousDocumentError, RejectedInputError

T = TypeVar("T")

LONGEST = (
    4 * 1024 * 1024
)  # bytes; the largest manifest that registries accept (distribution-spec, "Pushing Manifests")
# Deeper documents could exhaust the stack of a reader.
DEPTH = 32
SIGNED_DEPTH = 16  # of signed documents, and of trust policies, which need at most five
_SHOWN = 200
# Go folds ASCII case and exactly these two letters beyond it (unicode.SimpleFold).
_FOLDED = str.maketrans({"\u017f": "s", "\u212a": "k"})


def read_object(
    content: bytes,
    name: str,
    refused: type[RejectedInputError] = AmbiguousDocumentError,
    *,
    depth: int = DEPTH,
    longest: int = LONGEST,
) -> dict[str, Any]:
    """Return the JSON object that `content` consists of.

    Raises `refused` for more than `longest` bytes, anything but UTF-8, a byte order mark, duplicate keys, NaN, half
    surrogates, more than `depth` levels, and any content after the object.
    """
    if len(content) > longest:
        raise refused(f"{name} has {len(content)} bytes; at most {longest} are read")
    try:
        value = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
        _check_depth(value, depth)
        json.dumps(value, ensure_ascii=False).encode()  # refuses half surrogates
    except (ValueError, RecursionError) as error:
        raise refused(f"{name} is not exact JSON: {_why(error)}") from error
    if not isinstance(value, dict):
        raise refused(f"{name} is not a JSON object")
    return value


def known_keys(*names: str) -> Mapping[str, str]:
    """Return the keys of one struct by their folded form."""
    return MappingProxyType({fold(name): name for name in names})


def check_keys(value: Any, known: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the object. Raises `AmbiguousDocumentError` for a key that Go would read as one of the known keys."""
    if not isinstance(value, dict):
        raise AmbiguousDocumentError(f"{name} is not a JSON object")
    for key in value:
        known_key = known.get(fold(key))
        if known_key is not None and known_key != key:
            raise AmbiguousDocumentError(
                f"{name} has the key {shown(key)}, which other clients read as {known_key!r}"
            )
    return value


def fold(key: str) -> str:
    """Return the key as Go's decoder compares it."""
    return key.translate(_FOLDED).lower()


def optional(kind: type[T], value: dict[str, Any], key: str, name: str) -> T | None:
    """Return a value of exactly this type, or None if it is absent or null."""
    member = value.get(key)
    if member is None:
        return None
    if type(member) is not kind:
        raise AmbiguousDocumentError(f"{name}: {key} is {shown(member)}, which is no {kind.__name__}")
    return member


def texts(value: dict[str, Any], key: str, name: str) -> dict[str, str]:
    """Return a map of strings to strings, empty if it is absent or null."""
    members = optional(dict, value, key, name) or {}
    if not all(isinstance(text, str) for text in members.values()):
        raise AmbiguousDocumentError(f"{name}: not every value of {key} is text")
    return members


def require_keys(
    value: Any,
    required: frozenset[str],
    name: str,
    refused: type[RejectedInputError],
    optional: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Return the object. Raises `refused` if a required key is missing or a key is unknown."""
    if not isinstance(value, dict):
        raise refused(f"{name} is not an object")
    missing, unknown = sorted(required - set(value)), sorted(set(value) - required - optional)
    if missing or unknown:
        raise refused(f"{name}: missing {missing}, not understood {shown(unknown)}")
    return value


def is_texts(value: Any) -> bool:
    """Say whether the value is a list of strings."""
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def shown(value: Any) -> str:
    """Return a foreign value for a message: in ASCII, and cut if it is long."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise _RefusedError(f"the key {shown(twice)} is there twice")
    return members


class _RefusedError(ValueError):
    """A reason in our own words: no text of the document appears in it unescaped."""


def _refuse_constant(text: str) -> None:
    raise _RefusedError(f"{text} is no JSON")


def _check_depth(value: Any, most: int) -> None:
    level: list[Any] = [value]
    for _ in range(most):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise _RefusedError(f"it is nested more than {most} deep")


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, _RefusedError) else type(error).__name__
