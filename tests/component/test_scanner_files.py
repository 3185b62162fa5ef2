"""Scanners' files: what each format tells, that nothing unreadable is passed over, and how several become one list."""

from __future__ import annotations

import base64
import copy
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagegate.findings.finding import Finding, Package, Severity
from imagegate_cli.faults import CANNOT_TELL, explain
from imagegate_cli.scanners import ScannerFileError, ScannerReport, document, formats, knows, merge, read

FIXTURES = Path(__file__).parent / "fixtures" / "scanners"
NAMES = sorted(path.name for path in FIXTURES.glob("*.json"))
IMAGE = "sha256:a6a8a1d6d4c25185f3d7e68eb410d164402f74eeb60cbd4f98a5cd8777eb6b82"
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
DEBIAN = "sha256:d5b48f299dff1110bbdd78db49f0eb46b1d5c4735338cf0bd69e3ea84310b204"
LOG4J = "org.apache.logging.log4j:log4j-core"

Json = dict[str, Any]


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text())


@pytest.fixture
def file(tmp_path: Path) -> Callable[[Any], Path]:
    """A file with this in it: bytes as they are, everything else as JSON."""

    def write(content: Any) -> Path:
        path = tmp_path / "report"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    return write


def parsed(content: Any) -> ScannerReport:
    """As `read` does with a file, without one."""
    return formats.report_of(content, "report")


def parsed_or_refused(content: Any) -> tuple[ScannerReport | None, str]:
    try:
        return parsed(content), ""
    except ScannerFileError as error:
        return None, error.message


def refusal(content: Any) -> str:
    with pytest.raises(ScannerFileError) as raised:
        parsed(content)
    return raised.value.message


def severities(report: ScannerReport) -> list[Severity]:
    return [finding.severity for finding in report.findings]


# what each format tells


@pytest.mark.parametrize(
    ("name", "scanner", "number"),
    [
        ("ecr_basic.json", "basic", 3),
        ("ecr_enhanced.json", "enhanced", 3),
        ("inspector.json", "inspector", 3),
        ("trivy.json", "trivy", 4),
        ("grype.json", "grype", 4),
        ("trivy_sarif.json", "sarif", 4),
        ("grype_sarif.json", "sarif", 4),
    ],
)
def test_a_scanner_is_known_by_what_it_writes_and_its_findings_count_as_it_counts(
    name: str, scanner: str, number: int, tmp_path: Path
) -> None:
    path = tmp_path / "results.txt"
    path.write_bytes((FIXTURES / name).read_bytes())
    report = read(path)
    assert (report.scanner, len(report.findings), report.is_complete) == (scanner, number, True)


def test_every_fixture_is_read() -> None:
    assert len(NAMES) == 7


@pytest.mark.parametrize(
    "name", ["ecr_basic.json", "ecr_enhanced.json", "inspector.json", "trivy.json", "grype.json"]
)
def test_a_file_says_which_image_it_is_about(name: str) -> None:
    assert read(FIXTURES / name).digest == IMAGE


def test_basic_scanning_names_a_package_at_most_and_knows_nothing_else() -> None:
    report = read(FIXTURES / "ecr_basic.json")
    url = "https://security-tracker.debian.org/tracker/CVE-2026-1001"
    openssl = Package("openssl", "3.0.11-1~deb12u2")
    assert report.findings[0] == Finding("CVE-2026-1001", Severity.HIGH, (openssl,), url=url)
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


