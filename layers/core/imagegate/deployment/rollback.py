"""Rollback: an earlier release of a repository is announced to deployers again, by its digest.

Rules: the earlier release passed its gate, is still signed, and nothing was decided against it since. A second rollback
goes to the release before that one; after a new release, the history continues from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from imagegate.canonical_json import parse_timestamp
from imagegate.deployment.check import passes
from imagegate.oci.image import Digest
from imagegate.release.release import Outcome, Release

if TYPE_CHECKING:
    from imagegate.policy.policy import Stage

_ANNOUNCED = frozenset({Outcome.RELEASED, Outcome.HELD})
# The time limit of the state machine: releases end in another order than they begin, but not by more.
_LONGEST_RELEASE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Rollback:
    """A rollback, as it is stored. `came_from`: the release that it replaces; it was released at `since`, if known."""

    repository: str
    to: Digest
    came_from: Digest
    by: str  # ARN
    at: datetime
    reason: str
    since: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for the ledger, with microseconds: a release of the same second is either before or after it."""
        return {
            "repository": self.repository,
            "to": str(self.to),
            "from": str(self.came_from),
            "by": self.by,
            "at": _moment(self.at),
            "reason": self.reason,
            **({"since": _moment(self.since)} if self.since else {}),
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
            since=parse_timestamp(raw["since"]) if "since" in raw else None,
        )


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def announced_releases(
    releases: Iterable[Release], rollbacks: Sequence[Rollback], stage: Stage
) -> list[Release]:
    """Return the releases that were announced to deployers, newest first: each image once, without those rolled back.

    Releases that are revoked since, or never passed (by break-glass, or in a stage that observed), are included: they
    may run.
    """
    events: list[tuple[datetime, Release | Rollback]] = [
        (one.closed_at or one.started_at, one) for one in releases if _was_announced(one, stage)
    ]
    events += [(one.at, one) for one in rollbacks]
    by_digest: dict[Digest, Release] = {}
    order: list[Digest] = []
    for _, event in sorted(events, key=lambda each: each[0]):
        if isinstance(event, Release):
            by_digest[event.image.digest] = event
            order = [digest for digest in order if digest != event.image.digest] + [event.image.digest]
        elif event.to in order:
            order = order[: order.index(event.to) + 1]
        else:
            order.append(event.to)
    return [by_digest[digest] for digest in reversed(order) if digest in by_digest]


def current_release(
    releases: Iterable[Release], rollbacks: Sequence[Rollback], stage: Stage
) -> Release | None:
    """Return the release that was announced to deployers last, or None.

    `releases`, newest first, are read only as far as needed.
    """
    read: list[Release] = []
    missing = {rollback.to for rollback in sorted(rollbacks, key=lambda one: one.at)[-1:]}
    announced_at: datetime | None = None
    for release in releases:
        if announced_at and not missing and release.started_at < announced_at - _LONGEST_RELEASE:
            break
        read.append(release)
        if _was_announced(release, stage):
            missing.discard(release.image.digest)
            announced_at = max(announced_at or release.started_at, release.closed_at or release.started_at)
    return next(iter(announced_releases(read, rollbacks, stage)), None)


def _was_announced(release: Release, stage: Stage) -> bool:
    return passes(release, stage) or (release.outcome in _ANNOUNCED and release.stage == stage.name)
