"""Facts about a vulnerability for people: read where a scanner has them, and never a reason to refuse a report."""

from __future__ import annotations

from typing import Any

import pytest

from imagegate.findings.ecr import read_cvss
from imagegate_cli.scanners.about import description_in, highest_cvss
from tests.component.scanner_files import NAMES, fixture, parsed

# The members of the files that only people read.
ABOUT = frozenset(
    {"description", "Description", "title", "Title", "cvss", "CVSS", "cvssScore", "preferred_cvss"}
)
SCORES = {
    "ecr_basic.json": 5.0,
    "ecr_enhanced.json": 9.8,
    "grype_cyclonedx.json": 7.5,
    "harbor.json": 7.5,
    "inspector.json": 9.8,
    "inspector_cyclonedx.json": 10.0,
    "inspector_scan.json": 10.0,
    "snyk.json": 7.5,
    "trivy_cyclonedx.json": 7.5,
    "trivy_operator.json": 7.5,
}


@pytest.mark.parametrize("name", NAMES)
def test_the_first_score_of_each_scanner(name: str) -> None:
    scores = [finding.cvss for finding in parsed(fixture(name)).findings]
    assert next((score for score in scores if score), None) == SCORES.get(name)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "security_hub.json"])
def test_each_scanner_describes_what_it_finds(name: str) -> None:
    assert any(finding.description for finding in parsed(fixture(name)).findings)


def test_trivys_score_is_the_highest_of_the_newest_version_of_cvss() -> None:
    report = fixture("trivy.json")
    report["Results"][0]["Vulnerabilities"][0]["CVSS"] = {
        "nvd": {"V2Score": 10, "V3Score": 7.5},
        "redhat": {"V3Score": 8.1},
        "odd": 3,
    }
    assert parsed(report).findings[0].cvss == 8.1


@pytest.mark.parametrize("value", [None, 0, -1, 10.1, True, "", "high", "nan", float("nan"), 10**400, [], {}])
def test_anything_but_a_score_is_none(value: Any) -> None:
    assert read_cvss(value) is None
    assert highest_cvss([{"score": value}, value], "score") is None


@pytest.mark.parametrize("value", [None, "", 3, [], {}])
def test_anything_but_a_text_describes_nothing(value: Any) -> None:
    assert description_in({"description": value}) is None
    assert description_in(value) is None


@pytest.mark.parametrize("value", [None, 3, "x", [3], [None], {"a": 3}, {}])
@pytest.mark.parametrize("name", [name for name in NAMES if "sarif" not in name])
def test_a_report_is_judged_alike_whatever_its_descriptions_and_scores_are(name: str, value: Any) -> None:
    plain, odd = parsed(fixture(name)), parsed(_with(fixture(name), value))
    assert [(one.names, one.severity) for one in odd.findings] == [
        (one.names, one.severity) for one in plain.findings
    ]


def _with(document: Any, value: Any) -> Any:
    """Return the document with another value for each member that only people read."""
    if isinstance(document, list):
        return [_with(one, value) for one in document]
    if not isinstance(document, dict):
        return document
    if "status" in document and "description" in document:
        return document  # it describes the state of ECR's scan
    return {key: value if key in ABOUT else _with(one, value) for key, one in document.items()}