def test_trivy_tells_package_url_layer_fix_and_the_images_configuration() -> None:
    report = read(FIXTURES / "trivy.json")
    assert report.findings[0] == Finding(
        "CVE-2026-1001",
        Severity.HIGH,
        (
            Package(
                "libssl3",
                "3.0.11-1~deb12u2",
                "3.0.12-1~deb12u1",
                "deb",
                "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12.8",
                DEBIAN,
            ),
        ),
        ("DSA-5555-1",),
        fixable=True,
        published="2026-10-10T10:15:09Z",
        url="https://avd.aquasec.com/nvd/cve-2026-1001",
    )
    assert (report.findings[2].severity, report.findings[2].fixable) == (Severity.UNDEFINED, False)
    assert report.config is not None
    assert report.config["config"]["User"] == "1000"
    assert (report.platform, report.target) == ("linux/amd64", f"{REGISTRY}/shop-dev:1.0")
    assert report.completed_at == datetime(2026, 11, 21, 8, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "ecosystem"),
    [
        ("alpine", "apk"),
        ("redhat", "rpm"),
        ("ubuntu", "deb"),
        ("gobinary", "golang"),
        ("jar", "maven"),
        ("eks", None),
    ],
)
def test_a_package_without_an_url_has_the_ecosystem_of_where_trivy_found_it(
    kind: str, ecosystem: str | None
) -> None:
    raw = fixture("trivy.json")
    raw["Results"][0]["Type"] = kind
    del raw["Results"][0]["Vulnerabilities"][0]["PkgIdentifier"]
    assert parsed(raw).findings[0].packages[0].ecosystem == ecosystem


def test_a_layer_that_was_never_pushed_has_the_name_that_it_has() -> None:
    raw = fixture("trivy.json")
    del raw["Results"][0]["Vulnerabilities"][0]["Layer"]["Digest"]
    layer = parsed(raw).findings[0].packages[0].layer
    assert layer == raw["Metadata"]["DiffIDs"][0]


def test_an_image_id_is_no_digest_of_a_manifest() -> None:
    raw = fixture("trivy.json")
    del raw["Metadata"]["RepoDigests"]
    assert parsed(raw).digest is None
    raw["ArtifactName"] = f"shop-dev@{IMAGE}"
    assert parsed(raw).digest == IMAGE
    raw = fixture("grype.json")
    raw["source"]["target"]["repoDigests"] = [f"a@{IMAGE}", f"b@{IMAGE[:-1]}0"]
    assert parsed(raw).digest is None


def test_grype_prefers_the_cve_and_keeps_the_advisory() -> None:
    log4j = read(FIXTURES / "grype.json").findings[0]
    assert (log4j.vulnerability, log4j.aliases) == ("CVE-2021-44228", ("GHSA-jfh8-c2jp-5v3q",))
    assert (log4j.packages[0].fixed, log4j.packages[0].ecosystem) == ("2.15.0", "maven")
    assert (log4j.known_exploited, log4j.epss) == (True, 0.97)


def test_an_advisory_about_several_cves_keeps_its_own_name() -> None:
    raw = fixture("grype.json")
    more = {**raw["matches"][0]["relatedVulnerabilities"][0], "id": "CVE-2021-45046"}
    raw["matches"][0]["relatedVulnerabilities"].append(more)
    log4j = parsed(raw).findings[0]
    assert log4j.names == ("GHSA-jfh8-c2jp-5v3q", "CVE-2021-44228", "CVE-2021-45046")


def test_what_grype_does_not_list_is_none_where_its_database_has_it_and_unknown_elsewhere() -> None:
    raw = fixture("grype.json")
    assert (parsed(raw).findings[2].epss, parsed(raw).findings[2].known_exploited) == (0.0, False)
    del raw["descriptor"]["db"]["providers"]
    assert parsed(raw).knows == {"fix", "layer", "epss", "kev"}  # one match has them
    raw["matches"] = raw["matches"][1:]
    report = parsed(raw)
    assert report.knows == {"fix", "layer", "epss"}
    assert [finding.known_exploited for finding in report.findings] == [None, None, None]
    raw["matches"] = raw["matches"][1:]
    assert [finding.epss for finding in parsed(raw).findings] == [None, None]


