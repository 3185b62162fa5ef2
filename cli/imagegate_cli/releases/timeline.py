"""The timeline of one attempt: when each step began, how long it took, and where its record is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imagegate.canonical_json import timestamp
from imagegate_cli.durations import span
from imagegate_cli.releases.steps import ExecutionHistory

if TYPE_CHECKING:
    from imagegate.release.release import Release
    from imagegate_cli.stack import Stack

_WORKS = ("TaskStateEntered", "WaitStateEntered")


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """One step. `seconds` until the next one, or None for the last. `evidence`: its record, or ""."""

    name: str
    at: datetime
    seconds: float | None
    evidence: str

    @property
    def row(self) -> tuple[str, ...]:
        took = "-" if self.seconds is None else span(self.seconds)
        return (f"{self.at:%Y-%m-%d %H:%M:%S}", took, self.name, self.evidence or "-")

    def as_json(self) -> dict[str, Any]:
        return {
            "step": self.name,
            "at": timestamp(self.at),
            "seconds": self.seconds,
            "evidence": self.evidence or None,
        }


def read_timeline(stack: Stack, release: Release) -> list[TimelineStep]:
    """Return the steps in their order. Without the execution's history only the ledger's times are known."""
    moments = sorted(_moments(stack, release), key=lambda one: one[1])
    following = [at for _, at in moments[1:]]
    ends: list[datetime | None] = [*following, None]
    return [
        TimelineStep(
            name, at, round((end - at).total_seconds(), 1) if end else None, _evidence(release, name)
        )
        for (name, at), end in zip(moments, ends, strict=True)
    ]


def _moments(stack: Stack, release: Release) -> Iterator[tuple[str, datetime]]:
    if release.pushed_at is not None:
        yield "Pushed", release.pushed_at
    yield f"Started ({release.reason})", release.started_at
    yield from ExecutionHistory(stack).moments(release, _WORKS)
    if release.closed_at is not None:
        yield f"Closed ({release.outcome})", release.closed_at
    if release.revoked is not None:
        yield "Revoked", release.revoked.at


def _evidence(release: Release, name: str) -> str:
    """Return the name of the record that the step left: a digest, or the id of the message."""
    records = {
        "Judge Image": release.decision,
        "Sign Image": release.signature,
        "Promote Image": release.promotion.repository if release.promotion else None,
        "Announce": release.message_id,
    }
    return str(records.get(name) or "")
