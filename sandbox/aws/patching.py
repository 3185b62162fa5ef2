"""Replacements of moto's functions that can be undone."""

from __future__ import annotations

from typing import Any


class Patches:
    """The replacements of one module. A second replacement keeps the first original."""

    def __init__(self) -> None:
        self._originals: dict[tuple[Any, str], Any] = {}

    def set(self, owner: Any, name: str, value: Any) -> None:
        self._originals.setdefault((owner, name), getattr(owner, name))
        setattr(owner, name, value)

    def undo(self) -> None:
        for (owner, name), original in self._originals.items():
            setattr(owner, name, original)
        self._originals.clear()