@pytest.mark.parametrize(
    ("state", "versions", "fixable", "fixed"),
    [
        ("fixed", ["2.0"], True, "2.0"),
        ("fixed", ["2.0", "3.0"], True, "2.0, 3.0"),
        ("fixed", [], None, None),
        ("not-fixed", [], False, None),
        ("wont-fix", [], False, None),
        ("unknown", [], None, None),
        ("", [], None, None),
    ],
)
def test_a_fix_is_what_grype_says_it_is(
    state: str, versions: list[str], fixable: bool | None, fixed: str | None
) -> None:
    raw = fixture("grype.json")
    raw["matches"][1]["vulnerability"]["fix"] = {"state": state, "versions": versions}
    finding = parsed(raw).findings[1]
    assert (finding.fixable, finding.packages[0].fixed) == (fixable, fixed)


def test_negligible_is_informational_and_unknown_is_undefined() -> None:
    assert severities(read(FIXTURES / "grype.json"))[2:] == [Severity.INFORMATIONAL, Severity.UNDEFINED]


def test_grype_packs_the_images_configuration_in_base64() -> None:
    report = read(FIXTURES / "grype.json")
    assert report.config == read(FIXTURES / "trivy.json").config
    assert report.platform == "linux/amd64"


def test_what_grype_finds_in_a_directory_is_about_no_image() -> None:
    raw = fixture("grype.json")
    raw["source"] = {"type": "directory", "target": "./shop"}
    report = parsed(raw)
    assert (report.target, report.digest, report.config) == ("./shop", None, None)


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


def test_what_a_scanner_can_tell_does_not_depend_on_a_file() -> None:
    assert knows("basic") == knows("sarif") == frozenset()
    assert knows("enhanced") == {"fix", "exploit", "layer"}
    assert knows("trivy") == knows("grype") == {"fix", "layer"}


# what is no whole result of a scan


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


def test_findings_that_inspector_closed_or_suppressed_count_and_are_told() -> None:
    raw = fixture("inspector.json")
    raw["findings"][0]["status"] = "CLOSED"
    report = parsed(raw)
    assert len(report.findings) == 3
    assert report.notes == ("1 findings that are CLOSED in Inspector count like all others",)


@pytest.mark.parametrize("results", [None, [], [{"Target": "secrets", "Class": "secret"}]])
def test_a_report_of_trivy_that_names_no_packages_may_have_read_none(results: Any) -> None:
    assert "names no packages" in parsed({**fixture("trivy.json"), "Results": results}).why


def test_a_clean_image_of_a_known_system_is_clean() -> None:
    raw = fixture("trivy.json")
    del raw["Results"][0]["Vulnerabilities"]
    raw["Results"] = raw["Results"][:1]
    report = parsed(raw)
    assert (report.findings, report.is_complete) == ([], True)


def test_what_trivy_set_aside_itself_is_told() -> None:
    raw = fixture("trivy.json")
    raw["Results"][0]["ExperimentalModifiedFindings"] = [{"Type": "vulnerability", "Status": "ignored"}]
    raw["Metadata"]["OS"]["EOSL"] = True
    raw["ArtifactType"] = "filesystem"
    filesystem, unsupported, aside = parsed(raw).notes
    assert "looked at a filesystem" in filesystem
    assert unsupported.startswith("debian 12.8 is no longer supported")
    assert aside.startswith("1 findings were set aside by Trivy's own settings")


def test_what_grype_set_aside_itself_is_told() -> None:
    raw = fixture("grype.json")
    raw["ignoredMatches"] = raw["matches"][:1]
    assert "1 matches were set aside" in parsed(raw).notes[0]


def test_a_broken_database_of_grype_finds_nothing_and_proves_nothing() -> None:
    raw = fixture("grype.json")
    raw["descriptor"]["db"]["status"]["error"] = "database is too old"
    assert "database is too old" in parsed(raw).why


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


def test_the_time_of_a_scan_may_be_in_seconds() -> None:
    raw = fixture("ecr_basic.json")
    raw["imageScanFindings"]["imageScanCompletedAt"] = 1795247558.0
    assert parsed(raw).completed_at == datetime(2026, 11, 21, 7, 52, 38, tzinfo=UTC)


# what cannot be read


