"""Findings of several scanners as one list."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.findings.finding import Finding, Package, Severity
from imagegate_cli.scanners.formats import read
from imagegate_cli.scanners.merging import merge
from imagegate_cli.scanners.report import ScannerReport, knows
from tests.component.scanner_files import (
    FIXTURES,
    LOG4J,
    NAMES,
)


def report_of(*findings: Finding, scanner: str = "trivy") -> ScannerReport:
    return ScannerReport(scanner, list(findings), knows(scanner))


def finding(name: str = "CVE-2026-0001", *packages: str, severity: str = "HIGH", **more: Any) -> Finding:
    listed = tuple(Package(*package.split(" ")) for package in packages)
    return Finding(name, Severity(severity), listed, **more)


def test_a_single_report_is_not_merged() -> None:
    twice = [finding("CVE-2026-0001", "a"), finding("CVE-2026-0001", "a")]
    assert merge([report_of(*twice)]) == twice
    assert merge([]) == []


def test_a_finding_of_two_scanners_counts_once() -> None:
    trivy = report_of(finding("CVE-2026-0001", "a 1.0"))
    grype = report_of(finding("GHSA-1", "a 1.0", aliases=("CVE-2026-0001",)), scanner="grype")
    (merged,) = merge([trivy, grype])
    assert (merged.vulnerability, merged.aliases) == ("CVE-2026-0001", ("GHSA-1",))
    assert merged.packages == (Package("a", "1.0"),)


def test_the_same_vulnerability_in_another_package_is_another_finding() -> None:
    assert len(merge([report_of(finding("CVE-1", "a")), report_of(finding("CVE-1", "b"))])) == 2


def test_a_finding_that_names_no_package_is_the_same_as_one_that_does() -> None:
    (merged,) = merge([report_of(finding("CVE-1")), report_of(finding("CVE-1", "b"))])
    assert merged.packages == (Package("b"),)


def test_two_cves_of_one_advisory_stay_two() -> None:
    one = report_of(finding("CVE-1", "a", aliases=("DSA-1",)))
    other = report_of(finding("CVE-2", "a", aliases=("DSA-1",)))
    assert len(merge([one, other])) == 2


def test_an_advisory_about_several_cves_is_the_same_as_one_of_them() -> None:
    advisory = report_of(finding("ALAS-1", "a", aliases=("CVE-1", "CVE-2")), scanner="enhanced")
    cves = report_of(finding("CVE-1", "a"), finding("CVE-2", "a"))
    assert [one.names for one in merge([advisory, cves])] == [("CVE-1", "ALAS-1", "CVE-2"), ("CVE-2",)]


def test_the_worst_severity_wins_and_whoever_knows_one_is_followed() -> None:
    def merged(*severities: str) -> Severity:
        return merge([report_of(finding("CVE-1", "a", severity=one)) for one in severities])[0].severity

    assert merged("LOW", "CRITICAL", "HIGH") is Severity.CRITICAL
    assert merged("UNDEFINED", "LOW") is Severity.LOW


def test_a_severity_that_one_scanner_leaves_in_doubt_stays_in_doubt() -> None:
    doubtful = report_of(finding("CVE-1", "a", at_worst=Severity.CRITICAL), scanner="sarif")
    for severity, at_worst in (("HIGH", Severity.CRITICAL), ("CRITICAL", None), ("LOW", Severity.CRITICAL)):
        (merged,) = merge([report_of(finding("CVE-1", "a", severity=severity)), doubtful])
        assert (merged.severity, merged.at_worst) == (max(severity, "HIGH", key=SEVERE.index), at_worst)


SEVERE = ["LOW", "HIGH", "CRITICAL"]


@pytest.mark.parametrize("field", ["exploit", "known_exploited"])
@pytest.mark.parametrize(
    ("one", "other", "result"),
    [(True, False, True), (False, None, False), (None, True, True), (None, None, None)],
)
def test_yes_wins_over_no_and_no_over_silence(
    field: str, one: bool | None, other: bool | None, result: bool | None
) -> None:
    answers: list[dict[str, Any]] = [{field: one}, {field: other}]
    reports = [report_of(finding("CVE-1", "a", **answer)) for answer in answers]
    assert getattr(merge(reports)[0], field) is result


def test_the_highest_epss_wins() -> None:
    reports = [report_of(finding("CVE-1", "a", epss=epss)) for epss in (0.1, 0.3, None)]
    assert merge(reports)[0].epss == 0.3


def test_knowledge_about_a_vulnerability_applies_to_each_of_its_packages() -> None:
    trivy = report_of(finding("CVE-1", "a"), finding("CVE-1", "b"))
    grype = report_of(finding("CVE-1", "a", known_exploited=True, epss=0.5), scanner="grype")
    merged = merge([trivy, grype])
    assert [(one.known_exploited, one.epss) for one in merged] == [(True, 0.5), (True, 0.5)]


def packaged(fixed: str | None, fixable: bool | None, name: str = "a") -> Finding:
    return Finding("CVE-1", Severity.HIGH, (Package(name, "1.0", fixed),), fixable=fixable)


@pytest.mark.parametrize(
    ("one", "other", "fixable"),
    [
        (packaged("1.1", True), packaged(None, False), True),
        (packaged("1.1", True), packaged(None, None), True),
        (packaged(None, False), packaged(None, None), False),
        (packaged(None, None), packaged(None, None), None),
        (finding("CVE-1", fixable=False), packaged(None, None), False),
        (finding("CVE-1", fixable=False), finding("CVE-1", fixable=True), True),
    ],
)
def test_a_fix_that_one_of_them_knows_is_known(one: Finding, other: Finding, fixable: bool | None) -> None:
    assert merge([report_of(one), report_of(other, scanner="grype")])[0].fixable is fixable


def test_a_package_without_any_known_fix_is_in_the_way() -> None:
    both = Finding("CVE-1", Severity.HIGH, (Package("a", "1.0", "1.1"), Package("b", "1.0")), fixable=False)
    (merged,) = merge([report_of(both, scanner="enhanced"), report_of(packaged("1.1", True))])
    assert merged.fixable is False
    (unasked,) = merge(
        [report_of(replace(both, fixable=None), scanner="sarif"), report_of(packaged("1.1", True))]
    )
    assert unasked.fixable is None


def test_packages_are_united_and_complete_each_other() -> None:
    enhanced = Package("org.x:a", "1.0", layer="sha256:1")
    grype = Package("a", "v1.0", "1.1", "maven", "pkg:maven/org.x/a@1.0", "sha256:2", "/a.jar")
    other = Package("A", "2.0")
    reports = [
        report_of(Finding("CVE-1", Severity.HIGH, (enhanced,)), scanner="enhanced"),
        report_of(Finding("CVE-1", Severity.HIGH, (grype, other)), scanner="grype"),
    ]
    (merged,) = merge(reports)
    assert merged.packages == (
        Package("org.x:a", "1.0", "1.1", "maven", "pkg:maven/org.x/a@1.0", "sha256:1", "/a.jar"),
        other,
    )


@pytest.mark.parametrize(("one", "other"), [("1:3.0", "3.0"), ("v3.0", "3.0"), ("3.0", None)])
def test_versions_are_the_same_with_and_without_an_epoch(one: str, other: str | None) -> None:
    reports = [
        report_of(Finding("CVE-1", Severity.HIGH, (Package("a", version),))) for version in (one, other)
    ]
    assert len(merge(reports)[0].packages) == 1


def test_the_same_file_twice_is_the_same_as_once() -> None:
    for name in NAMES:
        report = read(FIXTURES / name)
        assert len(merge([report, report])) == len(report.findings)


def test_the_fixtures_are_about_one_image_and_become_one_list() -> None:
    names = ("ecr_enhanced", "grype", "grype_sarif", "inspector", "trivy", "trivy_sarif")
    merged = merge([read(FIXTURES / f"{name}.json") for name in names])
    assert [(str(one), one.severity) for one in merged] == [
        (f"CVE-2021-44228 ({LOG4J} 2.14.1)", Severity.CRITICAL),
        ("CVE-2026-1001 (libssl3 3.0.11-1~deb12u2, openssl 3.0.11-1~deb12u2)", Severity.HIGH),
        ("CVE-2026-1002 (zlib1g 1:1.2.13.dfsg-1)", Severity.INFORMATIONAL),
        ("CVE-2026-1001 (openssl 3.0.11-1~deb12u2)", Severity.HIGH),
        ("CVE-2026-1004 (shop 1.0)", Severity.UNDEFINED),
    ]
    log4j = merged[0]
    assert (log4j.exploit, log4j.known_exploited, log4j.epss, log4j.fixable) == (True, True, 0.97, True)


MAYBE = st.none() | st.booleans()
PACKAGES = st.builds(
    Package,
    st.sampled_from(["a", "b", "org.x:a"]),
    st.none() | st.sampled_from(["1.0", "1:1.0", "2.0"]),
    st.none() | st.just("3.0"),
    layer=st.none() | st.sampled_from(["sha256:1", "sha256:2"]),
)
FINDINGS = st.builds(
    Finding,
    st.sampled_from(["CVE-1", "CVE-2", "GHSA-1"]),
    st.sampled_from(Severity),
    st.lists(PACKAGES, max_size=2).map(tuple),
    st.lists(st.sampled_from(["CVE-1", "CVE-2", "GHSA-1", "DSA-1"]), max_size=2, unique=True).map(tuple),
    MAYBE,
    MAYBE,
    MAYBE,
    st.none() | st.sampled_from([0.0, 0.5, 1.0]),
)
REPORTS = st.lists(
    st.builds(
        lambda found, scanner: report_of(*found, scanner=scanner),
        st.lists(FINDINGS, max_size=4),
        st.sampled_from(["enhanced", "trivy", "grype", "sarif"]),
    ),
    min_size=2,
    max_size=3,
)


@given(REPORTS)
def test_the_order_of_the_files_makes_no_difference(reports: list[ScannerReport]) -> None:
    merged = merge(reports)
    assert all(merge(others) == merged for others in permutations(reports))
    backwards = [replace(report, findings=report.findings[::-1]) for report in reports]
    assert merge(backwards) == merged


@given(REPORTS)
def test_merged_findings_are_never_fewer_or_milder_than_any_one_scanners(
    reports: list[ScannerReport],
) -> None:
    merged = merge(reports)
    worst_first = list(Severity)
    for report in reports:
        for number in range(1, len(worst_first) + 1):
            graver = worst_first[:number]
            mine = sum(one.severity in graver for one in report.findings)
            assert sum(one.severity in graver for one in merged) >= mine


@given(REPORTS)
def test_nothing_that_a_scanner_names_is_lost(reports: list[ScannerReport]) -> None:
    merged = merge(reports)
    for one in (one for report in reports for one in report.findings):
        same = [other for other in merged if set(one.names) <= set(other.names)]
        assert same
        assert any(
            {p.name.rpartition(":")[2] for p in one.packages}
            <= {p.name.rpartition(":")[2] for p in other.packages}
            for other in same
        )
        if one.known_exploited:
            assert any(other.known_exploited for other in same)
