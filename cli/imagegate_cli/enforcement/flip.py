"""Which line of the policy makes a stage enforce what it only observes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_MODE = "mode: enforce"


@dataclass(frozen=True, slots=True)
class Flip:
    """`says`: what to write there; `note`: what else is to be known."""

    where: str  # policy.yaml:12
    says: str  # stages.dev.mode: enforce
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"where": self.where, "says": self.says, "note": self.note or None}


def flip_of(content: bytes, name: str, stage: str) -> Flip:
    """Where `mode` is written, or where it has to be added."""
    from imagegate.policy.file.load import examine

    examined = examine(content)
    lines, path = examined.document.lines, ("stages", stage, "mode")
    if path in lines:
        return Flip(f"{name}:{lines[path]}", f"stages.{stage}.{_MODE}")
    if path[:2] not in lines:
        return Flip(name, f"stages.{stage}.{_MODE}", f"{name} has no stage {stage}")
    written = examined.gates.locate(path)
    note = f"defaults say observe, in line {lines[written]}" if written in lines else ""
    return Flip(f"{name}:{lines[path[:2]]}", f"add to stages.{stage}: {_MODE}", note)
