"""Checks what a pack says about itself: its period, its population, and that the samples are those of the rule.

Nobody signs a population. So everything in it must fit the rest of the pack, and every program must read it alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagegate.canonical_json import parse_timestamp
from imagegate.errors import RejectedInputError
from imagegate.strict_json import require_keys
from imagegate_cli.evidence_pack.archive import ChangedPackError, Pack, read_canonical
from imagegate_cli.evidence_pack.period import AuditPeriod
from imagegate_cli.evidence_pack.sample import MOST, RULE, PopulationEntry, choose, seed_of
from imagegate_cli.verification.bundle import DAMAGE

_HEAD = frozenset(
    ["schema", "stack", "period", "madeAt", "madeBy", "signingProfiles", "sampling", "samples", "members"]
)
_FIXED = ("README.txt", "population.json", "grants.json", "access.json", "activity.json")


@dataclass(frozen=True, slots=True)
class PackChoice:
    """The period of a pack, its population, and the samples of it."""

    period: AuditPeriod
    registry: str  # begin of the registry's name: ACCOUNT.dkr.ecr.REGION.
    population: Sequence[PopulationEntry]
    chosen: Sequence[PopulationEntry]


def read_choice(pack: Pack) -> PackChoice:
    """Return the choice. Raises `ChangedPackError` for a part that does not fit the others."""
    try:
        head = require_keys(pack.manifest, _HEAD, "the manifest", RejectedInputError)
        period = AuditPeriod.parse(head["period"])
        if period is None or str(period) != head["period"]:
            raise ChangedPackError(f"the period {head['period']!r} is none")
        population = _population(pack, period)
        _, _, _, region, account, _ = head["stack"].split(":", 5)
        chosen = choose(population, seed_of(head["stack"], period), _size(head, period))
    except (RejectedInputError, *DAMAGE) as error:
        raise ChangedPackError(f"its manifest or population cannot be read: {error!r}") from error
    _check_members(pack, chosen)
    return PackChoice(period, f"{account}.dkr.ecr.{region}.", population, chosen)


def _size(head: Mapping[str, Any], period: AuditPeriod) -> int:
    """Return the number of samples of each group. The seed is fixed, so that nobody can choose the samples by it."""
    size = head["sampling"]["size"]
    wanted = {"rule": RULE, "seed": seed_of(head["stack"], period), "size": size}
    if head["sampling"] != wanted or type(size) is not int or not 1 <= size <= MOST:
        raise ChangedPackError(
            "the samples are not chosen by the rule, with the seed of this stack and period"
        )
    return size


def _population(pack: Pack, period: AuditPeriod) -> list[PopulationEntry]:
    raw = read_canonical(_member(pack, "population.json"), "population.json")
    population = [PopulationEntry.from_json(one) for one in raw]
    if len({entry.name for entry in population}) != len(population):
        raise ChangedPackError("an attempt is in the population twice")
    for entry in population:
        if not period.since <= parse_timestamp(entry.closed_at) < period.until:
            raise ChangedPackError(f"{entry.name} did not end in the period")
        if not entry.fits:
            raise ChangedPackError(f"{entry.name} ended as {entry.outcome}, so it is not {entry.group}")
    return population


def _check_members(pack: Pack, chosen: Sequence[PopulationEntry]) -> None:
    """Raise `ChangedPackError` unless the pack has exactly the samples of the rule, each with its members."""
    if [entry.name for entry in chosen] != pack.manifest["samples"]:
        raise ChangedPackError("the samples are not those that the rule chooses of the population")
    expected = set(_FIXED)
    for number in range(1, len(chosen) + 1):
        expected |= {f"releases/{number:04}.json", f"bundles/{number:04}.zip"}
    for name in sorted(expected):
        _member(pack, name)
    for name in sorted(set(pack.members) - expected):
        raise ChangedPackError(f"{name} does not belong in a pack")
    for name in sorted(expected):
        if name.endswith(".json"):
            read_canonical(pack.members[name], name)


def _member(pack: Pack, name: str) -> bytes:
    if name not in pack.members:
        raise ChangedPackError(f"{name} is missing")
    return pack.members[name]
