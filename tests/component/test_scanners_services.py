"""Reports of services: Inspector Scan, Security Hub, GitLab, Trivy Operator, Harbor and Snyk."""

from __future__ import annotations

from typing import Any

import pytest

from imagegate.findings.finding import FindingKind, Severity
from tests.component.scanner_files import IMAGE, LOG4J, Json, fixture, parsed, refusal, severities

HARBOR = "application/vnd.security.vulnerability.report; version=1.1"


def changed(name: str, *path: Any, to: Any) -> Json:
    """Return a sample with another value at a place."""
    document = fixture(name)
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = to
    return dict(document)


INSPECTOR = ("sbom", "inspector")


def test_inspector_scan_tells_fixes_exploits_scores_and_paths() -> None:
    report = parsed(fixture("inspector_scan.json"))
    log4j, openssl, zlib = report.findings
    assert (log4j.fixable, log4j.exploit, log4j.known_exploited, log4j.epss) == (True, True, True, 0.97)
    assert (log4j.packages[0].name, log4j.packages[0].path) == (
        LOG4J,
        "shop.jar/BOOT-INF/lib/log4j-core-2.14.1.jar",
    )
    assert [package.fixed for package in openssl.packages] == ["3.0.12-1~deb12u1"] * 2
    assert (openssl.exploit, openssl.known_exploited) == (None, None)
    assert (zlib.severity, zlib.fixable) == (Severity.UNDEFINED, False)
    assert report.notes == (
        "Inspector skipped 1 components of the SBOM (Component skipped: no rules found.)",
    )


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (
            changed("inspector_scan.json", "sbom", "status", to="SBOM could not be parsed"),
            "could not be parsed",
        ),
        (changed("inspector_scan.json", *INSPECTOR, "vulnerabilities", to=[]), "lists 0 of 1 CRITICAL"),
        (changed("inspector_scan.json", "sbom", "inspector", to={}), "neither counts nor lists"),
        # AWS does not document the shape of INSPECTOR_ALT: what is not understood never passes.
        (
            changed("inspector_scan.json", "sbom", "inspector", to={"findings": [{"id": "CVE-2026-1"}]}),
            "neither counts nor lists",
        ),
    ],
)
def test_an_answer_that_is_not_whole_is_not_judged(document: Json, why: str) -> None:
    assert why in parsed(document).why


def test_a_clean_image_of_inspector_scan_is_clean_and_the_answer_around_may_be_missing() -> None:
    counts = {"critical": 0, "high": 0, "medium": 0, "low": 0}
    inner = {"vulnerability_count": counts, "vulnerabilities": []}
    report = parsed({"status": "SBOM parsed successfully, 0 vulnerabilities found", "inspector": inner})
    assert (report.findings, report.is_complete) == ([], True)


def test_security_hub_has_what_inspector_found() -> None:
    report, of_inspector = parsed(fixture("security_hub.json")), parsed(fixture("inspector.json"))
    assert (report.target, report.digest) == (f"shop-dev@{IMAGE}", IMAGE)
    assert report.findings[0].packages == of_inspector.findings[0].packages
    assert [finding.fixable for finding in report.findings] == [True, True, False]
    assert parsed(fixture("security_hub.json")["Findings"]).findings == report.findings


@pytest.mark.parametrize(
    ("severity", "of_provider", "expected"),
    [
        ({"Label": "LOW"}, {"Label": "CRITICAL"}, Severity.CRITICAL),  # a rule of Security Hub lowered it
        ({"Label": "CRITICAL"}, {"Label": "LOW"}, Severity.CRITICAL),
        ({"Normalized": 90}, None, Severity.CRITICAL),
        ({"Normalized": 70}, None, Severity.HIGH),
        ({"Normalized": 0}, None, Severity.INFORMATIONAL),
    ],
)
def test_the_worse_severity_of_security_hub_counts(
    severity: Json, of_provider: Json | None, expected: Severity
) -> None:
    document = changed("security_hub.json", "Findings", 0, "Severity", to=severity)
    document["Findings"][0]["FindingProviderFields"] = {"Severity": of_provider}
    assert parsed(document).findings[0].severity is expected


