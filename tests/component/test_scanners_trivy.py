"""Reports of Trivy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from imagegate.findings.finding import Finding, Package, Severity
from imagegate_cli.scanners.formats import read
from tests.component.scanner_files import (
    DEBIAN,
    FIXTURES,
    IMAGE,
    REGISTRY,
    Json,
    fixture,
    parsed,
)


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
        description="a flaw in libssl3",
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


@pytest.mark.parametrize("results", [None, [], [{"Target": "secrets", "Class": "secret"}]])
def test_a_report_of_trivy_that_names_no_packages_may_have_read_none(results: Any) -> None:
    assert "lists no packages" in parsed({**fixture("trivy.json"), "Results": results}).why


def test_a_clean_image_of_a_known_system_is_clean() -> None:
    raw = fixture("trivy.json")
    del raw["Results"][0]["Vulnerabilities"]
    raw["Results"] = raw["Results"][:1]
    report = parsed(raw)
    assert (report.findings, report.is_complete) == ([], True)


def test_findings_that_trivy_suppressed_are_named() -> None:
    raw = fixture("trivy.json")
    raw["Results"][0]["ExperimentalModifiedFindings"] = [{"Type": "vulnerability", "Status": "ignored"}]
    raw["Metadata"]["OS"]["EOSL"] = True
    raw["ArtifactType"] = "filesystem"
    filesystem, unsupported, aside = parsed(raw).notes
    assert "scanned a filesystem" in filesystem
    assert unsupported.startswith("debian 12.8 is no longer supported")
    assert aside.startswith("1 findings were set aside by Trivy's own settings")


FOUND = [
    {"Secrets": [{"RuleID": "aws-access-key-id", "Severity": "CRITICAL", "Title": "AWS key", "Match": "*"}]},
    {"Misconfigurations": [{"ID": "DS-0002", "Severity": "HIGH", "Message": "root", "Status": "FAIL"}]},
    {"Misconfigurations": [{"ID": "DS-0001", "Severity": "LOW", "Message": "latest"}]},
    {"Licenses": [{"PkgName": "x", "Name": "AGPL-3.0", "Severity": "CRITICAL", "Category": "forbidden"}]},
    {"Licenses": [{"PkgName": "", "FilePath": "a/LICENSE", "Name": "GPL", "Severity": "UNKNOWN"}]},
]
SCORES = {"CRITICAL": "9.5", "HIGH": "8.0", "MEDIUM": "5.5", "LOW": "2.0"}


def as_sarif(target: str, result: Json) -> Json:
    """Write the report as pkg/report/sarif.go of Trivy does."""
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
    assert [(one.vulnerability, one.severity, one.packages, one.kind) for one in in_json.findings] == [
        (one.vulnerability, one.severity, one.packages, one.kind) for one in in_sarif.findings
    ]
    (finding,) = in_json.findings
    assert finding.fixable is None
    assert f"{finding.kind.title()}s" in result


def test_misconfigurations_that_are_none_are_no_findings() -> None:
    well = [{"ID": "DS-0002", "Severity": "HIGH", "Status": status} for status in ("PASS", "EXCEPTION")]
    assert parsed(as_trivy({"Target": "x", "Misconfigurations": well})).findings == []


def test_secrets_alone_do_not_say_that_packages_were_looked_at() -> None:
    report = parsed({"SchemaVersion": 2, "Results": [{"Target": ".env", "Class": "secret", **FOUND[0]}]})
    assert len(report.findings) == 1
    assert not report.is_complete
