"""The plan for one image: its record names the actions; judging it again shows which findings remain after them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imagegate.canonical_json import timestamp
from imagegate.errors import RejectedInputError
from imagegate.findings.finding import Package, Place
from imagegate.gate.decision_record import Decision
from imagegate.gate.facts import BaseImage, ImageFacts
from imagegate.gate.tally import OpenFinding
from imagegate.gate.verdict import Reason
from imagegate.policy.policy import Stage
from imagegate.policy.rules import DENIED, PROHIBITED, SIGNATURE, WAIVABLE, active
from imagegate.policy.rules import Action as Doing
from imagegate.text import counted
from imagegate_cli.enforcement.shortest_plan import FixAction, ImagePlan, Need, Waive

if TYPE_CHECKING:
    from imagegate.gate.evaluation import EvaluationResult
    from imagegate_cli.stack import Stack

_REBUILD = "rebuild"
_CHANGE = "change"  # of the image, so that it satisfies a rule
# `rebuild on base/debian:12 (sha256:0123456789ab)`: rebuilds on any tag of a repository are one action.
_ON = re.compile(r"rebuild on ([^\s:@]+)")


def plan_of(stack: Stack, name: str, decision: Decision) -> ImagePlan:
    """Return the plan of the image. If its record cannot be read, the plan says that nothing unblocks it."""
    blocking = [reason for reason in decision.reasons if reason["action"] == "enforce"]
    others = [reason for reason in blocking if not _is_about_findings(reason["rule"])]
    obstacles = [reason["message"] for reason in others if reason["rule"] not in WAIVABLE]
    plan = ImagePlan(
        name=name,
        repository=decision.image.repository,
        judged_at=timestamp(decision.judged_at),
        texts=dict(_actions(decision.remedies or {})),
    )
    try:
        plan = _with_needs(stack, plan, decision)
    except (RejectedInputError, KeyError):
        reasons = "; ".join(reason["message"] for reason in blocking)
        return replace(plan, obstacles=(f"{reasons} (its findings were not kept)",))
    obstacles += [*plan.obstacles, *_unwaivable(plan)]
    if not (plan.texts or plan.waives or obstacles):
        obstacles += [reason["message"] for reason in blocking] or ["it is not known why"]
    return replace(plan, obstacles=tuple(obstacles))


def _with_needs(stack: Stack, plan: ImagePlan, decision: Decision) -> ImagePlan:
    """Judge the image again and add the waivers that it needs after the actions, and without them."""
    stage = stack.records.policy(decision.policy).stages[decision.stage]
    again = _again(stack, decision)
    rebuilds = any(action.kind == _REBUILD for action in plan.texts)
    gone = _gone(stack, decision) if rebuilds else frozenset[Place]()
    upgraded = {package for action in plan.texts if action.kind != _REBUILD for package in action.about}
    left = (decision.remedies or {}).get("left", {})
    needs = [need for rule, need in _needs(stage, again, upgraded, gone) if rule in left]
    at_once = [need for _, need in _needs(stage, again, set(), frozenset())]
    plan = replace(plan, needs=tuple(needs), needs_at_once=tuple(at_once))
    return _with_rules(plan, [reason for reason in again.verdict.blocking if reason.rule in WAIVABLE])


def _with_rules(plan: ImagePlan, reasons: Sequence[Reason]) -> ImagePlan:
    """Add how to satisfy each rule about the image, and a waiver only of a rule for which nothing else is known.

    A missing signature is never waived: the image passes the gate before, and gets one.
    """
    others = [reason for reason in reasons if not _is_about_findings(reason.rule)]
    unsigned = tuple(reason.message for reason in others if reason.rule == SIGNATURE)
    unknown = {reason.rule for reason in others if not reason.advice}
    changes = {
        FixAction(_CHANGE, (reason.rule, reason.advice)): reason.advice
        for reason in others
        if reason.rule not in unknown
    }
    return replace(
        plan,
        texts={**plan.texts, **changes},
        rules=frozenset(Waive(rule) for rule in unknown - {SIGNATURE}),
        rules_at_once=frozenset(Waive(reason.rule) for reason in others if reason.rule != SIGNATURE),
        obstacles=unsigned if SIGNATURE in unknown else (),
        obstacles_at_once=unsigned,
    )


def _is_about_findings(rule: str) -> bool:
    return rule == PROHIBITED or (rule.startswith("findings.") and rule != "findings.incomplete")


def _actions(remedies: Mapping[str, Any]) -> Iterator[tuple[FixAction, str]]:
    for raw in remedies.get("actions", ()):
        text, kind = str(raw["text"]), str(raw["kind"])
        base = _ON.match(text)
        about = (base[1],) if kind == _REBUILD and base else tuple(map(str, raw["packages"]))
        yield FixAction(kind, about), text


def _again(stack: Stack, decision: Decision) -> EvaluationResult:
    from imagegate.findings.versions import VERSIONS
    from imagegate.workflow.examination.replay import Replay

    return Replay(stack.records, VERSIONS).same(decision)


def _gone(stack: Stack, decision: Decision) -> frozenset[Place]:
    """Return the findings that a rebuild on the base of the record removes."""
    from imagegate.workflow.examination.stored_findings import places_of

    facts = ImageFacts.from_json(decision.facts)
    base = next((platform.base for platform in facts.platforms if platform.base), None)
    if base is None or decision.newer_base is None:
        return frozenset()
    newer = BaseImage.from_json(decision.newer_base)
    return places_of(stack.records, base.decision) - places_of(stack.records, newer.decision)


def _needs(
    stage: Stage, again: EvaluationResult, upgraded: set[str], gone: frozenset[Place]
) -> Iterator[tuple[str, Need]]:
    """Yield, for each rule and platform over its limit, how many findings must be waived after the actions."""
    for scan in again.scans:
        left = [one for one in scan.tally.open if not _is_fixed(one, upgraded, gone)]
        for rule, limit in _limits(stage):
            counted = [one for one in left if one.rule == rule]
            if len(counted) > limit:
                waivable = tuple(filter(None, (_waivers(stage, one) for one in counted)))
                yield rule, Need(len(counted) - limit, waivable)


def _is_fixed(finding: OpenFinding, upgraded: set[str], gone: frozenset[Place]) -> bool:
    if gone and all(place in gone for place in finding.places):
        return True
    return bool(finding.fixes) and all(fix.fixed and fix.package in upgraded for fix in finding.fixes)


def _limits(stage: Stage) -> Iterator[tuple[str, int]]:
    for name, limit in stage.findings.limits():
        if limit.action is Doing.ENFORCE:
            yield name, limit.value
    for name, rule in ((DENIED, stage.findings.deny), (PROHIBITED, stage.findings.prohibited)):
        if rule is not None and rule.action is Doing.ENFORCE:
            yield name, 0


def _waivers(stage: Stage, finding: OpenFinding) -> frozenset[Waive]:
    """Return the waivers that set the finding aside, one for each package; empty if none can."""
    if finding.rule == PROHIBITED:
        rule = active(stage.findings.prohibited)
        packages = [Package(fix.package, fix.installed, ecosystem=fix.ecosystem) for fix in finding.fixes]
        names = {p.name for p in packages for one in (rule.value if rule else ()) if one.names(p)}
        return frozenset(Waive(PROHIBITED, name) for name in names)
    if not finding.fixes:
        return frozenset()
    return frozenset(Waive(vulnerability, package) for vulnerability, package in finding.places)


def _unwaivable(plan: ImagePlan) -> list[str]:
    number = sum(need.number - len(need.findings) for need in plan.needs if not need.is_possible)
    name = "names" if number == 1 else "name"
    return [f"{counted(number, 'finding')} {name} no package, and cannot be waived"] if number else []
