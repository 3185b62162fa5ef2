"""What was found, stage by stage, and as machines get it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from imagegate.canonical_json import timestamp
from imagegate.policy.policy import Mode
from imagegate.release.release import Release
from imagegate_cli.enforcement.current_images import StageImages
from imagegate_cli.enforcement.flip import Flip
from imagegate_cli.enforcement.route import EnforcementPlan, PlanStep, Waive


@dataclass(frozen=True, slots=True)
class StageReport:
    stage: str
    mode: Mode
    tally: StageImages
    route: EnforcementPlan
    earlier: int = 0  # of what stands: judged under a policy that is not deployed any more
    flip: Flip | None = None  # None: the stage enforces already


@dataclass(frozen=True, slots=True)
class EnforcementReport:
    since: datetime
    span: timedelta
    policy: str
    stages: Sequence[StageReport]


def as_json(report: EnforcementReport) -> dict[str, Any]:
    return {
        "since": timestamp(report.since),
        "policy": report.policy,
        "stages": [_stage_json(one) for one in report.stages],
    }


def _stage_json(report: StageReport) -> dict[str, Any]:
    tally, route = report.tally, report.route
    return {
        "stage": report.stage,
        "mode": str(report.mode),
        "judged": len(tally.judged),
        "blocked": tally.blocked,
        "fixed_since": tally.fixed,
        "replaced": tally.replaced,
        "standing": [_image_json(release) for release in tally.standing],
        "judged_under_an_earlier_policy": report.earlier,
        "steps": [_step_json(route, step) for step in route.steps],
        "or_waivers": [_waive_json(waive, route.repositories_at_once(waive)) for waive in route.or_waivers],
        "left": [{"image": plan.name, "why": list(plan.hopeless)} for plan in route.left],
        "flip": report.flip.as_json() if report.flip else None,
    }


def _image_json(release: Release) -> dict[str, Any]:
    return {
        "repository": release.image.repository,
        "digest": str(release.image.digest),
        "tags": sorted(release.tags),
        "decision": str(release.decision),
    }


def _step_json(route: EnforcementPlan, step: PlanStep) -> dict[str, Any]:
    return {
        "actions": [
            {"kind": action.kind, "about": list(action.about), "texts": route.texts(action)}
            for action in step.actions
        ],
        "waivers": [_waive_json(waive, route.repositories(waive)) for waive in step.waivers],
        "frees": sorted(plan.name for plan in step.frees),
    }


def _waive_json(waive: Waive, repositories: list[str]) -> dict[str, Any]:
    return {"what": waive.what, "package": waive.package, "repositories": repositories}