def test_a_fault_is_told_in_one_line_and_exits_as_a_question_that_cannot_be_answered(tmp_path: Path) -> None:
    with pytest.raises(ScannerFileError) as raised:
        read(tmp_path / "none.json")
    assert raised.value.exit_code == CANNOT_TELL
    assert explain(raised.value) == f"{tmp_path}/none.json: No such file or directory"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; did the scanner fail?"),
        (b" \n", "empty"),
        (b'{"matches": [\n  {"a" 1}', "not JSON: .* \\(line 2, column 8\\)"),
        (b"Total: 3 (HIGH: 3)", "not JSON"),
        ('{"matches": "\u00e9"}'.encode("latin-1"), "not UTF-8 \\(byte 13\\)"),
        ('{"matches": []}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "4300 digits"),
        (b"[" * 200_000, "nested too deeply|not JSON"),
        (b"[]", "it is a list"),
        (b"3", "it is no JSON object"),
        (b"{}", "it has nothing in it"),
        (b'{"bomFormat": "CycloneDX", "components": []}', "it has bomFormat, components"),
        (b'{"\\u001b[2J": 1}', r"it has \\x1b\[2J"),
        (json.dumps({f"k{n}": n for n in range(20)}).encode(), "k7 and 12 more"),
        (b'{"matches": []}', "Understood: .*ECR .*Trivy .*Grype .*SARIF 2.1.0.*Inspector"),
        (b'{"findings": [], "other": 1}', "no report that is understood"),
        (b'{"findings": [{"id": 1}]}', "no report that is understood"),
    ],
)
def test_what_is_no_report_is_refused_with_what_was_seen(
    file: Callable[[Any], Path], content: bytes, message: str
) -> None:
    with pytest.raises(ScannerFileError, match=message):
        read(file(content))


def test_a_byte_order_mark_is_no_fault(file: Callable[[Any], Path]) -> None:
    assert read(file(b"\xef\xbb\xbf" + (FIXTURES / "trivy.json").read_bytes())).scanner == "trivy"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "a\0b"):
        with pytest.raises(ScannerFileError):
            read(path)


def test_what_is_too_large_is_refused_before_it_is_read(
    file: Callable[[Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 1024**2)
    path = file(b" " * (1024**2 + 1))
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(ScannerFileError, match="larger than 1 MiB"):
        read(path)


def test_a_device_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 1024**2)
    with pytest.raises(ScannerFileError, match="larger than 1 MiB"):
        read(Path("/dev/zero"))


def test_a_report_can_be_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    piped = io.BytesIO((FIXTURES / "grype.json").read_bytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=piped))
    assert read(Path("-")).scanner == "grype"
    with pytest.raises(ScannerFileError, match="standard input: empty"):
        read(Path("-"))
    monkeypatch.setattr(document, "MAX_BYTES", 1024**2)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b" " * (1024**2 + 1))))
    with pytest.raises(ScannerFileError, match="larger"):
        read(Path("-"))


