"""SARIF of several scanners."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from imagegate.findings.finding import Finding, Package, Severity
from imagegate_cli.scanners.formats import read
from tests.component.scanner_files import (
    FIXTURES,
    IMAGE,
    LOG4J,
    REGISTRY,
    Json,
    fixture,
    parsed,
    refusal,
    severities,
)


def test_sarif_of_trivy_names_package_version_and_fix_in_its_text() -> None:
    report = read(FIXTURES / "trivy_sarif.json")
    assert [finding.packages for finding in report.findings] == [
        (Package("libssl3", "3.0.11-1~deb12u2", "3.0.12-1~deb12u1"),),
        (Package("openssl", "3.0.11-1~deb12u2", "3.0.12-1~deb12u1"),),
        (Package("zlib1g", "1:1.2.13.dfsg-1"),),
        (Package(LOG4J, "2.14.1", "2.15.0, 2.3.1, 2.12.2"),),
    ]
    assert [finding.fixable for finding in report.findings] == [True, True, False, True]
    assert (report.target, report.digest) == (f"{REGISTRY}/shop-dev:1.0", IMAGE)
    assert report.knows == frozenset()


def test_sarif_of_grype_names_package_and_version_in_its_text_and_knows_no_fix() -> None:
    report = read(FIXTURES / "grype_sarif.json")
    assert [finding.vulnerability for finding in report.findings] == [
        *("GHSA-jfh8-c2jp-5v3q", "CVE-2026-1001", "CVE-2026-1002", "CVE-2026-1004"),
    ]
    assert report.findings[0].packages == (Package("log4j-core", "2.14.1"),)
    assert {finding.fixable for finding in report.findings} == {None}


def sarif(result: Json, **rule: Any) -> Finding:
    run = {"tool": {"driver": {"name": "other", "rules": [{"id": "R", **rule}]}}, "results": [result]}
    (found,) = parsed({"version": "2.1.0", "runs": [run]}).findings
    return found


@pytest.mark.parametrize(
    ("result", "rule", "severity"),
    [
        ({}, {"properties": {"security-severity": "9.0"}}, Severity.CRITICAL),
        ({}, {"properties": {"security-severity": "8.9"}}, Severity.HIGH),
        ({}, {"properties": {"security-severity": 4}}, Severity.MEDIUM),
        ({}, {"properties": {"security-severity": "0.1"}}, Severity.LOW),
        ({"level": "note"}, {"properties": {"security-severity": "0.0"}}, Severity.UNDEFINED),
        ({"level": "note"}, {"properties": {"security-severity": "9.8"}}, Severity.CRITICAL),
        ({"level": "error"}, {}, Severity.HIGH),
        ({"level": "note"}, {"defaultConfiguration": {"level": "error"}}, Severity.LOW),
        ({}, {"defaultConfiguration": {"level": "none"}}, Severity.INFORMATIONAL),
        ({}, {}, Severity.MEDIUM),
        ({"level": "loud"}, {}, Severity.UNDEFINED),
    ],
)
def test_a_severity_in_sarif_is_its_score_or_else_its_level(
    result: Json, rule: Json, severity: Severity
) -> None:
    assert sarif({"ruleId": "R", **result}, **rule).severity is severity


@pytest.mark.parametrize("value", ["undefined", "1e999", "-1", 11, [], {"a": 1}, True, None, float("1e999")])
def test_a_score_that_is_none_says_nothing_and_refuses_nothing(value: Any) -> None:
    found = sarif({"ruleId": "R", "level": "error"}, properties={"security-severity": value})
    assert (found.severity, found.at_worst) == (Severity.HIGH, Severity.CRITICAL)


@pytest.mark.parametrize(
    ("properties", "severity"),
    [
        ({"cvssv3_baseScore": 9.8}, Severity.CRITICAL),
        ({"cvssV3Score": "7.5"}, Severity.HIGH),
        ({"cvss_score": 9.0}, Severity.CRITICAL),
        ({"cvssv40_baseScore": 9.3}, Severity.CRITICAL),
        ({"cvss": {"baseScore": 9.1}}, Severity.CRITICAL),
        ({"cvssV3": {"baseScore": 5.0}, "cvssV2": {"baseScore": 9.1}}, Severity.CRITICAL),
        ({"security-severity": "5.0", "cvssv3_baseScore": 9.8}, Severity.MEDIUM),  # its tool's own answer
        ({"security-severity": "undefined", "cvssv3_baseScore": 9.8}, Severity.CRITICAL),
        ({"security-severity": "0.0", "cvssv3_baseScore": 9.8}, Severity.CRITICAL),
        ({"security-severity": "0.0"}, None),
        ({"severity": "Critical"}, Severity.CRITICAL),
        ({"security-severity": "critical"}, Severity.CRITICAL),
        ({"tags": ["security", "HIGH"]}, Severity.HIGH),
        ({"severity": 7, "tags": "x"}, None),
        ({"tags": ["LOW"]}, None),  # milder than an error
        ({"score": 3}, None),
    ],
)
def test_a_score_or_a_word_is_found_wherever_tools_write_it(
    properties: Json, severity: Severity | None
) -> None:
    """Without either, an error is HIGH or CRITICAL, and nobody says which."""
    of_rule = sarif({"ruleId": "R", "level": "error"}, properties=properties)
    of_result = sarif({"ruleId": "R", "level": "error", "properties": properties})
    for found in (of_rule, of_result):
        expected = (severity, None) if severity else (Severity.HIGH, Severity.CRITICAL)
        assert (found.severity, found.at_worst) == expected


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("introduces a package with a critical severity vulnerability.", Severity.CRITICAL),
        ("High severity - Remote Code Execution", Severity.HIGH),
        ("Vulnerability : X-1\nSeverity        : CRITICAL\n", Severity.CRITICAL),
        ("severity: high, once of critical severity", Severity.CRITICAL),
        ("a highly critical matter", None),
        ("Low severity", None),
    ],
)
def test_a_word_in_a_text_tells_high_from_critical(text: str, severity: Severity | None) -> None:
    in_message = sarif({"ruleId": "R", "level": "error", "message": {"text": text}})
    in_rule = sarif({"ruleId": "R", "level": "error"}, shortDescription={"text": text})
    for found in (in_message, in_rule):
        expected = (severity, None) if severity else (Severity.HIGH, Severity.CRITICAL)
        assert (found.severity, found.at_worst) == expected


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (
            {"id": "SNYK-1", "fullDescription": {"text": "(CVE-2021-44228) log4j"}},
            ("CVE-2021-44228", "SNYK-1"),
        ),
        ({"id": "SNYK-1", "shortDescription": {"text": "cve-2021-44228"}}, ("CVE-2021-44228", "SNYK-1")),
        ({"id": "SNYK-1", "helpUri": "https://x.example/cve-2026-12345"}, ("CVE-2026-12345", "SNYK-1")),
        ({"id": "SNYK-1", "name": "CVE-2026-12345"}, ("CVE-2026-12345",)),
        ({"id": "SNYK-1", "properties": {"tags": ["CVE-2026-12345"]}}, ("CVE-2026-12345", "SNYK-1")),
        ({"id": "SNYK-1", "properties": {"cveIds": ["CVE-2026-1234", "CVE-2026-1235"]}}, None),
        ({"id": "GHSA-jfh8-c2jp-5v3q", "helpUri": "https://x/CVE-2021-44228"}, None),
        # What a text says of others is no name of it.
        (
            {"id": "GHSA-7rjr-3q55-vv33", "fullDescription": {"text": "of CVE-2021-44228"}},
            ("GHSA-7rjr-3q55-vv33",),
        ),
        ({"id": "CVE-2021-45046", "shortDescription": {"text": "of CVE-2021-44228"}}, ("CVE-2021-45046",)),
        (
            {
                "id": "SNYK-1",
                "helpUri": "https://x/CVE-2026-1234",
                "fullDescription": {"text": "CVE-2026-9999"},
            },
            None,
        ),
    ],
)
def test_a_vulnerability_has_the_names_by_which_its_rule_calls_it(
    rule: Json, names: tuple[str, ...] | None
) -> None:
    found = sarif({"ruleId": rule["id"]}, **rule).names
    others: dict[str, list[tuple[str, ...]]] = {
        "SNYK-1": [("SNYK-1", "CVE-2026-1234", "CVE-2026-1235"), ("CVE-2026-1234", "SNYK-1")],
        "GHSA-jfh8-c2jp-5v3q": [("CVE-2021-44228", "GHSA-jfh8-c2jp-5v3q")],
    }
    assert found == names if names else found in others[rule["id"]]


def test_results_that_are_elsewhere_are_not_taken_for_none() -> None:
    raw = fixture("trivy_sarif.json")
    raw["runs"][0]["externalPropertyFileReferences"] = {"results": [{"location": {"uri": "more.sarif"}}]}
    assert parsed(raw).why == "Trivy wrote results into other files"


def test_a_word_in_the_text_says_more_than_a_level() -> None:
    text = "A critical vulnerability in deb package: openssl, version 3.0 was found in image x at: y"
    assert sarif({"ruleId": "R", "level": "error", "message": {"text": text}}).severity is Severity.CRITICAL


def test_a_result_is_never_milder_than_its_own_text_says() -> None:
    """Trivy writes one rule for a vulnerability, with the score that it had in the package that came last."""
    raw = fixture("trivy_sarif.json")
    for rule in raw["runs"][0]["tool"]["driver"]["rules"]:
        rule["properties"]["security-severity"] = "0.0"
    assert severities(parsed(raw)) == severities(read(FIXTURES / "trivy_sarif.json"))


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("CVE-2026-10015-openssl", "CVE-2026-10015"),
        ("GHSA-jfh8-c2jp-5v3q-log4j-core", "GHSA-jfh8-c2jp-5v3q"),
        ("ALAS2-2026-1234", "ALAS2-2026-1234"),
        ("RHSA-2026:1234", "RHSA-2026:1234"),
        ("SNYK-JAVA-LOG4J-1", "SNYK-JAVA-LOG4J-1"),
        ("aws-access-key-id", "aws-access-key-id"),
    ],
)
def test_a_rule_that_names_no_advisory_keeps_its_name(rule: str, name: str) -> None:
    assert sarif({"ruleId": rule}).vulnerability == name


@pytest.mark.parametrize(
    ("purls", "packages"),
    [
        (["pkg:deb/debian/openssl@1%3A3.0?arch=amd64"], [("openssl", "1:3.0", "deb")]),
        (["pkg:maven/org.slf4j/slf4j-api@2.0.7"], [("org.slf4j:slf4j-api", "2.0.7", "maven")]),
        (["pkg:npm/%40babel/core@7.0.0"], [("@babel/core", "7.0.0", "npm")]),
        (["pkg:golang/github.com/docker/cli@v24.0.0"], [("github.com/docker/cli", "v24.0.0", "golang")]),
        (["pkg:pypi/jinja2"], [("jinja2", None, "pypi")]),
        (["pkg:deb/debian/a@1", "pkg:deb/debian/b@1"], []),
        (["openssl"], []),
        (["pkg:"], []),
        ([], []),
    ],
)
def test_a_rule_about_one_package_url_names_the_package(
    purls: list[str], packages: list[tuple[str, str | None, str]]
) -> None:
    found = sarif({"ruleId": "R"}, properties={"purls": purls}).packages
    assert [(package.name, package.installed, package.ecosystem) for package in found] == packages


def test_results_that_say_that_all_is_well_are_no_findings_and_suppressed_ones_are() -> None:
    raw = fixture("trivy_sarif.json")
    results = raw["runs"][0]["results"]
    results[0]["kind"], results[1]["baselineState"], results[2]["suppressions"] = "pass", "absent", [{}]
    assert len(parsed(raw).findings) == 2


def test_a_rule_is_found_by_its_place_where_a_result_does_not_name_it() -> None:
    assert sarif({"ruleIndex": 0, "level": "note"}).vulnerability == "R"
    run = {"tool": {"driver": {"name": "other", "rules": []}}, "results": [{"ruleIndex": 3}]}
    assert "runs[0].results[0].ruleId: missing" in refusal({"version": "2.1.0", "runs": [run]})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"results": None}, "Trivy gave no results"),
        ({"invocations": [{"executionSuccessful": False}]}, "Trivy says that it did not succeed"),
    ],
)
def test_a_run_that_gave_nothing_is_no_clean_run(change: Json, why: str) -> None:
    raw = fixture("trivy_sarif.json")
    raw["runs"][0] |= change
    assert parsed(raw).why == why
    assert parsed({**raw, "runs": []}).why


def test_the_oldest_run_says_when_the_scan_ended() -> None:
    raw = fixture("trivy_sarif.json")
    ends = [{"endTimeUtc": "2026-11-21T08:00:00Z"}, {"endTimeUtc": "2026-11-20T08:00:00.5Z"}]
    raw["runs"][0]["invocations"] = [{"executionSuccessful": True, **end} for end in ends]
    assert parsed(raw).completed_at == datetime(2026, 11, 20, 8, 0, 0, 500000, tzinfo=UTC)
