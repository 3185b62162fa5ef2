"""Finds images in use that are built on a base image which has a later release, and what a rebuild would remove.

The base of an image is known if a rule of its stage is about base images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagegate.board import release_facts as facts
from imagegate.errors import RecordNotFoundError
from imagegate.gate.decision_record import Decision
from imagegate.gate.facts import ImageFacts
from imagegate.workflow.examination.stored_findings import places_of
from imagegate_cli.output.spinner import map_with_spinner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagegate.gate.facts import BaseImage
    from imagegate.oci.image import ImageRef
    from imagegate.release.release import Release
    from imagegate_cli.stack import Stack


@dataclass(frozen=True, slots=True)
class OutdatedBase:
    """A base image with a later release, the images in use on it, and the findings that each loses by a rebuild."""

    base: BaseImage
    newer: BaseImage
    images: tuple[Release, ...]
    removes: int

    def as_json(self) -> dict[str, Any]:
        return {
            "base": self.base.as_json(),
            "newer": self.newer.as_json(),
            "removes": self.removes,
            "images": [
                {
                    "repository": one.image.repository,
                    "digest": str(one.image.digest),
                    "tags": sorted(one.tags),
                }
                for one in self.images
            ],
        }

    @property
    def row(self) -> tuple[str, str, str, str]:
        """The base, its successor, the number of findings that a rebuild removes, and the images."""
        base, newer = (one.image.name(one.tags) for one in (self.base, self.newer))
        return base, newer, str(self.removes), ", ".join(map(facts.name, self.images))


def find_outdated_bases(stack: Stack) -> list[OutdatedBase]:
    """Return the outdated bases of images in use, those first whose rebuilds remove most findings."""
    images = [due.image for due in stack.ledger.images_in_use()]
    pairs = map_with_spinner("reading decisions", images, lambda image: _base_of(stack, image))
    on_base: dict[ImageRef, tuple[BaseImage, list[Release]]] = {}
    for base, release in filter(None, pairs):
        on_base.setdefault(base.image, (base, []))[1].append(release)
    bases = [_compare(stack, base, releases) for base, releases in on_base.values()]
    return sorted(filter(None, bases), key=lambda one: -one.removes * len(one.images))


def _base_of(stack: Stack, image: ImageRef) -> tuple[BaseImage, Release] | None:
    release = stack.ledger.latest(image)
    if release is None or release.decision is None:
        return None
    try:
        decision = Decision.decode(stack.records.decision(release.decision))
    except RecordNotFoundError:
        return None
    platforms = ImageFacts.from_json(decision.facts).platforms if decision.facts else ()
    base = next((platform.base for platform in platforms if platform.base), None)
    return (base, release) if base else None


def _compare(stack: Stack, base: BaseImage, releases: Sequence[Release]) -> OutdatedBase | None:
    newer = stack.ledger.latest_base(base.image.repository)
    if newer is None or newer.image == base.image:
        return None
    try:
        gone = places_of(stack.records, base.decision) - places_of(stack.records, newer.decision)
    except RecordNotFoundError:
        gone = frozenset()
    return OutdatedBase(base, newer, tuple(releases), len(gone))