_NOWHERE = object()


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("trivy.json", ["SchemaVersion"], 1, "SchemaVersion: 2 is understood, not '1'"),
        (
            "trivy.json",
            ["Results", 0, "Vulnerabilities", 0, "VulnerabilityID"],
            _NOWHERE,
            "Results[0].Vulnerabilities[0].VulnerabilityID: missing",
        ),
        (
            "trivy.json",
            ["Results", 1, "Vulnerabilities", 0, "PkgIdentifier", "PURL"],
            7,
            "Results[1].Vulnerabilities[0].PkgIdentifier.PURL: text was expected, not a number",
        ),
        ("trivy.json", ["Results", 1], None, "Results[1]: an object was expected, not null"),
        ("trivy.json", ["Results"], {}, "Results: a list was expected, not an object"),
        ("trivy.json", ["Metadata"], [], "Metadata: an object was expected, not a list"),
        ("trivy.json", ["CreatedAt"], "yesterday", "CreatedAt: not a time: 'yesterday'"),
        (
            "trivy.json",
            ["Metadata", "ImageConfig", "os"],
            "\ud800",
            "Metadata.ImageConfig: half a surrogate pair",
        ),
        ("grype.json", ["matches"], None, "matches: missing"),
        (
            "grype.json",
            ["matches", 0, "relatedVulnerabilities", 0, "epss", 0, "epss"],
            1.5,
            "matches[0].relatedVulnerabilities[0].epss[0].epss: not a number from 0 to 1: 1.5",
        ),
        ("grype.json", ["matches", 3, "artifact"], _NOWHERE, "matches[3].artifact.name: missing"),
        ("grype.json", ["source", "target", "config"], "e30", "source.target.config: not JSON in base64"),
        ("grype.json", ["source", "target", "config"], "W10=", "source.target.config: not JSON in base64"),
        (
            "ecr_basic.json",
            ["imageScanFindings", "findings", 1, "name"],
            "",
            "imageScanFindings.findings[1].name",
        ),
        (
            "ecr_basic.json",
            ["imageScanFindings", "findings", 0, "attributes", 0, "key"],
            _NOWHERE,
            "imageScanFindings.findings[0].attributes[0].key: missing",
        ),
        (
            "ecr_enhanced.json",
            [
                "imageScanFindings",
                "enhancedFindings",
                2,
                "packageVulnerabilityDetails",
                "vulnerablePackages",
                0,
                "name",
            ],
            _NOWHERE,
            "imageScanFindings.enhancedFindings[2].packageVulnerabilityDetails.vulnerablePackages[0].name: missing",
        ),
        (
            "ecr_enhanced.json",
            ["imageScanFindings", "findingSeverityCounts", "HIGH"],
            "1",
            "imageScanFindings.findingSeverityCounts.HIGH: not a number of findings",
        ),
        ("ecr_enhanced.json", ["imageScanFindings", "findings"], [{"name": "a"}], "no scan gives both"),
        ("inspector.json", ["findings", 1, "findingArn"], _NOWHERE, "findings[1].findingArn: missing"),
        (
            "inspector.json",
            ["findings", 0, "epss", "score"],
            "0.9",
            "findings[0].epss.score: a number was expected",
        ),
        (
            "inspector.json",
            ["findings", 0, "epss", "score"],
            10**400,
            "findings[0].epss.score: not a number from 0",
        ),
        ("trivy_sarif.json", ["version"], "2.0.0", "version: 2.1.0 is understood, not '2.0.0'"),
        (
            "trivy_sarif.json",
            ["runs", 0, "results", 1],
            "x",
            "runs[0].results[1]: an object was expected, not text",
        ),
    ],
)
def test_a_malformed_part_is_named_by_its_path(name: str, place: list[Any], value: Any, message: str) -> None:
    raw = fixture(name)
    at = raw
    for key in place[:-1]:
        at = at[key]
    if value is _NOWHERE:
        del at[place[-1]]
    else:
        at[place[-1]] = value
    assert message in refusal(raw)


JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["\ud800", "2026-13-45", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00", "absent", "-1"]
    ),
    st.lists(st.integers(), max_size=2),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, element in inside:
        yield (*path, key)
        yield from places(element, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


DOCUMENTS = {name: fixture(name) for name in NAMES}
PLACES = {name: list(places(raw)) for name, raw in DOCUMENTS.items()}


@given(st.data(), st.sampled_from(NAMES))
@settings(max_examples=600)
def test_whatever_is_changed_in_a_file_it_is_read_or_refused(data: st.DataObject, name: str) -> None:
    raw = copy.deepcopy(DOCUMENTS[name])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(PLACES[name]))
        try:
            holder = at(raw, path[:-1])
            if data.draw(st.booleans()):
                del holder[path[-1]]
            else:
                holder[path[-1]] = data.draw(JUNK)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
    report, message = parsed_or_refused(raw)
    if report:
        assert all(isinstance(finding, Finding) for finding in report.findings)
        repr(report.findings).encode()
    assert message.isprintable()


