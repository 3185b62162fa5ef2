"""What the rules of a gate need from each other and from other stages: without it they would do nothing, or block all.

It reads the plain data, so that it finds its faults also in a file that has others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imagegate.findings.finding import Severity
from imagegate.policy.file.approval import approval_faults
from imagegate.policy.file.inheritance import FILTERS, LIMITS, RULES, ExpandedPolicy, rule_value
from imagegate.policy.file.values import OFF
from imagegate.policy.file.yaml import Path, did_you_mean

_SEVERITIES = frozenset(severity.lower() for severity in Severity)
_Stages = Mapping[str, Mapping[str, Any]]


def gate_faults(gates: ExpandedPolicy) -> Iterator[tuple[Path, str]]:
    """Every fault of a stage's rules, with the path in the long form."""
    stages = gates.stages
    for name, gate in stages.items():
        for place, message in _of_gate(name, gate, stages):
            yield ("stages", name, *place), message


def _of_gate(name: str, gate: Mapping[str, Any], stages: _Stages) -> Iterator[tuple[Path, str]]:
    yield from _without_value(gate)
    yield from _neighbours(name, gate, stages)
    yield from _bases(name, gate, stages)
    yield from _grace(name, gate)
    yield from _tags(gate)
    yield from _soak(name, gate)
    yield from approval_faults(name, gate)


def _soak(name: str, gate: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    if gate.get("soak") not in (None, OFF) and gate.get("promotes_to") is None:
        yield ("soak",), f"no stage follows {name}: images stay there; take it out"


def _without_value(gate: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    limits = _at(gate, *LIMITS)
    places = [*sorted(RULES), *((*LIMITS, str(key)) for key in (limits if isinstance(limits, dict) else ()))]
    for place in places:
        rule = _at(gate, *place)
        if isinstance(rule, dict) and rule.get("action") != OFF and not rule.keys() - {"action"}:
            what = "filter" if place in FILTERS else "rule"
            yield place, f"has no value, and nothing below gives one: give the {what} a value, or write off"


def _at(gate: Any, *place: str) -> Any:
    for key in place:
        gate = gate.get(key) if isinstance(gate, dict) else None
    return gate


def _neighbours(name: str, gate: Mapping[str, Any], stages: _Stages) -> Iterator[tuple[Path, str]]:
    if rule_value(gate, "findings", "no_worse_than") == "next_stage" and gate.get("promotes_to") is None:
        where = f"say no_worse_than: off in stages.{name}.findings"
        yield ("findings", "no_worse_than", "value"), f"no stage follows {name}: {where}"
    leads_here = any(stage.get("promotes_to") == name for stage in stages.values())
    if rule_value(gate, "evidence", "require_signature") is True and not leads_here:
        where = f"say require_signature: off in stages.{name}.evidence"
        yield ("evidence", "require_signature", "value"), f"no gate before {name} could have signed: {where}"


def _bases(name: str, gate: Mapping[str, Any], stages: _Stages) -> Iterator[tuple[Path, str]]:
    bases = rule_value(gate, "image", "base_images")
    for number, base in enumerate(bases if isinstance(bases, list) else ()):
        place = ("image", "base_images", "value", number)
        if base == name:
            yield place, f"{name} cannot be built on itself: say base_images: off in stages.{name}.image"
        elif isinstance(base, str) and base and base not in stages:
            yield place, f"there is no stage {base!r}" + did_you_mean(base, stages)


def _grace(name: str, gate: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    grace = rule_value(gate, "findings", "grace")
    for severity, time in (grace if isinstance(grace, dict) else {}).items():
        if severity not in _SEVERITIES or time in (None, OFF):
            continue
        if rule_value(gate, *LIMITS, severity) is None:
            message = f"{name} has no limit for {severity}, so there is nothing to wait for"
            yield (
                ("findings", "grace", "value", severity),
                f"{message}: give it one in findings.max, or write off",
            )


def _tags(gate: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Patterns are not compared with each other: only what nobody can satisfy at a glance."""
    allowed, forbidden = (rule_value(gate, "image", key) for key in ("tags", "forbidden_tags"))
    if not isinstance(forbidden, list):
        return
    place = ("image", "forbidden_tags", "value")
    if "*" in forbidden:
        yield place, "forbids every tag"
    elif isinstance(allowed, list) and allowed and all(glob in forbidden for glob in allowed):
        yield place, "forbids every tag that image.tags allows"