def test_a_finding_of_security_hub_without_a_severity_is_refused() -> None:
    document = changed("security_hub.json", "Findings", 1, "Severity", to={})
    document["Findings"][1]["FindingProviderFields"] = {}
    assert "Findings[1].Severity.Label: missing" in refusal(document)


def test_findings_that_security_hub_archived_or_suppressed_count_and_are_noted() -> None:
    document = changed("security_hub.json", "Findings", 0, "RecordState", to="ARCHIVED")
    document["Findings"][1]["Workflow"] = {"Status": "SUPPRESSED"}
    report = parsed(document)
    assert len(report.findings) == 3
    assert report.notes == (
        "1 findings that are ARCHIVED in Security Hub count like all others",
        "1 findings that are SUPPRESSED in Security Hub count like all others",
    )


def test_security_hub_findings_of_several_images_or_of_other_resources_are_refused() -> None:
    document = fixture("security_hub.json")
    details = document["Findings"][1]["Resources"][0]["Details"]["AwsEcrContainerImage"]
    details["ImageDigest"] = IMAGE[:-1] + "0"
    assert "Findings: of 2 images" in refusal(document)
    document["Findings"][1]["Resources"][0]["Type"] = "AwsLambdaFunction"
    assert "'AwsLambdaFunction' is no container image" in refusal(document)


def test_a_page_or_an_empty_list_of_security_hub_proves_nothing() -> None:
    assert "all pages" in refusal({**fixture("security_hub.json"), "NextToken": "more"})
    assert "does not say whether any scanner looked" in parsed({"Findings": []}).why


def test_gitlab_names_the_vulnerability_by_its_identifiers_and_not_by_weaknesses() -> None:
    report = parsed(fixture("gitlab.json"))
    assert severities(report) == [Severity.HIGH, Severity.LOW, Severity.CRITICAL]
    assert report.findings[2].aliases == ("GHSA-jfh8-c2jp-5v3q",)
    assert [finding.fixable for finding in report.findings] == [True, None, True]
    assert report.findings[2].packages[0].fixed == "2.15.0"


def test_findings_that_gitlab_flags_as_false_positives_count() -> None:
    flags = [{"type": "flagged-as-likely-false-positive", "origin": "x", "description": "y"}]
    report = parsed(changed("gitlab.json", "vulnerabilities", 0, "flags", to=flags))
    assert len(report.findings) == 3
    assert "flagged as likely false positives" in report.notes[0]


def test_a_scan_of_gitlab_that_failed_or_is_about_two_images_is_not_judged() -> None:
    assert (
        parsed(changed("gitlab.json", "scan", "status", to="failure")).why == "the scan's status is failure"
    )
    other = changed("gitlab.json", "vulnerabilities", 0, "location", "image", to="other:1")
    assert "vulnerabilities: of 2 images" in refusal(other)
    assert parsed(changed("gitlab.json", "vulnerabilities", to=[])).is_complete


def test_an_old_report_of_gitlab_has_no_scan() -> None:
    document = fixture("gitlab.json")
    del document["scan"]
    document["vulnerabilities"] = [
        {**one, "category": "container_scanning"} for one in document["vulnerabilities"]
    ]
    assert len(parsed(document).findings) == 3


def test_trivy_operator_knows_fixes_and_the_image() -> None:
    report = parsed(fixture("trivy_operator.json"))
    assert report.digest == IMAGE
    assert [finding.fixable for finding in report.findings] == [True, False, True]
    listed: Json = {"kind": "List", "apiVersion": "v1", "items": [fixture("trivy_operator.json")]}
    assert parsed(listed).findings == report.findings
    listed["items"] *= 2
    assert "items: 2 reports; give one file for each container" in refusal(listed)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"vulnerabilities": []}, "lists 0 of 1 CRITICAL"),
        ({"vulnerabilities": [], "summary": {}, "os": {}}, "found nothing or read nothing"),
        ({"vulnerabilities": [], "summary": {}}, ""),
    ],
)
def test_an_empty_report_of_trivy_operator_has_to_name_a_system(change: Json, why: str) -> None:
    document = fixture("trivy_operator.json")
    document["report"] |= change
    report = parsed(document)
    assert why in report.why
    assert report.is_complete is not bool(why)


