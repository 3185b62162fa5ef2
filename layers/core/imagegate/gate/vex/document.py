"""VEX documents of all formats that are read: OpenVEX and CSAF VEX."""

from __future__ import annotations

import json
from typing import Any

from imagegate.gate.vex import csaf, openvex
from imagegate.gate.vex.openvex import InvalidVexError, VexDocument


def parse(content: bytes, name: str = "") -> VexDocument:
    """Read a document; notes call it `name`. Raise `InvalidVexError` if it is no VEX document."""
    try:
        raw = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidVexError(f"not a VEX document: not JSON that can be read ({error})") from error
    return csaf.read(raw, name) if csaf.is_document(raw) else openvex.read(raw, name)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("an object has a key twice")
    return unique
