"""The choice of samples, which anybody can repeat.

All exceptions are chosen. The others are in two groups for each stage: the attempts that passed, and those that were
refused. In each group, the attempts with the lowest hash of seed and name are chosen. Nobody can
steer which ones these are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from imagegate.canonical_json import timestamp
from imagegate.errors import RejectedInputError
from imagegate.gate.verdict import VerdictOutcome
from imagegate.release.release import Outcome, Release
from imagegate.strict_json import is_texts, require_keys

if TYPE_CHECKING:
    from imagegate_cli.evidence_pack.period import AuditPeriod

_KEYS = frozenset({"name", "stage", "outcome", "closedAt", "group"})

RULE = (
    "All exceptions (let through by break-glass, let through unsigned by a stage that observes, or revoked), and of"
    " each stage and group (passed, refused) the attempts with the lowest SHA-256 of `SEED`, a line feed and"
    " `REPOSITORY@DIGEST attempt NUMBER`, at most SIZE of each"
)


MOST = 500  # samples of one group


class SampleGroup(StrEnum):
    """The groups of attempts, by how each ended."""

    EXCEPTION = "exception"
    PASSED = "passed"
    REFUSED = "refused"
    OTHER = (
        "other"  # failed, superseded, withdrawn, in conflict or without a record: counted, and never chosen
    )


@dataclass(frozen=True, slots=True)
class PopulationEntry:
    """An attempt that ended in the period."""

    name: str  # REPOSITORY@DIGEST attempt NUMBER
    stage: str
    outcome: str
    closed_at: str
    group: SampleGroup

    @classmethod
    def of(cls, release: Release) -> Self:
        """Return the entry of an attempt that has ended."""
        closed = timestamp(release.closed_at) if release.closed_at else ""
        return cls(str(release.id), release.stage, str(release.outcome), closed, group_of(release))

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "stage": self.stage,
            "outcome": self.outcome,
            "closedAt": self.closed_at,
            "group": str(self.group),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read the output of `as_json`. Raises `RejectedInputError` or `ValueError` for anything else."""
        require_keys(raw, _KEYS, "an attempt of the population", RejectedInputError)
        if not is_texts(list(raw.values())):
            raise ValueError("an attempt of the population has a value that is no text")
        return cls(raw["name"], raw["stage"], raw["outcome"], raw["closedAt"], SampleGroup(raw["group"]))

    @property
    def fits(self) -> bool:
        """Return whether an attempt that ended so can be in its group."""
        is_through = self.outcome in (Outcome.RELEASED, Outcome.HELD)
        if self.group in (SampleGroup.PASSED, SampleGroup.OTHER):
            return is_through is (self.group is SampleGroup.PASSED)
        return self.group is SampleGroup.EXCEPTION or self.outcome == Outcome.BLOCKED


def group_of(release: Release) -> SampleGroup:
    """Return the group of an attempt."""
    if release.decision is None:
        return SampleGroup.OTHER
    is_through = release.outcome in (Outcome.RELEASED, Outcome.HELD)
    if release.revoked or release.break_glass or (is_through and release.verdict != VerdictOutcome.PASS):
        return SampleGroup.EXCEPTION
    if is_through:
        return SampleGroup.PASSED
    return SampleGroup.REFUSED if release.outcome is Outcome.BLOCKED else SampleGroup.OTHER


def seed_of(stack_arn: str, period: AuditPeriod) -> str:
    """Return the seed of the choice. It follows from what the pack is about, so that nobody can choose it."""
    return f"{stack_arn} {period}"


def choose(population: Iterable[PopulationEntry], seed: str, size: int) -> list[PopulationEntry]:
    """Return the chosen entries, in the order of their names."""
    groups: dict[tuple[str, SampleGroup], list[PopulationEntry]] = {}
    for entry in population:
        groups.setdefault((entry.stage, entry.group), []).append(entry)
    chosen = (one for (_, group), some in groups.items() for one in _of_group(group, some, seed, size))
    return sorted(chosen, key=lambda entry: entry.name)


def _of_group(
    group: SampleGroup, entries: Sequence[PopulationEntry], seed: str, size: int
) -> Iterator[PopulationEntry]:
    if group is SampleGroup.OTHER:
        return
    by_hash = sorted(entries, key=lambda entry: hashlib.sha256(f"{seed}\n{entry.name}".encode()).hexdigest())
    yield from by_hash if group is SampleGroup.EXCEPTION else by_hash[:size]
