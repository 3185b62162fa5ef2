"""A rollback: a person has deployers go back to an earlier release. Nothing is built, judged, signed or tagged for it.

Rules: what was told to deployers last is what there is to go back from; who goes back from an image has given it up, so
that going back once more leads to the one before, and never forth again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from imagegate.domain.canonical import parse_timestamp, timestamp
from imagegate.domain.image import Digest, ImageRef
from imagegate.domain.release import Outcome, Release

# What is in its stage, also while the next one holds it.
_TOLD = frozenset({Outcome.RELEASED, Outcome.HELD})


@dataclass(frozen=True, slots=True)
class Rollback:
    """`number` counts the rollbacks of one repository from 1: of two at the same moment, one is the first."""

    repository: str
    number: int
    at: datetime
    by: str  # ARN
    reason: str  # may be empty
    origin: Digest
    target: Digest

    @property
    def image(self) -> ImageRef:
        return ImageRef(self.repository, self.target)

    @property
    def id(self) -> str:
        return f"rollback-{self.repository}-{self.number}"

    @property
    def because(self) -> str:
        return self.reason or "no reason given"

    def as_json(self) -> dict[str, Any]:
        return {
            "at": timestamp(self.at),
            "by": self.by,
            "reason": self.reason,
            "from": str(self.origin),
            "to": str(self.target),
        }

    @classmethod
    def from_json(cls, repository: str, number: int, raw: Any) -> Self:
        return cls(
            repository,
            number,
            parse_timestamp(raw["at"]),
            str(raw["by"]),
            str(raw["reason"]),
            Digest.parse(raw["from"]),
            Digest.parse(raw["to"]),
        )


def line_of(attempts: Iterable[Release], rollbacks: Iterable[Rollback]) -> list[Digest]:
    """The images of one repository that deployers were told of and nobody has given up; the one told last ends it.

    Also what did not pass and was told all the same, by break-glass or while its stage only observed: it may run.
    """
    releases = [(one.closed_at, one) for one in attempts if one.closed_at and one.outcome in _TOLD]
    returns = [(one.at, one) for one in rollbacks]
    line: list[Digest] = []
    for _, event in sorted([*releases, *returns], key=lambda told: told[0]):
        line = _after(line, event)
    return line


def _after(line: list[Digest], event: Release | Rollback) -> list[Digest]:
    if isinstance(event, Release):
        return [*(one for one in line if one != event.image.digest), event.image.digest]
    if event.target in line:
        return line[: line.index(event.target) + 1]
    return [*(one for one in line if one != event.origin), event.target]
