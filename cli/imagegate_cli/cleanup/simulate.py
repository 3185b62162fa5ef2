"""Simulation of ECR's lifecycle rules in a repository, with what they must not take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from imagegate.lifecycle.danger import Danger, find_dangers
from imagegate.lifecycle.preview import PreviewedEffect, as_simulation, find_differences
from imagegate.lifecycle.rules import parse_lifecycle
from imagegate.lifecycle.simulation import Reading, Simulation, simulate
from imagegate.oci.image import Digest
from imagegate.workflow.cleanup.parts import CleanupParts

Preview = Callable[[str, str], Mapping[Digest, PreviewedEffect] | None]


@dataclass(frozen=True, slots=True)
class SimulatedRules:
    """The result. `differences`: from ECR's preview, or None if the registry has none."""

    simulation: Simulation
    dangers: Sequence[Danger]
    differences: Sequence[str] | None

    @property
    def is_safe(self) -> bool:
        return not self.differences and not any(danger.is_grave for danger in self.dangers)


def simulate_rules(
    parts: CleanupParts, content: bytes, repository: str, now: datetime, preview: Preview
) -> SimulatedRules:
    """Simulate the rules, by both readings of what is not documented, and compare with ECR's preview.

    Raises `InvalidLifecycleError` for rules that ECR refuses.
    """
    rules = parse_lifecycle(content)
    inventory = parts.inventory.read(repository)
    simulations = [simulate(rules, inventory.images, now, reading) for reading in Reading]
    previewed = preview(repository, content.decode())
    differences = None
    if previewed is not None:
        differences = find_differences(simulations[0], previewed)
        simulations.append(as_simulation(rules, inventory.images, previewed))
    taken = {digest: effect.image for one in simulations for digest, effect in one.effects.items()}
    protected = parts.planning(now).protected(inventory, taken, now)
    dangers = find_dangers(rules, inventory.images, simulations, protected)
    return SimulatedRules(simulations[0], dangers, differences)
