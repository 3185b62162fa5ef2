"""What another policy says of what was judged: one image, or all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from imagegate.canonical_json import timestamp
from imagegate.gate.decision_record import Decision
from imagegate.gate.verdict import VerdictOutcome
from imagegate.policy.policy import Mode, Policy, Stage
from imagegate.release.release import Release
from imagegate_cli.releases import facts


class Effect(StrEnum):
    """What a change comes to, the gravest first."""

    BLOCKED = "would be blocked"
    UNTOLD = "cannot be told"
    UNSIGNED = "would go on unsigned (observe)"
    OTHERWISE = "would fail in another way"
    OBSERVED = "would be let through (observe)"
    PASSES = "would pass"


_ORDER = {effect: rank for rank, effect in enumerate(Effect)}


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict, and what it does in a stage of that mode."""

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
class Replayed:
    """One image, judged by both policies. `problem`: what the record does not say, though the new rules ask."""

    release: Release
    decision: Decision
    stage: Stage
    before: Said
    after: Said
    problem: str = ""

    @property
    def effect(self) -> Effect | None:
        """None: nothing changes."""
        before, after = self.before, self.after
        if after.outcome is before.outcome and after.blocks is before.blocks:
            return None
        if self.problem:
            return Effect.UNTOLD
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
class Unjudged:
    """An image that could not be judged again, and why."""

    release: Release
    why: str

    def as_json(self) -> dict[str, Any]:
        image = self.release.image
        tags = sorted(self.release.tags)
        return {"repository": image.repository, "digest": str(image.digest), "tags": tags, "why": self.why}


@dataclass(frozen=True, slots=True)
class WhatIf:
    """All that was looked at."""

    policy: Policy
    since: datetime
    found: Sequence[Replayed]
    unjudged: Sequence[Unjudged]
    unmanaged: Sequence[Release]  # that no stage of the new policy has

    @property
    def changes(self) -> list[Replayed]:
        changed = [one for one in self.found if one.effect]
        changed.sort(key=lambda one: (_ORDER[one.effect or Effect.PASSES], facts.name(one.release)))
        return changed

    def as_json(self) -> dict[str, Any]:
        numbers = Counter(one.effect for one in self.changes)
        return {
            "policy": str(self.policy.digest),
            "since": timestamp(self.since),
            "judged_again": len(self.found),
            "effects": {str(effect): numbers[effect] for effect in Effect if numbers[effect]},
            "changes": [one.as_json() for one in self.changes],
            "not_judged_again": [one.as_json() for one in self.unjudged],
            "unmanaged": sorted({release.image.repository for release in self.unmanaged}),
        }
