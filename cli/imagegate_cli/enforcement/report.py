"""The report of each stage, and its JSON form; also the line of the policy that turns enforcement on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from imagegate.canonical_json import timestamp
from imagegate.policy.policy import Mode
from imagegate.release.release import Release
from imagegate_cli.enforcement.current_images import StageImages
from imagegate_cli.enforcement.shortest_plan import EnforcementPlan, PlanStep, Waive

_ENFORCE = "mode: enforce"


@dataclass(frozen=True, slots=True)
class ModeChange:
    """The change of the policy that makes a stage enforce its rules."""

    where: str  # policy.yaml:12
    says: str  # stages.dev.mode: enforce
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"where": self.where, "says": self.says, "note": self.note or None}


def mode_change(content: bytes, name: str, stage: str) -> ModeChange:
    """Return the line that sets the stage's mode, or the one below which it must be added.

    `content` and `name` are those of the policy file.
    """
    from imagegate.policy.file.load import load_policy

    examined = load_policy(content)
    lines, path = examined.document.lines, ("stages", stage, "mode")
    if path in lines:
        return ModeChange(f"{name}:{lines[path]}", f"stages.{stage}.{_ENFORCE}")
    if path[:2] not in lines:
        return ModeChange(name, f"stages.{stage}.{_ENFORCE}", f"{name} has no stage {stage}")
    written = examined.gates.locate(path)
    note = f"defaults say observe, in line {lines[written]}" if written in lines else ""
    return ModeChange(f"{name}:{lines[path[:2]]}", f"add to stages.{stage}: {_ENFORCE}", note)


@dataclass(frozen=True, slots=True)
class StageReport:
    """The blocked images of one stage, and the plan that unblocks them."""

    stage: str
    mode: Mode
    images: StageImages
    plan: EnforcementPlan
    earlier: int = 0  # current images that were judged under an earlier policy
    mode_change: ModeChange | None = None  # None if the stage enforces already


@dataclass(frozen=True, slots=True)
class EnforcementReport:
    """The reports of all stages over the last `span`."""

    since: datetime
    span: timedelta
    policy: str
    stages: Sequence[StageReport]


def as_json(report: EnforcementReport) -> dict[str, Any]:
    """Return the report with its keys for programs."""
    return {
        "since": timestamp(report.since),
        "policy": report.policy,
        "stages": [_stage_json(one) for one in report.stages],
    }


def _stage_json(report: StageReport) -> dict[str, Any]:
    images, plan = report.images, report.plan
    return {
        "stage": report.stage,
        "mode": str(report.mode),
        "judged": len(images.judged),
        "blocked": images.blocked,
        "fixed_since": images.fixed,
        "replaced": images.replaced,
        "standing": [_image_json(release) for release in images.current],
        "judged_under_an_earlier_policy": report.earlier,
        "steps": [_step_json(plan, step) for step in plan.steps],
        "or_waivers": [_waive_json(waive, plan.repositories_at_once(waive)) for waive in plan.or_waivers],
        "left": [{"image": one.name, "why": list(one.obstacles)} for one in plan.left],
        "flip": report.mode_change.as_json() if report.mode_change else None,
    }


def _image_json(release: Release) -> dict[str, Any]:
    return {
        "repository": release.image.repository,
        "digest": str(release.image.digest),
        "tags": sorted(release.tags),
        "decision": str(release.decision),
    }


def _step_json(plan: EnforcementPlan, step: PlanStep) -> dict[str, Any]:
    return {
        "actions": [
            {"kind": action.kind, "about": list(action.about), "texts": plan.texts(action)}
            for action in step.actions
        ],
        "waivers": [_waive_json(waive, plan.repositories(waive)) for waive in step.waivers],
        "frees": sorted(one.name for one in step.frees),
    }


def _waive_json(waive: Waive, repositories: list[str]) -> dict[str, Any]:
    return {"what": waive.what, "package": waive.package, "repositories": repositories}
