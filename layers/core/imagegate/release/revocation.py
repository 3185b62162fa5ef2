"""Revocation: a person, never a rule, declares the signatures of an image invalid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from imagegate.canonical_json import parse_timestamp, timestamp


@dataclass(frozen=True, slots=True)
class Revocation:
    """The note on each signed attempt of an image, and on its latest one. After it no attempt begins."""

    at: datetime
    by: str  # ARN
    reason: str

    def __str__(self) -> str:
        return f"revoked on {self.at:%Y-%m-%d %H:%M} UTC by {self.by}: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        return {"at": timestamp(self.at), "by": self.by, "reason": self.reason}

    @classmethod
    def from_json(cls, raw: Any) -> Self:
        return cls(parse_timestamp(raw["at"]), str(raw["by"]), str(raw["reason"]))


@dataclass(frozen=True, slots=True)
class RunsIn:
    """A cluster that runs an image. `units`: the tasks or pods that run now."""

    cluster: str  # ARN
    units: int
    last_seen: datetime | None = None
    service: str = ""  # the group of the tasks: service:NAME, or family:NAME of single tasks

    def __str__(self) -> str:
        where = f" {self.service}" if self.service else ""
        return f"{self.cluster}{where}: {self.units} running"
