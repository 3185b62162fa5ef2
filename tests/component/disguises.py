"""Every kind of disguise, by name: each makes an image or an index that clients could read in two ways."""

from __future__ import annotations

import random
from typing import Any

from tests.component.disguise_shapes import Disguise, Maker
from tests.component.disguised_indexes import BY_STRUCTURE
from tests.component.disguised_keys import BY_KEYS, Mutate
from tests.component.disguised_manifests import BY_CONTENT
from tests.component.disguised_values import BY_VALUES

_MUTATIONS: dict[str, Mutate] = {**BY_KEYS, **BY_VALUES}
_MADE = {**BY_STRUCTURE, **BY_CONTENT}
_LEVELS = ("index", "image", "config")
KINDS = sorted([*(f"{level}: {name}" for level in _LEVELS for name in _MUTATIONS), *_MADE])


def disguise(kind: str, chance: random.Random) -> Disguise:
    """Make one of this kind; some carry a second disguise."""
    maker = Maker(chance, docker=not chance.randrange(4))
    if not chance.randrange(6):
        level = chance.choice(_LEVELS)
        maker.changes[level] = _changing(chance, _MUTATIONS[chance.choice(sorted(_MUTATIONS))])
    if kind in _MADE:
        return _MADE[kind](maker)
    level, _, name = kind.partition(": ")
    maker.changes[level] = _changing(chance, _MUTATIONS[name])
    return maker.whole()


def _changing(chance: random.Random, mutate: Mutate) -> Any:
    return lambda document, other: mutate(chance, document, other)
