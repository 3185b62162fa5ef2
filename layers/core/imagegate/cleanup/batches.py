"""Batches of a plan: small, and each leaves a right state when the work is stopped after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagegate.cleanup.plan import PlannedImage
    from imagegate.oci.image import Digest

_MOST = 50  # images in a batch, if they do not belong together


def make_batches(steps: Sequence[PlannedImage], most: int = _MOST) -> Iterator[list[list[PlannedImage]]]:
    """Yield batches, each a list of levels: a level is done before the next one.

    A part of several images is in the batch of the last of them, so that a batch that is done leaves no part
    without its index and no evidence without its image. A batch is larger than `most` only if one image alone is.
    """
    owner: dict[Digest, int] = {}
    level: dict[Digest, int] = {}
    members: list[list[PlannedImage]] = []
    for step in steps:
        wholes = [whole for whole in step.wholes if whole in owner]
        owner[step.digest] = max((owner[whole] for whole in wholes), default=len(members))
        level[step.digest] = max((level[whole] + 1 for whole in wholes), default=0)
        if not wholes:
            members.append([])
        members[owner[step.digest]].append(step)
    batch: list[PlannedImage] = []
    for together in members:
        if batch and len(batch) + len(together) > most:
            yield _levels(batch, level)
            batch = []
        batch += together
    if batch:
        yield _levels(batch, level)


def _levels(batch: list[PlannedImage], level: dict[Digest, int]) -> list[list[PlannedImage]]:
    ordered = sorted(batch, key=lambda step: level[step.digest])
    return [list(steps) for _, steps in groupby(ordered, key=lambda step: level[step.digest])]
