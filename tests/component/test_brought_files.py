"""Files that people bring, as they were seen in the wild: each has one right outcome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.component.judged import Judge

CASES = Path(__file__).parent / "fixtures" / "brought"


@pytest.mark.parametrize(
    ("case", "files", "code", "says"),
    [
        ("01-vex-later-affected", "--findings trivy.json --vex vex.json", 1, "1 CRITICAL"),
        ("01-vex-later-affected", "--findings trivy.json --vex old.json --vex new.json", 1, "1 CRITICAL"),
        ("01-vex-later-affected", "--findings trivy.json --vex new.json --vex old.json", 1, "1 CRITICAL"),
        ("01-vex-later-affected", "--findings trivy.json --vex old.json", 0, "1 waived"),
        (
            "02-vex-subcomponents-of-the-statement",
            "--findings trivy.json --vex vex.json",
            1,
            "1 CRITICAL (at most 0): CVE-2026-1111 (libssl3 3.0.1)",
        ),
        (
            "03-vex-about-another-product",
            "--findings trivy.json --vex other-image.json",
            1,
            "(--vex-product PRODUCT if the image is it): other-image.json: statements[0]: pkg:oci/entirely-other",
        ),
        (
            "03-vex-about-another-product",
            "--findings trivy.json --vex other-app.json",
            1,
            "(--vex-product PRODUCT if the image is it): other-app.json: statements[0]: pkg:golang/github.com",
        ),
        ("04-vex-aliases", "--findings trivy.json --vex vex.json", 0, "1 waived"),
        ("05-vex-identifiers", "--findings trivy.json --vex vex.json", 0, "1 waived"),
        ("06-vex-one-statement-spoils-all", "--findings trivy.json --vex tag.json", 0, "1 waived"),
        ("06-vex-one-statement-spoils-all", "--findings trivy.json --vex short.json", 0, "1 waived"),
        ("06-vex-one-statement-spoils-all", "--findings trivy.json --vex id-only.json", 0, "1 waived"),
        (
            "08-trivy-secrets-in-silence",
            "--findings trivy.json",
            1,
            "1 secret (1 CRITICAL): counted by severity, as vulnerabilities are, because the policy has no "
            "findings.secrets 1 license (1 CRITICAL): counted",
        ),
        ("08-trivy-secrets-in-silence", "--findings trivy.sarif", 1, "aws-access-key-id"),
        *(
            (
                "07-sarif-error-is-not-high",
                f"--findings {name}.sarif",
                1,
                "1 CRITICAL whose fixes this scanner does not tell",
            )
            for name in ("level", "score", "undefined")
        ),
        ("07-sarif-error-is-not-high", "--findings level.sarif", 1, "no image may have: CVE-2021-44228"),
        (
            "12-ecr-complete-without-result",
            "--findings ecr.json",
            2,
            "the answer of ECR lacks",
        ),
        *(
            (
                "13-config-that-is-none",
                f"--findings trivy.json --config {name}.json",
                2,
                "write one by skopeo inspect --config",
            )
            for name in ("skopeo-inspect", "imagetools", "manifest")
        ),
    ],
)
def test_a_file_that_people_bring_has_its_right_outcome(
    judge: Judge, case: str, files: str, code: int, says: str
) -> None:
    arguments: list[Any] = [
        word if word.startswith("--") else str(CASES / case / word) for word in files.split()
    ]
    result = judge(*arguments, policy=(CASES / case / "policy.yaml").read_text())
    assert result.code == code, result.out + result.err
    assert says in " ".join(result.out.split()) + result.err


SECRETS = CASES / "08-trivy-secrets-in-silence"


@pytest.mark.parametrize(
    ("rule", "code", "says"),
    [
        ("0", 1, "1 secret (at most 0): aws-access-key-id (app/.env) [findings.secrets]"),
        ("1", 0, "PASS"),
        ("{value: 0, action: warn}", 0, "1 secret (at most 0)"),
        ("off", 0, "1 secret (1 CRITICAL): not judged, because findings.secrets is off"),
    ],
)
def test_both_forms_of_one_scan_have_one_verdict_by_the_rule_of_secrets(
    judge: Judge, rule: str, code: int, says: str
) -> None:
    policy = (SECRETS / "policy.yaml").read_text()
    policy = policy.replace("findings: {", f"findings: {{licenses: off, secrets: {rule}, ")
    for name in ("trivy.json", "trivy.sarif"):
        result = judge("--findings", str(SECRETS / name), policy=policy)
        assert result.code == code, result.out + result.err
        assert says in " ".join(result.out.split())
        assert "findings.critical" not in result.out


def test_a_rule_that_no_report_can_answer_is_named(judge: Judge) -> None:
    policy = "version: 1\nstages: {dev: {repositories: '{app}-dev', findings: {secrets: 0, licenses: 0}}}\n"
    result = judge(
        "--findings", grype(("CVE-2026-1",)), policy=policy.replace("0, lic", "0, max: {critical: 9}, lic")
    )
    assert result.code == 0, result.err
    assert (
        "not judged: findings.secrets, because no report is of a scanner that looks for secrets" in result.out
    )
    assert "not judged: findings.licenses" in result.out


def grype(*found: tuple[str, ...]) -> dict[str, Any]:
    """Return a report in which each entry is an advisory with its vulnerabilities."""
    artifact = {"name": "openssl", "version": "3.0.1", "type": "deb"}
    matches = [
        {
            "vulnerability": {"id": name, "severity": "Critical"},
            "relatedVulnerabilities": [{"id": other} for other in others],
            "artifact": artifact,
        }
        for name, *others in found
    ]
    return {
        "matches": matches,
        "descriptor": {"name": "grype"},
        "source": {"target": {"userInput": "shop:1.0"}},
    }


def test_a_statement_about_one_vulnerability_applies_to_no_advisory_about_several(judge: Judge) -> None:
    statement = {
        "vulnerability": {"name": "CVE-2026-1111"},
        "products": [{"@id": "pkg:oci/shop"}],
        "status": "fixed",
    }
    vex = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "timestamp": "2026-01-01T00:00:00Z",
        "statements": [statement],
    }
    one, several = ("CVE-2026-1111",), ("ALAS-2026-1", "CVE-2026-1111", "CVE-2026-2222")
    assert judge("--findings", grype(one), "--vex", vex).code == 0
    assert judge("--findings", grype(several), "--vex", vex).code == 1
    both = judge("--findings", grype(one, several), "--vex", vex, "--json")
    assert both.code == 1
    assert both.json["waivers"] == []
    assert "not applied, because they may be about something else" in both.json["notes"][0]


def test_written_vex_has_every_finding_even_without_a_package(judge: Judge, tmp_path: Path) -> None:
    case, out = CASES / "09-write-vex-forgets-findings", tmp_path / "out.json"
    policy = (case / "policy.yaml").read_text()
    assert judge("--findings", str(case / "scan.sarif"), "--write-vex", str(out), policy=policy).code == 1
    (statement,) = json.loads(out.read_text())["statements"]
    assert statement == {
        "vulnerability": {"name": "CVE-2026-3"},
        "products": [{"@id": "pkg:oci/scan.sarif"}],
        "status": "affected",
        "action_statement": "to be fixed",
    }


def sarif(level: str = "error") -> dict[str, Any]:
    driver = {"name": "Scanner", "rules": [{"id": "X-1"}]}
    return {
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [{"ruleId": "X-1", "level": level}]}],
    }


@pytest.mark.parametrize(
    ("limits", "code", "says"),
    [
        ("{critical: 0, high: 5}", 2, "does not say whether it is HIGH or CRITICAL: X-1"),
        ("{critical: 0, high: 0}", 1, "1 HIGH (at most 0)"),
        ("{critical: 1, high: 5}", 0, "1 within a limit"),
        (
            "{high: 5, critical: {limit: 0, action: warn}}",
            0,
            "does not say whether it is HIGH or CRITICAL: X-1",
        ),
    ],
)
def test_a_possibly_critical_finding_never_counts_as_high(
    judge: Judge, limits: str, code: int, says: str
) -> None:
    policy = f'version: 1\nstages: {{dev: {{repositories: "{{app}}-dev", findings: {{max: {limits}}}}}}}\n'
    result = judge("--findings", sarif(), policy=policy)
    assert result.code == code, result.out + result.err
    assert says in " ".join(result.out.split())
