"""Rollback: deployers are told once more of a release from before. Nothing that can change is needed: it is a digest.

Rules: what is gone back to has passed its gate, is still signed, and nothing was decided against it since; who goes
back twice goes back to the one before, and a release after that begins anew from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from imagegate.canonical_json import parse_timestamp
from imagegate.deployment.check import passes
from imagegate.oci.image import Digest
from imagegate.policy.policy import Stage
from imagegate.release.release import Outcome, Release

_TOLD = frozenset({Outcome.RELEASED, Outcome.HELD})


@dataclass(frozen=True, slots=True)
class Rollback:
    """One, as it is kept. `came_from`: what was released last before it."""

    repository: str
    to: Digest
    came_from: Digest
    by: str  # ARN
    at: datetime
    reason: str

    def as_json(self) -> dict[str, Any]:
        """The time as exactly as it is known: what was released in the same second came before or after it."""
        return {
            "repository": self.repository,
            "to": str(self.to),
            "from": str(self.came_from),
            "by": self.by,
            "at": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, raw: Any) -> Self:
        return cls(
            repository=str(raw["repository"]),
            to=Digest.parse(raw["to"]),
            came_from=Digest.parse(raw["from"]),
            by=str(raw["by"]),
            at=parse_timestamp(raw["at"]),
            reason=str(raw["reason"]),
        )


def lately(releases: Iterable[Release], rollbacks: Sequence[Rollback], stage: Stage) -> list[Release]:
    """What deployers were told of, the last first: each image once, without what was gone back from.

    Also what does not hold any more, or never passed (by break-glass, or while its stage observed): it may run.
    """
    told: list[tuple[datetime, Release | Rollback]] = [
        (one.closed_at or one.started_at, one) for one in releases if _was_told(one, stage)
    ]
    told += [(one.at, one) for one in rollbacks]
    known: dict[Digest, Release] = {}
    way: list[Digest] = []
    for _, one in sorted(told, key=lambda each: each[0]):
        if isinstance(one, Release):
            known[one.image.digest] = one
            way = [digest for digest in way if digest != one.image.digest] + [one.image.digest]
        elif one.to in way:
            way = way[: way.index(one.to) + 1]
        else:
            way.append(one.to)
    return [known[digest] for digest in reversed(way) if digest in known]


def _was_told(release: Release, stage: Stage) -> bool:
    return passes(release, stage) or (release.outcome in _TOLD and release.stage == stage.name)
