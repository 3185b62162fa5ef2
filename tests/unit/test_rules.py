"""Rules: a rule that is off is not there, and a prohibited package is what its name, ecosystem and action say."""

from __future__ import annotations

import pytest

from imagegate.findings.finding import Severity
from imagegate.policy.rules import (
    DEFAULT_ALERTS,
    Action,
    Attention,
    EvidenceRules,
    FindingRules,
    ImageRules,
    Limit,
    ProhibitedPackage,
    Rule,
    active,
    is_on,
)
from tests.unit.samples import package


@pytest.mark.parametrize(
    ("rule", "on"),
    [
        (None, False),
        (Rule(1), True),
        (Rule(0), True),
        (Rule(()), True),
        (Rule(1, Action.WARN), True),
        (Rule(1, Action.OFF), False),
    ],
)
def test_a_rule_is_looked_at_unless_it_is_off(rule: Rule[object] | None, on: bool) -> None:
    assert is_on(rule) is on
    assert active(rule) is (rule if on else None)


def test_a_rule_enforces_unless_it_says_otherwise() -> None:
    assert Rule(1).action is Limit(1).action is Action.ENFORCE


def test_a_severity_has_its_own_limit_or_none() -> None:
    rules = FindingRules(max={Severity.HIGH: Limit(3), Severity.LOW: Limit(0, Action.OFF)})
    assert dict(rules.limits()) == {"findings.high": Limit(3)}


def test_rules_that_nobody_sets_ask_for_nothing() -> None:
    plain = FindingRules()
    assert {getattr(ImageRules(), name) for name in ImageRules.__slots__} == {None}
    assert {getattr(EvidenceRules(), name) for name in EvidenceRules.__slots__} == {None}
    assert (plain.only_fixable, dict(plain.grace), plain.deny, plain.prohibited) == (
        frozenset(),
        {},
        None,
        None,
    )
    assert not plain.no_worse_than_next


@pytest.mark.parametrize(
    ("name", "ecosystem", "named"),
    [
        ("log4j-core", None, True),
        ("log4j-core", "maven", True),
        ("log4j-*", "maven", True),
        ("*", None, True),
        ("log4j", None, False),
        ("LOG4J-CORE", None, False),
        ("log4j-core", "npm", False),
    ],
)
def test_a_prohibited_package_is_named_by_a_glob_and_its_ecosystem(
    name: str, ecosystem: str | None, named: bool
) -> None:
    there = package("log4j-core", ecosystem="maven")
    assert ProhibitedPackage(name, ecosystem=ecosystem).names(there) is named


@pytest.mark.parametrize(("ecosystem", "named"), [("pypi", True), ("npm", False), (None, False)])
def test_the_names_of_pypi_are_the_same_in_any_case_and_with_any_hyphen(
    ecosystem: str | None, named: bool
) -> None:
    """PEP 503, "Normalized Names"."""
    assert ProhibitedPackage("Typing_Ext*").names(package("typing.extensions", ecosystem=ecosystem)) is named


def test_a_prohibited_package_reads_as_its_name_and_versions() -> None:
    assert str(ProhibitedPackage("log4j-core")) == "log4j-core"
    assert str(ProhibitedPackage("log4j-core", ">=2.0, <2.17.1")) == "log4j-core >=2.0, <2.17.1"


def test_the_graver_half_of_the_findings_alerts() -> None:
    alerting = {severity for severity, attention in DEFAULT_ALERTS.items() if attention is Attention.ALERT}
    assert alerting == {Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.UNDEFINED}
    assert set(DEFAULT_ALERTS) == {*Severity, None}
