"""Answers of ECR and of Inspector."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from imagegate.findings.finding import Finding, Package, Severity
from imagegate_cli.scanners.formats import read
from tests.component.scanner_files import (
    DEBIAN,
    FIXTURES,
    IMAGE,
    fixture,
    parsed,
    refusal,
)


def test_basic_scanning_names_a_package_at_most_and_knows_nothing_else() -> None:
    report = read(FIXTURES / "ecr_basic.json")
    url = "https://security-tracker.debian.org/tracker/CVE-2026-1001"
    openssl = Package("openssl", "3.0.11-1~deb12u2")
    assert report.findings[0] == Finding(
        "CVE-2026-1001", Severity.HIGH, (openssl,), url=url, cvss=5.0, description="A flaw in openssl."
    )
    assert report.findings[2] == Finding("CVE-2026-1003", Severity.LOW)
    assert (report.status, report.knows) == ("COMPLETE", frozenset())
    assert report.counts == {Severity.HIGH: 1, Severity.UNDEFINED: 1, Severity.LOW: 1}
    assert report.completed_at == datetime(2026, 11, 21, 7, 52, 38, tzinfo=UTC)
    assert report.target == f"shop-dev@{IMAGE}"


def test_enhanced_scanning_knows_fixes_exploits_and_layers() -> None:
    report = read(FIXTURES / "ecr_enhanced.json")
    log4j, openssl, zlib = report.findings
    assert (log4j.vulnerability, log4j.aliases) == ("CVE-2021-44228", ("GHSA-jfh8-c2jp-5v3q",))
    assert (log4j.exploit, log4j.fixable, log4j.epss, log4j.known_exploited) == (True, True, None, None)
    assert [package.name for package in openssl.packages] == ["libssl3", "openssl"]
    assert openssl.packages[0] == Package(
        "libssl3", "3.0.11-1~deb12u2", fixed="3.0.12-1~deb12u1", layer=DEBIAN
    )
    assert (zlib.severity, zlib.fixable, zlib.packages[0].installed) == (
        Severity.UNDEFINED,
        False,
        "1:1.2.13.dfsg-1",
    )
    assert report.knows == {"fix", "exploit", "layer"}


def test_inspector_knows_epss_too_where_it_says_one() -> None:
    report = read(FIXTURES / "inspector.json")
    assert [finding.epss for finding in report.findings] == [0.97, 0.02, None]
    assert report.knows == {"fix", "exploit", "layer", "epss"}
    assert report.target == f"shop-dev@{IMAGE}"


@pytest.mark.parametrize("status", ["FAILED", "IN_PROGRESS", "UNSUPPORTED_IMAGE", "SOMETHING_NEW"])
def test_a_scan_that_did_not_end_well_is_data_and_nothing_to_judge_by(status: str) -> None:
    report = parsed({"imageScanStatus": {"status": status, "description": "so it is"}})
    assert (report.status, report.description, report.is_complete) == (status, "so it is", False)
    assert report.why == f"the scan's status is {status} (so it is)"


def test_findings_without_the_scans_status_are_not_the_whole_answer() -> None:
    raw = fixture("ecr_basic.json")
    del raw["imageScanStatus"]
    assert "imageScanStatus" in parsed(raw).why


def test_a_summary_that_counts_more_than_is_listed_is_noticed() -> None:
    raw = fixture("ecr_enhanced.json")
    del raw["imageScanFindings"]["enhancedFindings"][0]
    assert "0 of 1 CRITICAL" in parsed(raw).why
    del raw["imageScanFindings"]["enhancedFindings"]
    assert not parsed(raw).is_complete


@pytest.mark.parametrize("name", ["nextToken", "NextToken"])
@pytest.mark.parametrize("file_name", ["ecr_basic.json", "inspector.json"])
def test_one_page_of_several_is_refused(name: str, file_name: str) -> None:
    assert "all pages" in refusal({**fixture(file_name), name: "more"})
    assert parsed({**fixture(file_name), name: None}).findings


def test_an_empty_list_of_inspector_does_not_say_that_it_looked() -> None:
    assert "does not say whether it looked" in parsed({"findings": []}).why


def test_findings_of_several_images_are_refused() -> None:
    raw = fixture("inspector.json")
    raw["findings"][1]["resources"][0]["details"]["awsEcrContainerImage"]["imageHash"] = IMAGE[:-1] + "0"
    assert "findings: of 2 images" in refusal(raw)
    raw["findings"][1]["resources"][0]["type"] = "AWS_EC2_INSTANCE"
    assert "findings[1].resources[0].type: 'AWS_EC2_INSTANCE' is no container image" in refusal(raw)


def test_findings_that_inspector_closed_or_suppressed_count_and_are_named() -> None:
    raw = fixture("inspector.json")
    raw["findings"][0]["status"] = "CLOSED"
    report = parsed(raw)
    assert len(report.findings) == 3
    assert report.notes == ("1 findings that are CLOSED in Inspector count like all others",)


def test_the_time_of_a_scan_may_be_in_seconds() -> None:
    raw = fixture("ecr_basic.json")
    raw["imageScanFindings"]["imageScanCompletedAt"] = 1795247558.0
    assert parsed(raw).completed_at == datetime(2026, 11, 21, 7, 52, 38, tzinfo=UTC)
