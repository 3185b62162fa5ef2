"""`imagegate judge` on files: one verdict whatever the scanner, in every form, and one line for whatever is wrong."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.component.judged import PLAIN, Judge, one_line
from tests.fakes import NOW

POLICY = """
version: 1
scanner: enhanced
stages:
  dev:
    repositories: "{app}-dev"
    promotes_to: staging
    findings:
      max: {critical: 0, high: 0}
      grace: {high: 7d}
      no_grace: {known_exploited: true}
    image: {non_root: true, labels: [team], max_age: 30d}
    evidence: {require_provenance: ["*"]}
  staging:
    repositories: "{app}-staging"
    findings: {max: {critical: 0, high: 0}}
"""
CONFIG = {
    "os": "linux",
    "architecture": "amd64",
    "config": {"User": "1000", "Labels": {"team": "shop"}},
    "rootfs": {"type": "layers", "diff_ids": []},
}
MINUTE = timedelta(minutes=1)


def trivy(*found: tuple[str, str], package: str = "jinja2", fixed: str = "3.1.6") -> dict[str, Any]:
    return {
        "SchemaVersion": 2,
        "CreatedAt": NOW.isoformat(),
        "ArtifactName": "shop:1.0",
        "ArtifactType": "container_image",
        "Results": [
            {
                "Target": "Python",
                "Class": "lang-pkgs",
                "Type": "python-pkg",
                "Vulnerabilities": [
                    {
                        "VulnerabilityID": name,
                        "PkgName": package,
                        "PkgIdentifier": {"PURL": f"pkg:pypi/{package}@3.0.0"},
                        "InstalledVersion": "3.0.0",
                        "Severity": severity,
                        **({"FixedVersion": fixed} if fixed else {}),
                    }
                    for name, severity in found
                ],
            }
        ],
    }


def enhanced(*found: tuple[str, str], status: str = "ACTIVE", **more: Any) -> dict[str, Any]:
    """Return findings as `aws ecr describe-image-scan-findings` prints them."""
    findings = [
        {
            "findingArn": f"arn:aws:inspector2:eu-central-1:123456789012:finding/{number:032}",
            "severity": severity,
            "status": "ACTIVE",
            "type": "PACKAGE_VULNERABILITY",
            "fixAvailable": "YES",
            "exploitAvailable": "NO",
            "packageVulnerabilityDetails": {
                "vulnerabilityId": name,
                "vulnerablePackages": [
                    {
                        "name": "openssl",
                        "version": "3.0.1",
                        "fixedInVersion": "0:3.0.2",
                        "packageManager": "OS",
                    }
                ],
            },
        }
        for number, (name, severity) in enumerate(found)
    ]
    counts: dict[str, int] = {}
    for _, severity in found:
        counts[severity] = counts.get(severity, 0) + 1
    return {
        "registryId": "123456789012",
        "repositoryName": "shop-dev",
        "imageId": {"imageDigest": f"sha256:{'a' * 64}", "imageTag": "1.0"},
        "imageScanStatus": {"status": status, "description": ""},
        "imageScanFindings": {
            "imageScanCompletedAt": (NOW - MINUTE).isoformat(),
            "findingSeverityCounts": counts,
            "enhancedFindings": findings,
        }
        | more,
    }


# verdicts and exit codes


def test_a_clean_image_passes(judge: Judge) -> None:
    result = judge("--findings", trivy())
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("PASS")


def test_a_refusal_exits_with_1_and_names_the_remedy(judge: Judge) -> None:
    result = judge("--findings", trivy(("CVE-2026-1", "CRITICAL"), ("CVE-2026-2", "CRITICAL")))
    assert result.code == 1
    assert "BLOCK: shop:1.0 at the dev gate" in result.out
    assert "2 CRITICAL (at most 0)" in result.out
    assert "upgrade jinja2 to 3.1.6: removes 2" in result.out


def test_an_image_that_an_observing_stage_would_block_exits_with_0_and_says_so(judge: Judge) -> None:
    observing = PLAIN.replace('"{app}-dev"', '"{app}-dev", mode: observe')
    result = judge("--findings", trivy(("CVE-2026-1", "CRITICAL")), policy=observing)
    assert result.code == 0
    assert "BLOCK, only observed" in result.out


def test_an_unknown_result_exits_with_2(judge: Judge) -> None:
    result = judge("--findings", trivy(), "--json", policy=POLICY)
    assert result.code == 2
    assert result.json["verdict"] == "ERROR"
    unknown = {reason["rule"] for reason in result.json["reasons"] if reason["unknown"]}
    assert unknown == {"image.non_root", "image.labels"}


def test_the_config_answers_it_in_the_form_of_the_registry_and_of_docker(judge: Judge) -> None:
    inspected = [
        {
            "Os": "linux",
            "Architecture": "amd64",
            "Config": CONFIG["config"],
            "RootFS": {"Type": "layers", "Layers": []},
        }
    ]
    for config in (CONFIG, inspected):
        assert judge("--findings", trivy(), "--config", config, policy=POLICY).code == 0
    root = {**CONFIG, "config": {"Labels": {"team": "shop"}}}
    result = judge("--findings", trivy(), "--config", root, policy=POLICY)
    assert result.code == 1
    assert "runs as root" in result.out


@pytest.mark.parametrize("missing", ["os", "architecture", "rootfs"])
@pytest.mark.parametrize("value", [None, "", 7, {}])
def test_anything_but_a_configuration_is_refused_and_not_judged(
    judge: Judge, missing: str, value: Any
) -> None:
    other = {**CONFIG, missing: value}
    result = judge("--findings", trivy(), "--config", other, policy=POLICY)
    one_line(result)
    assert f"not an image configuration: no {missing}" in result.err
    assert "skopeo inspect --config" in result.err
    scanned = {
        **trivy(),
        "Metadata": {"ImageConfig": other if isinstance(value, str) else {**other, "os": ""}},
    }
    assert judge("--findings", scanned, policy=POLICY).code == 2  # not known, and no refusal


def test_parts_of_a_report_that_are_not_judged_are_named(judge: Judge) -> None:
    result = judge("--findings", trivy(), "--config", CONFIG, "--json", policy=POLICY)
    assert result.json["notes"] == [
        "not judged here, but in the pipeline: image.max_age, evidence.require_provenance",
        "every grace period starts now here: only the pipeline knows since when a finding is known",
    ]


@pytest.mark.parametrize("status", ["FAILED", "UNSUPPORTED_IMAGE", "FINDINGS_UNAVAILABLE", "SOMETHING_NEW"])
def test_a_scan_without_a_result_never_passes(judge: Judge, status: str) -> None:
    assert judge("--findings", enhanced(status=status)).code == 1


@pytest.mark.parametrize("status", ["IN_PROGRESS", "PENDING"])
def test_a_scan_that_is_not_over_never_passes(judge: Judge, status: str) -> None:
    assert judge("--findings", enhanced(status=status)).code in (1, 2)


def test_a_list_that_is_shorter_than_its_summary_never_passes(judge: Judge) -> None:
    half = enhanced(("CVE-2026-1", "LOW"), findingSeverityCounts={"LOW": 1, "CRITICAL": 2})
    result = judge("--findings", half, "--json")
    assert result.code == 2
    assert "findings.incomplete" in {reason["rule"] for reason in result.json["reasons"]}


@pytest.mark.parametrize("form", ["findings", "enhancedFindings"])
@pytest.mark.parametrize("status", ["COMPLETE", "ACTIVE"])
@pytest.mark.parametrize("gone", [("imageScanCompletedAt",), ("findingSeverityCounts",), (), None])
def test_an_answer_without_its_date_or_its_counts_says_nothing(
    judge: Judge, form: str, status: str, gone: tuple[str, ...] | None
) -> None:
    """aws-sdk issue 289, aws-cli issue 6759: seconds later the findings are there."""
    dump = enhanced(status=status)
    whole = dump["imageScanFindings"]
    left = {name: value for name, value in whole.items() if name not in (gone or ("enhancedFindings",))}
    dump["imageScanFindings"] = {form: []} if gone is None else left
    result = judge("--findings", dump, "--json")
    if gone == ():
        assert result.code == 0
        return
    assert (result.code, result.json["verdict"]) == (2, "ERROR")
    [reason] = result.json["reasons"]
    for name in gone or ("imageScanCompletedAt", "findingSeverityCounts"):
        assert name in reason["message"]
    assert "wait until the scan has that" in reason["message"]


def test_an_early_answer_beside_a_whole_report_decides(judge: Judge) -> None:
    early = enhanced()
    early["imageScanFindings"] = {"findings": []}
    assert judge("--findings", early, "--findings", trivy()).code == 2
    assert judge("--findings", trivy(), "--findings", early).code == 2


def test_that_the_coverage_is_not_in_an_answer_is_said(judge: Judge) -> None:
    notes = judge("--findings", enhanced(), "--json").json["notes"]
    assert any("ListCoverage" in note for note in notes)


def test_a_list_without_a_status_is_not_judged(judge: Judge) -> None:
    dump = enhanced()
    del dump["imageScanStatus"]
    one_line(judge("--findings", dump))


def test_a_stale_scan_never_passes(judge: Judge) -> None:
    policy = PLAIN.replace('"{app}-dev"', '"{app}-dev", scan: {max_scan_age: 1d}')
    assert judge("--findings", trivy(), policy=policy).code == 0
    old = {**trivy(), "CreatedAt": (NOW - timedelta(days=2)).isoformat()}
    result = judge("--findings", old, policy=policy)
    assert result.code == 1
    assert "scan again" in result.out
    undated = {key: value for key, value in trivy().items() if key != "CreatedAt"}
    assert judge("--findings", undated, policy=policy).code == 2


def test_several_scanners_are_merged(judge: Judge) -> None:
    one, other = trivy(("CVE-2026-1", "HIGH")), trivy(("CVE-2026-1", "CRITICAL"), ("CVE-2026-2", "LOW"))
    result = judge("--findings", one, "--findings", other, "--json")
    assert [(f["vulnerability"], f["severity"]) for f in result.json["findings"]] == [
        ("CVE-2026-1", "CRITICAL"),
        ("CVE-2026-2", "LOW"),
    ]
    assert result.code == 1


def test_files_about_different_images_are_not_merged(judge: Judge) -> None:
    other = enhanced()
    other["imageId"] = {"imageDigest": f"sha256:{'b' * 64}"}
    result = judge("--findings", enhanced(), "--findings", other)
    assert result.code == 2
    assert "different images" in result.err


# knowledge from elsewhere


def test_a_catalogue_of_exploited_vulnerabilities_ends_their_grace(judge: Judge) -> None:
    found = trivy(("CVE-2026-1", "HIGH"))
    asked = ("--findings", found, "--config", CONFIG)
    assert judge(*asked, policy=POLICY).code == 2  # Trivy does not say, and that may decide
    kev = {"title": "CISA Catalog", "vulnerabilities": [{"cveID": "CVE-2020-9"}]}
    assert judge(*asked, "--kev", kev, policy=POLICY).code == 0
    kev["vulnerabilities"] = [{"cveID": "CVE-2026-1"}]
    assert judge(*asked, "--kev", kev, policy=POLICY).code == 1


@pytest.mark.parametrize("packed", [False, True])
def test_scores_of_exploitation_end_grace_too(judge: Judge, packed: bool) -> None:
    policy = POLICY.replace("known_exploited: true", "epss: 0.5")
    rows = b"#model_version:v2026\ncve,epss,percentile\nCVE-2026-1,0.7,0.9\nCVE-2026-2,0.1,0.2\n"
    scores = gzip.compress(rows) if packed else rows
    for name, code in (("CVE-2026-1", 1), ("CVE-2026-2", 0), ("CVE-2026-3", 0)):
        asked = ("--findings", trivy((name, "HIGH")), "--config", CONFIG, "--epss", scores)
        assert judge(*asked, policy=policy).code == code


@pytest.mark.parametrize(
    ("option", "content"),
    [
        ("--kev", {}),
        ("--kev", {"vulnerabilities": [{}]}),
        ("--kev", b"not json"),
        ("--kev", {"vulnerabilities": [{"cveID": 7}]}),
        ("--kev", {"vulnerabilities": [{"cveID": "CVE-1"}, {"cveID": []}]}),
        ("--epss", b"x" * 200_000 + b",cve,epss\n"),
        ("--epss", b"cve,epss\n" + b"x" * 200_000 + b",0.1\n"),
        ("--epss", b"a,b\n1,2\n"),
        ("--epss", b"cve,epss\nCVE-1,2.5\n"),
        ("--epss", b"cve,epss\nCVE-1,x\n"),
        ("--epss", b"cve,epss\nCVE-1\n"),
        ("--epss", b"\xff\xfe"),
        ("--epss", b"\x1f\x8b broken"),
        ("--epss", b""),
    ],
)
def test_a_broken_catalogue_is_one_line(judge: Judge, option: str, content: Any) -> None:
    one_line(judge("--findings", trivy(), option, content))


def vex(status: str = "not_affected", **statement: Any) -> dict[str, Any]:
    reasons = {"justification": "vulnerable_code_not_in_execute_path"} if status == "not_affected" else {}
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.com/vex-1",
        "author": "ann",
        "timestamp": "2026-11-01T00:00:00Z",
        "version": 1,
        "statements": [
            {
                "vulnerability": {"name": "CVE-2026-1"},
                "products": [{"@id": "pkg:oci/shop", "subcomponents": [{"@id": "pkg:pypi/jinja2"}]}],
                "status": status,
                **reasons,
                **statement,
            }
        ],
    }


@pytest.mark.parametrize(
    ("status", "code"), [("not_affected", 0), ("fixed", 0), ("affected", 1), ("under_investigation", 1)]
)
def test_openvex_sets_aside_what_it_says_is_not_affected_or_fixed(
    judge: Judge, status: str, code: int
) -> None:
    result = judge("--findings", trivy(("CVE-2026-1", "CRITICAL")), "--vex", vex(status), "--json")
    assert result.code == code
    assert len(result.json["waivers"]) == (1 if code == 0 else 0)


@pytest.mark.parametrize("document", [b"x", [], {"@context": "https://openvex.dev/ns/v0.2.0"}])
def test_anything_but_an_openvex_document_is_one_line(judge: Judge, document: Any) -> None:
    one_line(judge("--findings", trivy(), "--vex", document))


def test_a_statement_that_cannot_be_read_is_named_and_the_others_hold(judge: Judge) -> None:
    document = vex()
    document["statements"] *= 7
    for number in range(6):
        document["statements"][number] = {"vulnerability": {"name": f"CVE-2026-9{number}"}}
    result = judge("--findings", trivy(("CVE-2026-1", "CRITICAL")), "--vex", document, "--json")
    assert result.code == 0
    (note,) = result.json["notes"]
    assert note.startswith("6 VEX statements not applied: file3: statements[0]: status must be one of")
    assert note.endswith("; and 1 more")


def test_openvex_is_written_from_what_was_found(judge: Judge, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    found = trivy(("CVE-2026-1", "CRITICAL"), ("CVE-2026-2", "LOW"))
    judge("--findings", found, "--vex", vex(), "--write-vex", str(out))
    written = json.loads(out.read_text())
    statuses = {s["vulnerability"]["name"]: s["status"] for s in written["statements"]}
    assert statuses == {"CVE-2026-1": "not_affected", "CVE-2026-2": "affected"}
    # What is written is understood again.
    again = judge("--findings", trivy(("CVE-2026-1", "CRITICAL")), "--vex", written)
    assert again.code == 0


# stages


def test_the_stage_is_named_or_has_the_repository_or_is_the_first(judge: Judge) -> None:
    for arguments, stage in (
        ((), "dev"),
        (("--stage", "staging"), "staging"),
        (("--repository", "shop-staging"), "staging"),
    ):
        found = judge("--findings", trivy(), "--config", CONFIG, *arguments, "--json", policy=POLICY)
        assert found.json["stage"] == stage
    result = judge("--findings", trivy(), "--stage", "stagin", policy=POLICY)
    assert result.code == 2
    assert "did you mean staging?" in result.err
    assert "no stage of the policy" in judge("--findings", trivy(), "--repository", "other").err


# forms


@pytest.mark.parametrize("form", ["table", "json", "sarif", "markdown"])
def test_no_form_lets_an_image_steer_terminals_or_pages(judge: Judge, form: str) -> None:
    evil = trivy(("CVE-2026-1", "CRITICAL"), package="\x1b[31m<script>alert(1)</script>|`x`\n# @all")
    result = judge("--findings", evil, "--format", form)
    assert result.code == 1
    assert "\x1b" not in result.out
    if form == "markdown":
        assert "<script>" not in result.out
        assert "\n# " not in result.out


def test_sarif_is_valid_and_says_what_stands_in_the_way(judge: Judge) -> None:
    found = trivy(("CVE-2026-1", "CRITICAL"), ("CVE-2026-2", "MEDIUM"), ("CVE-2026-3", "LOW"))
    config = {**CONFIG, "config": {}}
    policy = PLAIN.replace('"{app}-dev"', '"{app}-dev", image: {non_root: {value: true, action: warn}}')
    result = judge("--findings", found, "--config", config, "--format", "sarif", policy=policy)
    [run] = result.json["runs"]
    assert [(r["ruleId"], r["level"]) for r in run["results"]] == [
        ("CVE-2026-1", "error"),
        ("CVE-2026-2", "warning"),
        ("image.non_root", "warning"),
    ]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [rules[r["ruleIndex"]] for r in run["results"]] == [r["ruleId"] for r in run["results"]]
    schema = Path(__file__).parent / "fixtures/sarif-2.1.0.json"
    if schema.exists():
        jsonschema.validate(result.json, json.loads(schema.read_text()))


def test_a_waived_finding_is_suppressed_in_sarif(judge: Judge) -> None:
    result = judge("--findings", trivy(("CVE-2026-1", "CRITICAL")), "--vex", vex(), "--format", "sarif")
    [found] = result.json["runs"][0]["results"]
    assert found["level"] == "note"
    assert found["suppressions"][0]["status"] == "accepted"


def test_a_file_gets_the_form_and_stderr_the_verdict(judge: Judge, tmp_path: Path) -> None:
    out = tmp_path / "report.sarif"
    result = judge("--findings", trivy(), "--format", "sarif", "--output", str(out))
    assert (result.code, result.out) == (0, "")
    assert result.err == "PASS: shop:1.0 at the dev gate\n"
    assert json.loads(out.read_text())["version"] == "2.1.0"


def test_every_finding_is_explained(judge: Judge) -> None:
    policy = POLICY.replace("known_exploited: true", "exploit_available: false")
    found = trivy(("CVE-2026-1", "CRITICAL"), ("CVE-2026-2", "HIGH"), ("CVE-2026-3", "LOW"))
    result = judge("--findings", found, "--config", CONFIG, "--vex", vex(), "--explain", policy=policy)
    assert result.code == 0
    for text in ("waived until", "has time until", "no limit", "3.1.6"):
        assert text in result.out


def described(text: str, score: str) -> dict[str, Any]:
    """Return a basic scan with one CRITICAL finding that says this about itself."""
    attributes = [{"key": "package_name", "value": "zlib"}, {"key": "CVSS3_SCORE", "value": score}]
    raw = {"name": "CVE-2026-1", "severity": "CRITICAL", "description": text, "attributes": attributes}
    result = enhanced(("CVE-2026-1", "CRITICAL"), status="COMPLETE")
    result["imageScanFindings"] |= {"enhancedFindings": [], "findings": [raw]}
    return result


@pytest.mark.parametrize("form", ["table", "json", "sarif", "markdown"])
def test_each_form_says_what_a_finding_that_counts_is_about(judge: Judge, form: str) -> None:
    result = judge("--findings", described("Reads <b>past</b>\n# the end", "9.1"), "--format", form)
    assert "the end" in result.out
    assert "9.1" in result.out
    assert "\n# the end" not in result.out


def test_a_score_of_another_severity_does_not_change_the_severity_in_code_scanning(judge: Judge) -> None:
    for score, severity in (("9.1", "9.1"), ("8.8", "9.5"), ("0", "9.5")):
        result = judge("--findings", described("A flaw.", score), "--format", "sarif")
        [rule, *_] = result.json["runs"][0]["tool"]["driver"]["rules"]
        assert rule["properties"]["security-severity"] == severity


def test_the_table_counts_the_findings_of_each_severity(judge: Judge) -> None:
    found = trivy(("CVE-2026-1", "CRITICAL"), ("CVE-2026-2", "LOW"), ("CVE-2026-3", "LOW"))
    assert "Findings: 1 CRITICAL, 2 LOW" in judge("--findings", found).out
    assert "Findings: none" in judge("--findings", enhanced()).out


# whatever is wrong


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'{"a": 1}',
        b"\xff",
        b"[" * 100_000,
        b'{"SchemaVersion": 2, "Results": 7}',
    ],
)
def test_a_broken_scanner_file_is_one_line(judge: Judge, content: bytes) -> None:
    one_line(judge("--findings", content))


def test_a_huge_file_is_refused_before_it_is_read(judge: Judge, tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    result = judge("--findings", str(huge))
    one_line(result)
    assert "MiB" in result.err


def test_missing_files_and_folders_are_one_line(judge: Judge, tmp_path: Path) -> None:
    one_line(judge("--findings", str(tmp_path / "missing.json")))
    one_line(judge("--findings", str(tmp_path)))
    one_line(judge("--findings", trivy(), "--config", str(tmp_path / "missing.json")))
    one_line(judge("--findings", trivy(), "--config", b"[1, 2]"))
    one_line(judge("--findings", trivy(), "--output", str(tmp_path / "no/such/folder")))


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("version: 2\n", "version"),
        ("{", "not YAML"),
        (
            PLAIN + "waivers: [{rule: scan.unsupported, repositories: 'a-*', owner: ann, reason: x}]\n",
            "expires",
        ),
        (PLAIN.replace("repositories:", "repositries:"), "did you mean repositories?"),
    ],
)
def test_a_bad_policy_or_waiver_is_named_with_its_line(judge: Judge, policy: str, says: str) -> None:
    result = judge("--findings", trivy(), policy=policy)
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert "policy.yaml:" in result.err
    assert "Traceback" not in result.err


def test_files_and_an_image_cannot_be_judged_together(judge: Judge) -> None:
    one_line(judge("--findings", trivy(), "shop-dev:1.0"))
    one_line(judge())
