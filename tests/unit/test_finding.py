"""Findings: normalised so that nothing a scanner says gets lost, and folded in constant memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.findings.finding import EXAMPLES, Finding, FindingCounts, Package, Severity, count_severities
from tests.unit.samples import finding_lists, severities


@given(st.text(max_size=20))
def test_a_severity_that_nobody_knows_counts_as_undefined(text: str) -> None:
    known = text.upper() in Severity.__members__
    assert Severity.parse(text) is (Severity[text.upper()] if known else Severity.UNDEFINED)


@pytest.mark.parametrize("value", ["UNTRIAGED", None, 3, "", "TOTAL", "critical "])
def test_an_unknown_severity_is_undefined(value: Any) -> None:
    assert Severity.parse(value) is Severity.UNDEFINED


@given(severities)
def test_severities_are_read_in_any_case(severity: Severity) -> None:
    assert Severity.parse(severity.value.lower()) is severity


def test_the_summary_leaves_out_inspectors_total_and_what_is_absent() -> None:
    assert count_severities({"CRITICAL": 2, "TOTAL": 5, "HIGH": 0, "MEDIUM": 3}) == {
        Severity.CRITICAL: 2,
        Severity.MEDIUM: 3,
    }


def test_untriaged_and_undefined_are_counted_together() -> None:
    assert count_severities({"UNTRIAGED": 2, "UNDEFINED": 3, "NEVER_HEARD_OF": 1}) == {Severity.UNDEFINED: 6}


names = st.sampled_from([*Severity, "UNTRIAGED"]) | st.text(max_size=10)


@given(st.dictionaries(names.filter(lambda name: name.upper() != "TOTAL"), st.integers(0, 9)))
def test_no_finding_gets_lost_when_the_summary_is_normalised(raw: dict[str, int]) -> None:
    assert sum(count_severities(raw).values()) == sum(raw.values())
    assert all(count_severities(raw).values())


@given(finding_lists)
def test_a_tally_counts_every_finding(given_severities: list[Severity]) -> None:
    tally = FindingCounts.of(Finding(f"CVE-{n}", severity) for n, severity in enumerate(given_severities))
    assert tally.counts == Counter(given_severities)
    assert all(len(examples) <= EXAMPLES for examples in tally.examples.values())


@given(st.integers(0, 40))
def test_a_message_names_the_first_findings_and_counts_the_rest(number: int) -> None:
    tally = FindingCounts.of(Finding(f"CVE-{n}", Severity.HIGH) for n in range(number))
    expected = ", ".join(f"CVE-{n}" for n in range(min(number, EXAMPLES)))
    rest = f" and {number - EXAMPLES} more" if number > EXAMPLES else ""
    assert tally.named(Severity.HIGH) == expected + rest
    assert tally.named(Severity.LOW) == ""


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (Finding("CVE-1", Severity.LOW), "CVE-1"),
        (Finding("CVE-1", Severity.LOW, (Package("openssl"),)), "CVE-1 (openssl)"),
        (Finding("CVE-1", Severity.LOW, (Package("openssl", "3.0.1", "3.0.2"),)), "CVE-1 (openssl 3.0.1)"),
        (Finding("CVE-1", Severity.LOW, (Package("a", "1"), Package("b", "2"))), "CVE-1 (a 1, b 2)"),
        (Finding("CVE-1", Severity.LOW, (Package("a", "1", path="x"), Package("a", "1"))), "CVE-1 (a 1)"),
    ],
)
def test_a_finding_reads_as_vulnerability_package_and_version(finding: Finding, text: str) -> None:
    assert str(finding) == text


def test_a_finding_has_a_place_in_each_of_its_packages() -> None:
    two = Finding("CVE-1", Severity.LOW, (Package("a", "1"), Package("b")), aliases=("GHSA-1",))
    assert two.places == (("CVE-1", "a"), ("CVE-1", "b"))
    assert two.names == ("CVE-1", "GHSA-1")


def test_a_finding_without_a_package_has_a_place_all_the_same() -> None:
    assert Finding("CVE-1", Severity.LOW).places == (("CVE-1", ""),)
