"""ECR's own preview of a lifecycle policy, compared with the simulation: a difference is named, never hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagegate.lifecycle.rules import LifecycleAction
from imagegate.lifecycle.simulation import LifecycleEffect, Simulation

if TYPE_CHECKING:
    from imagegate.lifecycle.rules import LifecycleRule
    from imagegate.lifecycle.stored_image import StoredImage
    from imagegate.oci.image import Digest


@dataclass(frozen=True, slots=True)
class PreviewedEffect:
    """One image of a preview (GetLifecyclePolicyPreview, previewResults)."""

    action: LifecycleAction
    priority: int | None


def find_differences(simulation: Simulation, preview: Mapping[Digest, PreviewedEffect]) -> list[str]:
    """Return a sentence for each image about which ECR and the simulation disagree.

    Evidence that follows its image is no result of a rule, so a preview may leave it out.
    """
    ours = {
        digest: effect for digest, effect in simulation.effects.items() if effect.rule or digest in preview
    }
    differences = []
    for digest in sorted({*ours, *preview}):
        mine = ours.get(digest)
        by_us = _words(mine.action, mine.rule.priority if mine.rule else None) if mine else "keeps it"
        theirs = preview.get(digest)
        by_ecr = _words(theirs.action, theirs.priority) if theirs else "keeps it"
        if by_us != by_ecr:
            differences.append(f"{digest}: ECR {by_ecr}, the simulation {by_us}")
    return differences


def as_simulation(
    rules: Sequence[LifecycleRule], images: Sequence[StoredImage], preview: Mapping[Digest, PreviewedEffect]
) -> Simulation:
    """Return the preview in the form of a simulation, so that its dangers can be found."""
    by_priority = {rule.priority: rule for rule in rules}
    effects = {
        image.digest: LifecycleEffect(image, one.action, by_priority.get(one.priority or 0))
        for image in images
        if (one := preview.get(image.digest)) is not None
    }
    return Simulation(effects)


def _words(action: LifecycleAction, priority: int | None) -> str:
    verb = "expires it" if action is LifecycleAction.EXPIRE else "archives it"
    return f"{verb} by rule {priority}" if priority else verb
