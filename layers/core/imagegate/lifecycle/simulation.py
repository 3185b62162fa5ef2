"""A simulation of ECR's lifecycle evaluator: what each rule would do with each image.

Source: Amazon ECR user guide, "How lifecycle policies work" and "Examples of lifecycle policies". All rules see the
same images. Then they are applied by priority. An image that fits the tags of a rule is never touched by a later rule,
even if that rule keeps it; rules that count still count it.

Two things are not documented: whether a rule selects evidence of an image that stays, and whether children of an index
are counted. `Reading` has both answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from imagegate.lifecycle.rules import CountType, LifecycleAction, LifecycleRule, StorageClass
from imagegate.lifecycle.stored_image import StorageStatus, StoredImage, newest_first

if TYPE_CHECKING:
    from imagegate.oci.image import Digest


class Reading(Enum):
    """The images that rules select beside indexes and images without evidence."""

    IMAGES = "images"  # as a preview of a real registry showed it: children of an index are not counted
    EVERYTHING = "everything"  # evidence too; the worst that the documentation allows


@dataclass(frozen=True, slots=True)
class LifecycleEffect:
    """The effect on one image. `rule` is None if it only follows another one."""

    image: StoredImage
    action: LifecycleAction
    rule: LifecycleRule | None
    because_of: Digest | None = None  # the image that it is evidence of


@dataclass(frozen=True, slots=True)
class Simulation:
    """The effects by digest, and how many images each rule selects by their tags."""

    effects: Mapping[Digest, LifecycleEffect]
    selected: Mapping[int, int] = field(default_factory=dict)  # by priority


def simulate(
    rules: Sequence[LifecycleRule],
    images: Iterable[StoredImage],
    now: datetime,
    reading: Reading = Reading.IMAGES,
) -> Simulation:
    """Return what ECR would do now. `rules`: by ascending priority, as `parse_lifecycle` returns them."""
    stored = list(images)
    eligible = list(_eligible(stored, reading))
    effects: dict[Digest, LifecycleEffect] = {}
    selected: dict[int, int] = {}
    taken: dict[StorageClass, set[Digest]] = {one: set() for one in StorageClass}
    for rule in rules:
        fitting = [
            image for image in eligible if _class_of(image) is rule.storage_class and rule.selects(image.tags)
        ]
        selected[rule.priority] = len(fitting)
        for image in _over(rule, fitting, now):
            if image.digest not in taken[rule.storage_class]:
                effects[image.digest] = LifecycleEffect(image, rule.action, rule)
        taken[rule.storage_class].update(image.digest for image in fitting)
    return Simulation(effects | _followers(stored, effects), selected)


def _eligible(images: Sequence[StoredImage], reading: Reading) -> Iterator[StoredImage]:
    """Yield what rules look at: no child of an index that is there, and, by one reading, no evidence."""
    digests = {image.digest for image in images}
    children = {child for image in images for child in image.children}
    for image in images:
        is_evidence = image.subject in digests
        if image.digest not in children and not (is_evidence and reading is Reading.IMAGES):
            yield image


def _class_of(image: StoredImage) -> StorageClass | None:
    """Return the storage class, or None while an image is restored: no rule touches it."""
    if image.status is StorageStatus.ACTIVATING:
        return None
    return StorageClass.ARCHIVE if image.status is StorageStatus.ARCHIVED else StorageClass.STANDARD


def _over(rule: LifecycleRule, fitting: list[StoredImage], now: datetime) -> list[StoredImage]:
    """Return the images that are over the rule's count or age, the oldest first."""
    by_age = newest_first(fitting)
    if rule.count_type is CountType.MORE_THAN:
        return by_age[rule.count :][::-1]
    age = timedelta(days=rule.count)
    return [image for image in reversed(by_age) if now - _clock(rule, image) > age]


def _clock(rule: LifecycleRule, image: StoredImage) -> datetime:
    match rule.count_type:
        case CountType.PULLED:
            return image.last_used
        case CountType.TRANSITIONED:
            return image.archived_at or image.begins
        case _:
            return image.begins


def _followers(
    images: Sequence[StoredImage], effects: Mapping[Digest, LifecycleEffect]
) -> dict[Digest, LifecycleEffect]:
    """Return evidence that goes with its image, and evidence of that evidence."""
    followers: dict[Digest, LifecycleEffect] = {}
    before = -1
    while len(followers) > before:
        before = len(followers)
        known = {**effects, **followers}
        for image in images:
            if image.subject in known and image.digest not in known:
                followers[image.digest] = LifecycleEffect(
                    image, known[image.subject].action, None, image.subject
                )
    return followers
