"""Promotion: which tags move where, and why they may not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from imagegate.policy.policy import Stage


@dataclass(frozen=True, slots=True)
class TagPlan:
    """What happens to the tags of a release."""

    move: tuple[str, ...]  # match promote_tags and still point to this digest
    gone: tuple[str, ...]  # match, but point elsewhere by now
    kept: tuple[str, ...]  # do not match: they stay in this stage

    @property
    def is_superseded(self) -> bool:
        return bool(self.gone) and not self.move


def plan_tags(stage: Stage, requested: Iterable[str], present: Iterable[str]) -> TagPlan:
    """Split the release's tags. `present`: the tags that point to the digest now."""
    here, tags = frozenset(present), sorted(requested)
    matching = [tag for tag in tags if stage.promotes(tag)]
    return TagPlan(
        move=tuple(tag for tag in matching if tag in here),
        gone=tuple(tag for tag in matching if tag not in here),
        kept=tuple(tag for tag in tags if not stage.promotes(tag)),
    )
