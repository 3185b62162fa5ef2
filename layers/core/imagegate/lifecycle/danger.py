"""Dangers of lifecycle rules: what they would take that has to stay, and what they promise and never do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from imagegate.lifecycle.rules import LifecycleAction, LifecycleRule
from imagegate.lifecycle.stored_image import StoredImage, named_subjects

if TYPE_CHECKING:
    from imagegate.lifecycle.simulation import LifecycleEffect, Simulation
    from imagegate.oci.image import Digest


class DangerKind(StrEnum):
    """The kinds of dangers; of all but the last, the rules must not be applied."""

    PROTECTED = "protected"
    EVIDENCE = "evidence"
    HALF_INDEX = "half an index"
    NO_EFFECT = "no effect"


@dataclass(frozen=True, slots=True)
class Danger:
    """One danger in a sentence. `rule`: the priority, or None if no rule of its own takes the image."""

    kind: DangerKind
    rule: int | None
    digest: Digest | None
    sentence: str

    @property
    def is_grave(self) -> bool:
        return self.kind is not DangerKind.NO_EFFECT


def find_dangers(
    rules: Sequence[LifecycleRule],
    images: Sequence[StoredImage],
    simulations: Sequence[Simulation],
    protected: Mapping[Digest, Sequence[str]],
) -> list[Danger]:
    """Return the dangers of every reading, each once. `protected`: the reasons why images have to stay."""
    dangers = [danger for one in simulations for danger in _dangers(images, one.effects, protected)]
    dangers += [
        Danger(DangerKind.NO_EFFECT, rule.priority, None, _no_effect(rule))
        for rule in rules
        if not any(one.selected.get(rule.priority) for one in simulations)
    ]
    return list(dict.fromkeys(dangers))


def _no_effect(rule: LifecycleRule) -> str:
    every = (
        f"each of {', '.join(rule.patterns)}: a list means all of them"
        if len(rule.patterns) > 1
        else "its selection"
    )
    return f"no image of the repository fits {every if rule.patterns else 'its selection'}"


def _dangers(
    images: Sequence[StoredImage],
    effects: Mapping[Digest, LifecycleEffect],
    protected: Mapping[Digest, Sequence[str]],
) -> Iterator[Danger]:
    digests = {image.digest for image in images}
    parents = {
        child: image.digest for image in images if image.digest not in effects for child in image.children
    }
    for digest, effect in effects.items():
        number = effect.rule.priority if effect.rule else None
        verb = "expire" if effect.action is LifecycleAction.EXPIRE else "archive"
        if reasons := protected.get(digest):
            yield Danger(
                DangerKind.PROTECTED, number, digest, f"would {verb} an image that {'; '.join(reasons)}"
            )
        for subject in named_subjects(effect.image):
            if subject in digests and subject not in effects:
                sentence = f"would {verb} evidence of {subject.short}, which stays"
                yield Danger(DangerKind.EVIDENCE, number, digest, sentence)
        if digest in parents:
            sentence = f"would {verb} a part of the index {parents[digest].short}, which stays"
            yield Danger(DangerKind.HALF_INDEX, number, digest, sentence)