LISTS = {
    "ecr_basic.json": ("imageScanFindings", "findings"),
    "ecr_enhanced.json": ("imageScanFindings", "enhancedFindings"),
    "inspector.json": ("findings",),
    "trivy.json": ("Results", 0, "Vulnerabilities"),
    "grype.json": ("matches",),
    "trivy_sarif.json": ("runs", 0, "results"),
    "grype_sarif.json": ("runs", 0, "results"),
}


@given(st.data(), st.sampled_from(NAMES))
@settings(max_examples=400)
def test_a_finding_that_is_damaged_is_refused_or_counts(data: st.DataObject, name: str) -> None:
    """Nothing that happens inside of a finding takes it off the list."""
    raw = copy.deepcopy(DOCUMENTS[name])
    number = len(parsed(raw).findings)
    listed = at(raw, LISTS[name])
    position = data.draw(st.integers(0, len(listed) - 1))
    path = data.draw(st.sampled_from([(), *places(listed[position])]))
    holder, key = (at(listed[position], path[:-1]), path[-1]) if path else (listed, position)
    holder[key] = data.draw(JUNK)
    report, _ = parsed_or_refused(raw)
    assert report is None or len(report.findings) == number


@given(st.sampled_from(NAMES), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_was_cut_off_is_refused(
    file: Callable[[Any], Path], name: str, data: st.DataObject
) -> None:
    content = (FIXTURES / name).read_bytes().rstrip()
    path = file(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ScannerFileError):
        read(path)


@given(st.binary(max_size=64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_bytes_are_in_a_file_there_is_no_traceback(
    file: Callable[[Any], Path], content: bytes
) -> None:
    with pytest.raises(ScannerFileError):
        read(file(content))


def test_a_configuration_that_is_nested_too_deeply_is_refused(file: Callable[[Any], Path]) -> None:
    raw = fixture("grype.json")
    raw["source"]["target"]["config"] = base64.b64encode(b"[" * 200_000).decode()
    with pytest.raises(ScannerFileError, match=r"nested too deeply|not JSON in base64"):
        read(file(raw))


# what is found beside vulnerabilities


FOUND = [
    {"Secrets": [{"RuleID": "aws-access-key-id", "Severity": "CRITICAL", "Title": "AWS key", "Match": "*"}]},
    {"Misconfigurations": [{"ID": "DS-0002", "Severity": "HIGH", "Message": "root", "Status": "FAIL"}]},
    {"Misconfigurations": [{"ID": "DS-0001", "Severity": "LOW", "Message": "latest"}]},
    {"Licenses": [{"PkgName": "x", "Name": "AGPL-3.0", "Severity": "CRITICAL", "Category": "forbidden"}]},
    {"Licenses": [{"PkgName": "", "FilePath": "a/LICENSE", "Name": "GPL", "Severity": "UNKNOWN"}]},
]
SCORES = {"CRITICAL": "9.5", "HIGH": "8.0", "MEDIUM": "5.5", "LOW": "2.0"}


def as_sarif(target: str, result: Json) -> Json:
    """As pkg/report/sarif.go of Trivy writes it."""
    texts: list[tuple[str, str, str]] = [
        *(
            (one["RuleID"], one["Severity"], f"Secret {one['Title']}\nSeverity: {one['Severity']}\nMatch: *")
            for one in result.get("Secrets", ())
        ),
        *(
            (
                one["ID"],
                one["Severity"],
                f"Vulnerability {one['ID']}\nSeverity: {one['Severity']}\nMessage: x",
            )
            for one in result.get("Misconfigurations", ())
        ),
    ]
    found = [(name, level, f"Artifact: {target}\nType: \n{text}") for name, level, text in texts]
    for one in result.get("Licenses", ()):
        text = f"Artifact: {target}\nLicense {one['Name']}\nPkgName: {one['PkgName']}\n Classification: x"
        text += f"\n Path: {one.get('FilePath', '')}"
        found.append((f"{one['PkgName']}:{one['Name']}", one["Severity"], text))
    rules = [
        {
            "id": name,
            "properties": {"security-severity": SCORES.get(level, "0.0"), "tags": ["security", level]},
        }
        for name, level, _ in found
    ]
    results = [{"ruleId": name, "message": {"text": text}} for name, _, text in found]
    run = {"tool": {"driver": {"name": "Trivy", "rules": rules}}, "results": results}
    return {"version": "2.1.0", "runs": [run]}


def as_trivy(*results: Json) -> Json:
    looked = {"Target": "shop", "Class": "os-pkgs", "Type": "alpine"}
    return {"SchemaVersion": 2, "ArtifactName": "shop:1.0", "Results": [looked, *results]}


@pytest.mark.parametrize("result", FOUND)
def test_trivys_two_forms_of_one_scan_say_the_same(result: Json) -> None:
    in_json = parsed(as_trivy({"Target": "/app/.env", **result}))
    in_sarif = parsed(as_sarif("/app/.env", result))
    assert [(one.vulnerability, one.severity, one.packages) for one in in_json.findings] == [
        (one.vulnerability, one.severity, one.packages) for one in in_sarif.findings
    ]
    assert in_json.findings[0].fixable is None
    (note,) = in_json.notes
    assert "Trivy also reports 1 " in note


def test_misconfigurations_that_are_none_are_no_findings() -> None:
    well = [{"ID": "DS-0002", "Severity": "HIGH", "Status": status} for status in ("PASS", "EXCEPTION")]
    assert parsed(as_trivy({"Target": "x", "Misconfigurations": well})).findings == []


def test_secrets_alone_do_not_say_that_packages_were_looked_at() -> None:
    report = parsed({"SchemaVersion": 2, "Results": [{"Target": ".env", "Class": "secret", **FOUND[0]}]})
    assert len(report.findings) == 1
    assert not report.is_complete


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            as_trivy({"Target": "x", "CustomResources": [{}, {}]}),
            "Trivy also reports 2 under CustomResources",
        ),
        (
            as_trivy({"Target": "x", "Surprises": [{}]}, {"Target": "y", "Surprises": [{}]}),
            "2 under Surprises",
        ),
        ({**as_trivy(), "Surprises": {"a": 1}}, "1 under Surprises"),
        ({**fixture("grype.json"), "alertsByPackage": [{}]}, "Grype also reports 1 under alertsByPackage"),
        ({**fixture("ecr_enhanced.json"), "surprises": [{}]}, "ECR also reports 1 under surprises"),
        (
            {**fixture("trivy_sarif.json"), "inlineExternalProperties": [{}]},
            "1 under inlineExternalProperties",
        ),
    ],
)
def test_no_section_of_a_report_is_passed_over_in_silence(content: Json, says: str) -> None:
    assert any(says in note and note.endswith(": not judged") for note in parsed(content).notes)


@pytest.mark.parametrize("name", NAMES)
def test_a_report_that_is_read_in_full_has_no_such_note(name: str) -> None:
    assert not any("not judged" in note for note in read(FIXTURES / name).notes)


# several scanners


def report_of(*findings: Finding, scanner: str = "trivy") -> ScannerReport:
    return ScannerReport(scanner, list(findings), knows(scanner))


def finding(name: str = "CVE-2026-0001", *packages: str, severity: str = "HIGH", **more: Any) -> Finding:
    listed = tuple(Package(*package.split(" ")) for package in packages)
    return Finding(name, Severity(severity), listed, **more)


def test_a_single_report_is_not_merged() -> None:
    twice = [finding("CVE-2026-0001", "a"), finding("CVE-2026-0001", "a")]
    assert merge([report_of(*twice)]) == twice
    assert merge([]) == []


def test_what_two_scanners_report_counts_once() -> None:
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


def test_what_is_known_of_a_vulnerability_is_known_in_each_of_its_packages() -> None:
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
    merged = merge([read(FIXTURES / name) for name in NAMES if name != "ecr_basic.json"])
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
