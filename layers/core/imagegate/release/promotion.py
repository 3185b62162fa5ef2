"""Promotion: which tags of a release move to the next stage, and where they moved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagegate.oci.image import Digest
    from imagegate.policy.policy import Stage


@dataclass(frozen=True, slots=True)
class Promotion:
    """The repository and the tags that an image was promoted to."""

    repository: str
    digest: Digest
    tags: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"repository": self.repository, "digest": str(self.digest), "tags": list(self.tags)}


@dataclass(frozen=True, slots=True)
class TagPlan:
    """The tags of a release, by what happens to them."""

    move: tuple[str, ...]  # they match promote_tags, and still point to this digest
    gone: tuple[str, ...]  # they match, but point to another digest now
    kept: tuple[str, ...]  # they do not match: they stay in this stage

    @property
    def is_superseded(self) -> bool:
        return bool(self.gone) and not self.move


def plan_tags(stage: Stage, requested: Iterable[str], present: Iterable[str]) -> TagPlan:
    """Plan the promotion of the requested tags. `present`: the tags that point to the digest now."""
    here, tags = frozenset(present), sorted(requested)
    matching = [tag for tag in tags if stage.promotes(tag)]
    return TagPlan(
        move=tuple(tag for tag in matching if tag in here),
        gone=tuple(tag for tag in matching if tag not in here),
        kept=tuple(tag for tag in tags if not stage.promotes(tag)),
    )
