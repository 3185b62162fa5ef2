"""Three layers: what the stage says wins over `defaults`, and those over what is built in, key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.findings.finding import Severity
from imagegate.policy.file.load import parse_policy
from imagegate.policy.policy import Mode
from imagegate.policy.rules import DEFAULT_MAX_FINDINGS, Action, Attention, Rule
from tests.component.policies import faults, stage, three

# A limit as each layer may write it: not at all, as a number, off, or as a part of the long form.
spellings = st.one_of(
    st.none(),
    st.integers(0, 9),
    st.just("off"),
    st.fixed_dictionaries({"value": st.integers(0, 9)}, optional={"action": st.sampled_from(list(Action))}),
    st.fixed_dictionaries({"action": st.sampled_from(list(Action))}),
)
names = st.sampled_from([severity.lower() for severity in DEFAULT_MAX_FINDINGS])
layers = st.dictionaries(names, spellings)


def expected(severity: Severity, *layers: Mapping[str, Any]) -> Rule[int]:
    """Return the result of the inheritance rule, computed in another way: a given value replaces the old one."""
    value, action, is_only_off = DEFAULT_MAX_FINDINGS[severity].value, Action.ENFORCE, False
    for layer in layers:
        match layer.get(severity.lower()):
            case None:
                continue
            case int(number):
                value, action, is_only_off = number, Action.ENFORCE, False
            case "off":
                action, is_only_off = Action.OFF, True
            case given:
                before = Action.ENFORCE if is_only_off else action
                value, action = given.get("value", value), Action(given.get("action", before))
                is_only_off = False
    return Rule(value, action)


def written(layer: Mapping[str, Any]) -> str:
    given = {name: spelling for name, spelling in layer.items() if spelling is not None}
    return f"findings: {{max: {json.dumps(given)}}}"


@given(layers, layers)
def test_the_most_specific_level_sets_a_limit(defaults: dict[str, Any], own: dict[str, Any]) -> None:
    found = stage(written(own), written(defaults)).findings.max
    assert found == {severity: expected(severity, defaults, own) for severity in DEFAULT_MAX_FINDINGS}


# Settings and rules with a value of each layer, in JSON; and where they arrive.
KEYS: dict[str, tuple[Any, Any]] = {
    "mode": ("observe", "enforce"),
    "approval": ("required", "none"),
    "sign_platforms": (True, False),
    "security_hub": (True, False),
    "promote_tags": (["a*"], ["b*"]),
    "scan.timeout": ("1h", "2h"),
    "scan.max_scan_age": ("3d", "4d"),
    "arrivals.replication": ("not_gated", "gated"),
    "findings.only_fixable": (["low"], ["high"]),
    "findings.grace.high": ("2d", "3d"),
    "findings.grace.medium": ("2d", "off"),
    "findings.no_grace.epss": (0.5, "off"),
    "findings.no_grace.known_exploited": (True, False),
    "findings.grace_starts": ("fix_available", "seen"),
    "findings.deny": (["CVE-2021-44228"], ["CVE-2024-3094"]),
    "packages.prohibited": (["a"], ["b", "c"]),
    "image.max_age": ("30d", "40d"),
    "image.labels": (["a", "b"], {"c": "x"}),
    "image.base_images": (["base"], ["prod"]),
    "image.non_root": (True, False),
    "image.tags": (["v*"], ["w*"]),
    "evidence.require_provenance": (["a"], ["b"]),
    "evidence.sbom": ("cyclonedx", "spdx"),
    "alerts.high": ("log", "alert"),
    "alerts.none": ("alert", "log"),
}


def tree(flat: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for path, value in flat.items():
        *above, last = path.split(".")
        at = made
        for key in above:
            at = at.setdefault(key, {})
        at[last] = value
    return made


def flow(flat: Mapping[str, Any]) -> str:
    return json.dumps(tree(flat))[1:-1]


chosen = st.sets(st.sampled_from(list(KEYS)))


@given(chosen, chosen)
def test_any_mixture_of_layers_is_the_stage_that_says_all_of_it(defaults: set[str], own: set[str]) -> None:
    below, above = {key: KEYS[key][0] for key in defaults}, {key: KEYS[key][1] for key in own}
    text = three(flow(above), flow(below))
    # No stage can be built on itself, whatever the defaults say.
    text = text.replace("repositories: base", "repositories: base, image: {base_images: off}")
    assert parse_policy(text.encode()).stages["dev"] == stage(flow({**below, **above}))


def test_labels_merge_name_by_name_and_lists_are_replaced() -> None:
    below = "image: {labels: {value: {a: x, b: y}, action: warn}, tags: [a, b]}"
    labels = stage("image: {labels: {b: z, c: w}, tags: [c]}", below).image.labels
    assert labels == Rule({"a": "x", "b": "z", "c": "w"})
    assert stage("image: {labels: {a: off}}", below).image.labels == Rule({"b": "y"})
    assert stage("image: {labels: {a: off, b: off}}", below).image.labels is None
    assert stage("image: {labels: [c]}", below).image.labels == Rule({"c": "*"})
    assert stage("image: {labels: {action: off}}", below).image.labels == Rule(
        {"a": "x", "b": "y"}, Action.OFF
    )
    assert stage("image: {tags: [c]}", below).image.tags == Rule(("c",))


def test_an_action_alone_keeps_the_value_below() -> None:
    below = "image: {max_age: 90d, non_root: {value: true, action: warn}}"
    image = stage("image: {max_age: {action: warn}, non_root: {action: enforce}}", below).image
    assert image.max_age == Rule(timedelta(days=90), Action.WARN)
    assert image.non_root == Rule(True)
    assert stage("findings: {max: {critical: {action: warn}}}").findings.max[Severity.CRITICAL] == Rule(
        0, Action.WARN
    )


def test_off_removes_inherited_rules_and_a_new_value_restores_them() -> None:
    below = "findings: {grace: {high: 2d}, deny: [CVE-2021-44228]}"
    off = stage("findings: {grace: off, deny: off}", below).findings
    assert off.grace == {}
    assert off.deny == Rule(frozenset({"CVE-2021-44228"}), Action.OFF)
    anew = stage("findings: {deny: {value: [CVE-2024-3094]}}", "findings: {deny: off}").findings
    assert anew.deny == Rule(frozenset({"CVE-2024-3094"}))


def test_untriaged_findings_are_undefined_in_each_module() -> None:
    found = stage(
        "findings: {max: {undefined: 3}}, alerts: {untriaged: log}", "findings: {max: {untriaged: 2}}"
    )
    assert found.findings.max[Severity.UNDEFINED] == Rule(3)
    assert found.alerts[Severity.UNDEFINED] is Attention.LOG


def test_an_empty_part_changes_nothing() -> None:
    below = "mode: observe, findings: {max: {high: 1}}"
    assert stage("findings: {}", below) == stage("", below)
    assert stage("", below).mode is Mode.OBSERVE


def test_a_fault_in_the_defaults_is_reported_once_at_its_line() -> None:
    found = faults(three("findings: {max: {high: x}}", "modee: x, findings: {max: {high: y, low: -1}}"))
    assert found == [
        "3: defaults.findings.max.high: must be a whole number, not 'y'",
        "3: defaults.findings.max.low: must be 0 or more, not -1",
        "3: defaults.modee: unknown key (did you mean mode?)",
        "6: stages.dev.findings.max.high: must be a whole number, not 'x'",
    ]


@pytest.mark.parametrize("key", ["repositories: x", "promotes_to: base"])
def test_settings_that_differ_by_stage_are_no_defaults(key: str) -> None:
    assert faults(three(defaults=key)) == [
        f"3: defaults.{key.partition(':')[0]}: every stage has its own: write it there"
    ]


@pytest.mark.parametrize(("text", "told"), [("5", "5"), ("[a]", "a list"), ("~", "nothing")])
def test_defaults_are_a_mapping(text: str, told: str) -> None:
    assert faults(three().replace("{}", text)) == [f"3: defaults: must be a mapping, not {told}"]
