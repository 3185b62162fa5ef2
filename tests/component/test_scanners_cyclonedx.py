"""CycloneDX with vulnerabilities, of Trivy, Grype and Inspector."""

from __future__ import annotations

from typing import Any

import pytest

from imagegate.findings.finding import Package, Severity
from tests.component.scanner_files import DEBIAN, IMAGE, LOG4J, REGISTRY, Json, fixture, parsed, refusal


def sbom(*vulnerabilities: Json, tool: str = "grype", **members: Any) -> Json:
    metadata = {"tools": {"components": [{"type": "application", "name": tool}]}}
    bom: Json = {"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": metadata}
    return {**bom, "vulnerabilities": list(vulnerabilities), **members}


def vulnerability(*ratings: Json, **members: Any) -> Json:
    return {
        "id": "CVE-2026-1",
        "ratings": list(ratings),
        "affects": [{"ref": "pkg:deb/debian/a@1"}],
        **members,
    }


def rating(source: str, severity: str, **members: Any) -> Json:
    return {"source": {"name": source}, "severity": severity, **members}


def test_the_sbom_of_trivy_has_a_finding_for_each_package_as_its_json_has() -> None:
    report, of_json = parsed(fixture("trivy_cyclonedx.json")), parsed(fixture("trivy.json"))
    assert report.digest == of_json.digest == IMAGE
    assert f"{REGISTRY}/shop-dev:1.0" in report.references
    assert {(one.vulnerability, one.packages[0].name) for one in report.findings} == {
        *(("CVE-2026-1001", "libssl3"), ("CVE-2026-1001", "openssl"), ("CVE-2026-1002", "zlib1g")),
        ("CVE-2021-44228", LOG4J),
    }
    assert report.findings[0].packages[0].layer == DEBIAN
    assert {finding.fixable for finding in report.findings} == {None}


def test_the_sbom_of_inspector_tells_fixes_exploits_and_scores_and_counts_as_inspector_counts() -> None:
    log4j, openssl = parsed(fixture("inspector_cyclonedx.json")).findings
    assert (log4j.fixable, log4j.exploit, log4j.known_exploited, log4j.epss) == (True, True, True, 0.97)
    assert log4j.packages[0].fixed == "2.15.0"
    assert [package.name for package in openssl.packages] == ["libssl3", "openssl"]


def test_an_sbom_alone_is_read_as_the_answer_around_it_is() -> None:
    answer = fixture("inspector_cyclonedx.json")
    assert parsed(answer["sbom"]).findings == parsed(answer).findings


def test_fewer_findings_than_inspector_counts_are_noticed() -> None:
    answer = fixture("inspector_cyclonedx.json")
    del answer["sbom"]["vulnerabilities"][0]
    assert "lists 0 of 1 CRITICAL" in parsed(answer).why


@pytest.mark.parametrize(
    ("change", "is_complete"),
    [
        ({"tool": "grype"}, True),
        ({"tool": "trivy"}, False),  # it writes an empty list also if it looked for none
        ({"tool": "syft"}, False),
    ],
)
def test_an_empty_list_counts_only_of_a_tool_that_always_looks(change: Json, is_complete: bool) -> None:
    assert parsed(sbom(**change)).is_complete is is_complete


def test_an_sbom_that_nobody_scanned_is_not_complete() -> None:
    bom = sbom()
    del bom["vulnerabilities"]
    assert "does not say that anybody looked for them" in parsed(bom).why


def test_inspector_leaves_out_an_empty_list() -> None:
    answer = fixture("inspector_cyclonedx.json")
    del answer["sbom"]["vulnerabilities"]
    assert "lists 0 of 1 CRITICAL" in parsed(answer).why
    for one in answer["sbom"]["metadata"]["properties"]:
        one["value"] = "0"
    assert parsed(answer).is_complete


@pytest.mark.parametrize(
    ("tool", "members", "ratings", "severity"),
    [
        ("grype", {}, [rating("a", "low"), rating("b", "critical")], Severity.CRITICAL),
        ("grype", {"source": {"name": "A"}}, [rating("a", "low"), rating("b", "critical")], Severity.LOW),
        ("grype", {"source": {"name": "a"}}, [rating("a", "unknown"), rating("b", "high")], Severity.HIGH),
        ("grype", {"source": {"name": "a"}}, [rating("a", "none"), rating("b", "high")], Severity.HIGH),
        (
            "trivy",
            {"source": {"name": "debian"}},
            [rating("nvd", "high"), rating("ghsa", "critical")],
            Severity.HIGH,
        ),
        (
            "other",
            {"source": {"name": "debian"}},
            [rating("nvd", "high"), rating("ghsa", "critical")],
            Severity.CRITICAL,
        ),
        ("grype", {}, [{"score": 9.8, "method": "CVSSv31"}], Severity.CRITICAL),
        ("grype", {}, [{"score": 9.8, "method": "other"}], Severity.UNDEFINED),
        ("grype", {}, [rating("EPSS", "none", score=0.9, method="other")], Severity.UNDEFINED),
        ("grype", {}, [], Severity.UNDEFINED),
    ],
)
def test_the_rating_of_the_own_source_counts_else_the_worst(
    tool: str, members: Json, ratings: list[Json], severity: Severity
) -> None:
    (finding,) = parsed(sbom(vulnerability(*ratings, **members), tool=tool)).findings
    assert finding.severity is severity


@pytest.mark.parametrize(
    ("ref", "package"),
    [
        ("b", Package("b", "2", purl=None)),
        ("urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#b", Package("b", "2")),
        ("pkg:npm/left-pad@1.0", Package("left-pad", "1.0", ecosystem="npm", purl="pkg:npm/left-pad@1.0")),
        ("nowhere", Package("nowhere")),
    ],
)
def test_a_package_is_found_by_its_reference_also_a_nested_one(ref: str, package: Package) -> None:
    inner = {"type": "library", "bom-ref": "b", "name": "b", "version": "2"}
    components = [{"type": "library", "bom-ref": "a", "name": "a", "components": [inner]}]
    (finding,) = parsed(sbom(vulnerability(affects=[{"ref": ref}]), components=components)).findings
    assert finding.packages == (package,)


def test_a_vulnerability_without_packages_counts() -> None:
    (finding,) = parsed(sbom(vulnerability(affects=[]))).findings
    assert finding.packages == ()


def test_analysis_states_in_an_sbom_exclude_no_finding() -> None:
    report = parsed(sbom(vulnerability(analysis={"state": "not_affected"})))
    assert len(report.findings) == 1
    assert "1 findings have an analysis in the SBOM and count like all others" in report.notes[0]


def test_a_fault_is_named_by_its_path() -> None:
    answer = fixture("inspector_cyclonedx.json")
    answer["sbom"]["vulnerabilities"][1]["affects"][0]["ref"] = 7
    assert "sbom.vulnerabilities[1].affects[0].ref: text was expected, not a number" in refusal(answer)
