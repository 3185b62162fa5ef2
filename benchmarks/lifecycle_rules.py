"""Random lifecycle rules of ECR, for which the product's simulation and a second reading of the guide are compared."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from benchmarks.cleanup_oracle import expire_by_text
from imagegate.lifecycle.rules import parse_lifecycle
from imagegate.lifecycle.simulation import simulate
from imagegate.lifecycle.stored_image import StoredImage
from tests.fakes.world import NOW

_PATTERNS = (["v*"], ["feature-*", "dev-*"], ["prod-*"], ["*1*"])


def random_rules(chance: random.Random) -> list[dict[str, Any]]:
    """Return rules as the API has them: some for tags, and one each for untagged images and for all."""
    selections: list[dict[str, Any]] = [
        {"tagStatus": "tagged", "tagPatternList": patterns} for patterns in _PATTERNS
    ]
    chance.shuffle(selections)
    selections = [*selections[: chance.randint(0, 4)], {"tagStatus": "untagged"}, {"tagStatus": "any"}]
    return [
        {
            "rulePriority": number * 3,
            "selection": {**selection, **_random_count(chance)},
            "action": {"type": "expire"},
        }
        for number, selection in enumerate(selections, 1)
    ]


def _random_count(chance: random.Random) -> dict[str, Any]:
    number = {"countType": "imageCountMoreThan", "countNumber": chance.randint(1, 4)}
    if chance.random() >= 0.5:
        return number
    return {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": chance.randint(1, 90)}


def readings_differ(rules: list[dict[str, Any]], images: Sequence[StoredImage]) -> bool:
    """Say whether the two readings let different images go."""
    effects = simulate(parse_lifecycle(json.dumps({"rules": rules}).encode()), images, NOW).effects
    ours = {digest: one.rule.priority for digest, one in effects.items() if one.rule}
    return ours != expire_by_text(rules, images, NOW)
