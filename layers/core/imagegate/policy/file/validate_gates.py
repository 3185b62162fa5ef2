"""Faults of the rules at a gate: rules without a value, and rules that would do nothing or block everything.

It reads the plain data in the long form, so that it finds faults also in a file that has others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imagegate.findings.finding import Severity
from imagegate.policy.approval_terms import matches_one_person
from imagegate.policy.file.inheritance import FILTERS, LIMITS, RULES, ExpandedPolicy, part_at, rule_value
from imagegate.policy.file.values import OFF
from imagegate.policy.file.yaml import PathFault, did_you_mean
from imagegate.policy.policy import Scanner

_SEVERITIES = frozenset(severity.lower() for severity in Severity)
_Gate = Mapping[str, Any]
# Facts that basic scanning does not give (Amazon ECR user guide, "Scan images for software vulnerabilities").
_FIX = "whether there is a fix"
_CONTENT = "what an image is made of"
_NO_GRACE = {
    "known_exploited": "what is known to be exploited",
    "exploit_available": "whether there is an exploit",
    "epss": "how probable an exploitation is",
}


def gate_faults(gates: ExpandedPolicy) -> Iterator[PathFault]:
    """Yield every fault of the stages' rules, with its path in the long form."""
    is_basic = gates.data.get("scanner", Scanner.BASIC) == Scanner.BASIC
    for name, gate in gates.stages.items():
        for path, message in _gate_faults(name, gate, gates.stages, is_basic=is_basic):
            yield ("stages", name, *path), message
    waivers = gates.data.get("waivers")
    for number, waiver in enumerate(waivers if is_basic and isinstance(waivers, list) else ()):
        if isinstance(waiver, dict) and waiver.get("until") == "fix_available":
            yield ("waivers", number, "until"), _not_by_basic(_FIX, "key")


def _gate_faults(
    name: str, gate: _Gate, stages: Mapping[str, _Gate], *, is_basic: bool
) -> Iterator[PathFault]:
    yield from _rules_without_value(gate)
    yield from _needs_of_other_stages(name, gate, stages)
    yield from _base_stages(name, gate, stages)
    yield from _grace(name, gate)
    yield from _tags(gate)
    yield from _approval(name, gate)
    if is_basic:
        yield from _basic_scanning(gate)


def _rules_without_value(gate: _Gate) -> Iterator[PathFault]:
    limits = part_at(gate, *LIMITS)
    paths = [*sorted(RULES), *((*LIMITS, str(key)) for key in (limits if isinstance(limits, dict) else ()))]
    for path in paths:
        rule = part_at(gate, *path)
        if isinstance(rule, dict) and rule.get("action") != OFF and not rule.keys() - {"action"}:
            kind = "filter" if path in FILTERS else "rule"
            yield path, f"has no value, and nothing below gives one: give the {kind} a value, or write off"


def _needs_of_other_stages(name: str, gate: _Gate, stages: Mapping[str, _Gate]) -> Iterator[PathFault]:
    """Check the settings that need a stage after this one, or before it."""
    is_last = gate.get("promotes_to") is None
    if is_last and gate.get("soak") not in (None, OFF):
        yield ("soak",), f"no stage follows {name}: images stay there; take it out"
    if is_last and rule_value(gate, "findings", "no_worse_than") == "next_stage":
        todo = f"say no_worse_than: off in stages.{name}.findings"
        yield ("findings", "no_worse_than", "value"), f"no stage follows {name}: {todo}"
    is_first = all(stage.get("promotes_to") != name for stage in stages.values())
    if is_first and rule_value(gate, "evidence", "require_signature") is True:
        todo = f"say require_signature: off in stages.{name}.evidence"
        yield ("evidence", "require_signature", "value"), f"no gate before {name} could have signed: {todo}"


def _base_stages(name: str, gate: _Gate, stages: Mapping[str, _Gate]) -> Iterator[PathFault]:
    bases = rule_value(gate, "image", "base_images")
    for number, base in enumerate(bases if isinstance(bases, list) else ()):
        path = ("image", "base_images", "value", number)
        if base == name:
            yield path, f"{name} cannot be built on itself: say base_images: off in stages.{name}.image"
        elif isinstance(base, str) and base and base not in stages:
            yield path, f"there is no stage {base!r}" + did_you_mean(base, stages)


def _grace(name: str, gate: _Gate) -> Iterator[PathFault]:
    grace = rule_value(gate, "findings", "grace")
    for severity, duration in (grace if isinstance(grace, dict) else {}).items():
        if severity not in _SEVERITIES or duration in (None, OFF):
            continue
        if rule_value(gate, *LIMITS, severity) is None:
            message = f"{name} has no limit for {severity}, so there is nothing to wait for"
            path = ("findings", "grace", "value", severity)
            yield path, f"{message}: give it one in findings.max, or write off"


def _tags(gate: _Gate) -> Iterator[PathFault]:
    """Check that some tag is allowed. Patterns are only compared as texts, so that other conflicts are not found."""
    allowed, forbidden = (rule_value(gate, "image", key) for key in ("tags", "forbidden_tags"))
    if not isinstance(forbidden, list):
        return
    path = ("image", "forbidden_tags", "value")
    if "*" in forbidden:
        yield path, "forbids every tag"
    elif isinstance(allowed, list) and allowed and all(glob in forbidden for glob in allowed):
        yield path, "forbids every tag that image.tags allows"


def _approval(name: str, gate: _Gate) -> Iterator[PathFault]:
    """Check that enough people may approve, and that nobody decides by mail about the last stage."""
    terms = gate.get("approval")
    if not isinstance(terms, dict):
        return
    approvers, by_mail, sessions = (
        terms[key] if isinstance(terms.get(key), list) else []
        for key in ("approvers", "by_mail", "named_sessions")
    )
    if by_mail and gate.get("promotes_to") is None:
        why = "whoever reads a mailbox would decide about it; name approvers"
        yield ("approval", "by_mail"), f"not for the last stage, {name}: {why}"
    people = {*map(str, approvers), *(str(address).lower() for address in by_mail)}
    # A tag or a glob can match any number of people.
    are_counted = bool(approvers) and all(matches_one_person(one, map(str, sessions)) for one in people)
    quorum = terms.get("quorum")
    if are_counted and isinstance(quorum, int) and quorum > len(people):
        yield ("approval", "quorum"), f"{quorum} have to approve, and only {len(people)} may"


def _basic_scanning(gate: _Gate) -> Iterator[PathFault]:
    """Check for rules that need facts which basic scanning does not give."""
    if rule_value(gate, "findings", "only_fixable"):
        yield ("findings", "only_fixable", "value"), _not_by_basic(_FIX, "rule")
    if part_at(gate, "findings", "grace_starts") == "fix_available":
        yield ("findings", "grace_starts"), _not_by_basic(_FIX, "rule")
    no_grace = rule_value(gate, "findings", "no_grace")
    for key, fact in _NO_GRACE.items():
        value = no_grace.get(key) if isinstance(no_grace, dict) else None
        if value is not None and value is not False and value != OFF:  # 0 is a probability
            yield ("findings", "no_grace", "value", key), _not_by_basic(fact, "rule")
    if part_at(gate, "evidence", "sbom") not in (None, OFF):
        yield ("evidence", "sbom"), _not_by_basic(_CONTENT, "key")


def _not_by_basic(fact: str, kind: str) -> str:
    return f"basic scanning does not say {fact}: say scanner: enhanced, or take the {kind} out"