def test_harbor_names_the_image_by_its_digest_and_knows_fixes_where_trivy_scanned() -> None:
    report = parsed(fixture("harbor.json"))
    assert report.digest == IMAGE
    assert severities(report) == [Severity.HIGH, Severity.INFORMATIONAL, Severity.CRITICAL]
    assert [finding.fixable for finding in report.findings] == [True, False, True]
    other = changed("harbor.json", HARBOR, "scanner", "name", to="Unknown scanner")
    assert [finding.fixable for finding in parsed(other).findings] == [True, None, True]
    assert parsed(fixture("harbor.json")[HARBOR]).findings == report.findings


def test_a_report_of_harbor_that_is_not_over_or_of_two_images_is_not_judged() -> None:
    assert "not over" in parsed(changed("harbor.json", HARBOR, "generated_at", to=None)).why
    empty = changed("harbor.json", HARBOR, "vulnerabilities", to=None)
    assert "worst severity is Critical" in parsed(empty).why
    empty[HARBOR]["severity"] = "None"
    assert parsed(empty).is_complete
    two = changed("harbor.json", HARBOR, "vulnerabilities", 0, "artifact_digests", to=["sha256:" + "0" * 64])
    assert "of 2 images" in refusal(two)
    noted = parsed({**fixture("harbor.json"), "application/other+json": {"a": 1}}).notes
    assert noted == ("Harbor also reports 1 under application/other+json: not judged",)


def test_snyk_counts_a_vulnerability_once_for_all_ways_to_its_package() -> None:
    report = parsed(fixture("snyk.json"))
    assert [(one.vulnerability, one.packages[0].name) for one in report.findings] == [
        *(("CVE-2026-1001", "openssl"), ("CVE-2026-1002", "zlib1g")),
        ("CVE-2021-44228", LOG4J),
    ]
    assert [finding.fixable for finding in report.findings] == [True, False, True]
    assert report.platform == "linux/amd64"


def test_a_severity_of_snyk_is_never_the_milder_one() -> None:
    assert severities(parsed(fixture("snyk.json"))) == [Severity.HIGH, Severity.LOW, Severity.CRITICAL]


def test_snyk_may_write_a_list_of_projects() -> None:
    report = parsed([fixture("snyk.json"), fixture("snyk.json")])
    assert len(report.findings) == 6
    broken = [
        fixture("snyk.json"),
        changed("snyk.json", "applications", 0, "vulnerabilities", 0, "id", to=None),
    ]
    assert "[1].applications[0].vulnerabilities[0].id: missing" in refusal(broken)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"vulnerabilities": [], "ok": False}, "says that there are vulnerabilities, and lists none"),
        ({"vulnerabilities": [], "ok": True, "dependencyCount": 0}, "names no packages"),
        ({"vulnerabilities": [], "ok": True}, ""),
        ({"vulnerabilities": None, "ok": False, "error": "no such image"}, "Snyk failed: no such image"),
    ],
)
def test_a_report_of_snyk_that_tested_nothing_proves_nothing(change: Json, why: str) -> None:
    report = parsed({**fixture("snyk.json"), "applications": [], **change})
    assert why in report.why
    assert report.is_complete is not bool(why)


def test_ignored_omitted_and_extra_results_of_snyk_are_noted() -> None:
    document = {**fixture("snyk.json"), "severityThreshold": "high", "filtered": {"ignore": [{"id": "x"}]}}
    document["vulnerabilities"][2]["type"] = "license"
    report = parsed(document)
    threshold, ignored = report.notes
    assert "only findings from severity high on" in threshold
    assert ignored.startswith("1 findings were set aside by Snyk's own policy")
    assert [one.kind for one in report.findings].count(FindingKind.LICENSE) == 1


@pytest.mark.parametrize("probability", ["1.5", "often", "1e3", "-0.1"])
def test_a_probability_of_snyk_that_is_none_is_refused(probability: str) -> None:
    document = changed("snyk.json", "vulnerabilities", 0, "epssDetails", "probability", to=probability)
    assert "vulnerabilities[0].epssDetails" in refusal(document)
