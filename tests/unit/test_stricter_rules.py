"""A stricter policy never passes more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings

from imagegate.findings.finding import Severity
from imagegate.policy.policy import Stage
from imagegate.policy.rules import Action, Limit, NoGrace, ProhibitedPackage, Rule
from tests.unit.any_trials import any_trials
from tests.unit.trials import CRITICAL, HIGH, HOUR, Trial, never_opens


def _limits(change: Callable[[Limit], Limit]) -> Callable[[Stage], Stage]:
    def changed(gate: Stage) -> Stage:
        limits = {severity: change(limit) for severity, limit in gate.findings.max.items()}
        return replace(gate, findings=replace(gate.findings, max=limits))

    return changed


def _kinds(change: Callable[[Limit], Limit]) -> Callable[[Stage], Stage]:
    def changed(gate: Stage) -> Stage:
        limits = {kind: change(limit) for kind, limit in gate.findings.max_of_kind.items()}
        return replace(gate, findings=replace(gate.findings, max_of_kind=limits))

    return changed


def _findings(**changes: Any) -> Callable[[Stage], Stage]:
    return lambda gate: replace(gate, findings=replace(gate.findings, **changes))


def _image(**changes: Any) -> Callable[[Stage], Stage]:
    return lambda gate: replace(gate, image=replace(gate.image, **changes))


def _enforced(rules: Any) -> Any:
    """Return rules that enforce what they only warned about, or did not check."""
    found = {name: getattr(rules, name) for name in rules.__slots__}
    enforced = {k: replace(v, action=Action.ENFORCE) for k, v in found.items() if isinstance(v, Rule)}
    return replace(rules, **enforced)


def _all_limited(gate: Stage) -> Stage:
    return _findings(max={HIGH: Limit(9), CRITICAL: Limit(9), **gate.findings.max})(gate)


def _shorter(gate: Stage) -> Stage:
    return _findings(grace={severity: time / 7 for severity, time in gate.findings.grace.items()})(gate)


def _only_critical(gate: Stage) -> Stage:
    return _findings(only_fixable=gate.findings.only_fixable & {CRITICAL})(gate)


def _no_grace(**changes: Any) -> Callable[[Stage], Stage]:
    return lambda gate: _findings(no_grace=replace(gate.findings.no_grace, **changes))(gate)


def _likely(gate: Stage) -> Stage:
    return _no_grace(epss=min(gate.findings.no_grace.epss or 1, 0.3))(gate)


def _denied(gate: Stage) -> Stage:
    known = gate.findings.deny.value if gate.findings.deny else frozenset[str]()
    return _findings(deny=Rule(known | {"CVE-3"}))(gate)


def _prohibited(gate: Stage) -> Stage:
    known = gate.findings.prohibited.value if gate.findings.prohibited else ()
    return _findings(prohibited=Rule((*known, ProhibitedPackage("z*"))))(gate)


def _labelled(gate: Stage) -> Stage:
    known = gate.image.labels.value if gate.image.labels else {}
    return _image(labels=Rule({**known, "cost": "?*"}))(gate)


STRICTER: Mapping[str, Callable[[Stage], Stage]] = {
    "lower limits": _limits(lambda limit: replace(limit, value=max(limit.value - 1, 0))),
    "limits that enforce": _limits(lambda limit: replace(limit, action=Action.ENFORCE)),
    "lower limits of kinds": _kinds(lambda limit: replace(limit, value=max(limit.value - 1, 0))),
    "limits of kinds that enforce": _kinds(lambda limit: replace(limit, action=Action.ENFORCE)),
    "no secret": _kinds(lambda _: Limit(0)),
    "limits for all": _all_limited,
    "none of any severity": _findings(max=dict.fromkeys(Severity, Limit(0))),
    "rules about findings that enforce": lambda gate: replace(gate, findings=_enforced(gate.findings)),
    "rules about images that enforce": lambda gate: replace(gate, image=_enforced(gate.image)),
    "evidence that is enforced": lambda gate: replace(gate, evidence=_enforced(gate.evidence)),
    "what has no fix counts": _findings(only_fixable=frozenset()),
    "what has no fix counts when high": _only_critical,
    "shorter grace": _shorter,
    "no grace": _findings(grace={}),
    "no grace for the exploited": _no_grace(known_exploited=True),
    "no grace for what has an exploit": _no_grace(exploit_available=True),
    "no grace for the likely": _likely,
    "no grace for anything urgent": _findings(no_grace=NoGrace(True, True, 0.0)),
    "no comparison": _findings(no_worse_than_next=False),
    "one more denied": _denied,
    "one more prohibited": _prohibited,
    "fresh scans": lambda gate: replace(gate, max_scan_age=HOUR),
    "young images": _image(max_age=Rule(HOUR)),
    "small images": _image(max_size=Rule(50_000_000)),
    "one more label": _labelled,
    "one base fewer": lambda gate: _image(base_images=gate.image.base_images and Rule(()))(gate),
    "more platforms": _image(platforms=Rule(frozenset({"linux/amd64", "linux/arm64"}))),
    "no root": _image(non_root=Rule(True)),
    "tags of one form": _image(tags=Rule(("1.*",))),
    "forbidden tags": _image(forbidden_tags=Rule(("*t",))),
}


@pytest.mark.parametrize("name", STRICTER)
@settings(max_examples=20)
@given(case=any_trials)
def test_a_stricter_rule_never_passes_more(name: str, case: Trial) -> None:
    never_opens(case, replace(case, stage=STRICTER[name](case.stage)))


@given(any_trials)
def test_without_an_image_to_compare_with_nothing_more_passes(case: Trial) -> None:
    never_opens(case, replace(case, baseline=None))


@given(any_trials)
def test_the_less_the_next_stage_has_the_less_passes(case: Trial) -> None:
    assume(case.baseline)
    for place in case.baseline or ():
        never_opens(case, replace(case, baseline=(case.baseline or frozenset()) - {place}))
