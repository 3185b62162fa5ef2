"""The effects of another policy on images that were judged: on each image, and on all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from imagegate.board import release_facts as facts
from imagegate.canonical_json import timestamp
from imagegate.gate.decision_record import Decision
from imagegate.gate.verdict import VerdictOutcome
from imagegate.policy.policy import Mode, Policy, Stage
from imagegate.release.release import Release


class Effect(StrEnum):
    """The effect of another policy on an image, the gravest first."""

    BLOCKED = "would be blocked"
    UNKNOWN = "cannot be told"
    UNSIGNED = "would go on unsigned (observe)"
    OTHERWISE = "would fail in another way"
    OBSERVED = "would be let through (observe)"
    PASSES = "would pass"


_ORDER = {effect: rank for rank, effect in enumerate(Effect)}


@dataclass(frozen=True, slots=True)
class StageVerdict:
    """A verdict in a stage of that mode."""

    outcome: VerdictOutcome
    mode: Mode
    reasons: Sequence[dict[str, str]]

    @property
    def blocks(self) -> bool:
        return self.outcome is not VerdictOutcome.PASS and self.mode is Mode.ENFORCE

    @property
    def why(self) -> str:
        blocking = [reason["message"] for reason in self.reasons if reason["action"] == "enforce"]
        more = f" (+{len(blocking) - 1} more)" if len(blocking) > 1 else ""
        return f"{blocking[0]}{more}" if blocking else ""

    def __str__(self) -> str:
        is_observed = self.outcome is not VerdictOutcome.PASS and self.mode is Mode.OBSERVE
        return f"{self.outcome} (observed)" if is_observed else str(self.outcome)

    def as_json(self) -> dict[str, Any]:
        return {"verdict": str(self.outcome), "mode": str(self.mode), "reasons": list(self.reasons)}


@dataclass(frozen=True, slots=True)
class ReplayedImage:
    """An image, judged by both policies. `problem` is the fact that the new rules need and the record lacks."""

    release: Release
    decision: Decision
    stage: Stage
    before: StageVerdict
    after: StageVerdict
    problem: str = ""

    @property
    def effect(self) -> Effect | None:
        """The effect, or None if nothing changes."""
        before, after = self.before, self.after
        if after.outcome is before.outcome and after.blocks is before.blocks:
            return None
        if self.problem:
            return Effect.UNKNOWN
        if after.outcome is VerdictOutcome.PASS:
            return Effect.PASSES
        if after.blocks is not before.blocks:
            return Effect.BLOCKED if after.blocks else Effect.OBSERVED
        return Effect.UNSIGNED if before.outcome is VerdictOutcome.PASS else Effect.OTHERWISE

    @property
    def why(self) -> str:
        if self.after.outcome is self.before.outcome and self.after.mode is not self.before.mode:
            return f"the stage says {self.after.mode} now: {self.after.why}"
        if self.after.outcome is VerdictOutcome.PASS:
            return f"no longer counts: {self.before.why}"
        return f"{self.problem}: {self.after.why}" if self.problem else self.after.why

    def as_json(self) -> dict[str, Any]:
        return {
            "repository": self.release.image.repository,
            "digest": str(self.release.image.digest),
            "tags": sorted(self.release.tags),
            "stage": self.stage.name,
            "decision": str(self.release.decision),
            "judged_at": timestamp(self.decision.judged_at),
            "effect": str(self.effect),
            "why": self.why,
            "before": self.before.as_json(),
            "after": self.after.as_json(),
        }


@dataclass(frozen=True, slots=True)
class UnreadableImage:
    """An image that cannot be judged again, and why."""

    release: Release
    why: str

    def as_json(self) -> dict[str, Any]:
        image = self.release.image
        tags = sorted(self.release.tags)
        return {"repository": image.repository, "digest": str(image.digest), "tags": tags, "why": self.why}


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The result of a replay over all images."""

    policy: Policy
    since: datetime
    replayed: Sequence[ReplayedImage]
    unreadable: Sequence[UnreadableImage]
    unmanaged: Sequence[Release]  # in repositories of no stage of the new policy

    @property
    def changes(self) -> list[ReplayedImage]:
        """The images whose verdict changes, as far as the records tell."""
        changed = [one for one in self.replayed if one.effect not in (None, Effect.UNKNOWN)]
        changed.sort(key=lambda one: (_ORDER[one.effect or Effect.PASSES], facts.name(one.release)))
        return changed

    @property
    def unknown(self) -> list[ReplayedImage]:
        """The images whose record lacks a fact that the new rules need. They are no changes."""
        images = [one for one in self.replayed if one.effect is Effect.UNKNOWN]
        return sorted(images, key=lambda one: facts.name(one.release))

    def as_json(self) -> dict[str, Any]:
        numbers = Counter(one.effect for one in self.changes)
        return {
            "policy": str(self.policy.digest),
            "since": timestamp(self.since),
            "judged_again": len(self.replayed),
            "effects": {str(effect): numbers[effect] for effect in Effect if numbers[effect]},
            "changes": [one.as_json() for one in self.changes],
            "cannot_be_told": [one.as_json() for one in self.unknown],
            "not_judged_again": [one.as_json() for one in self.unreadable],
            "unmanaged": sorted({release.image.repository for release in self.unmanaged}),
        }
