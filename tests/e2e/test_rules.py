"""The gate's rules under enhanced scanning, and the same verdict on the command line."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.images.build import LayoutImage, based_on, build_image
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from sandbox.scanner.findings import main as findings
from sandbox.scanner.intelligence import main as intelligence
from tests.e2e.gate import Gate, running_gate

POLICY = """
version: 1
scanner: enhanced
defaults:
  findings:
    max: {critical: 0, high: 0, medium: off, low: off, undefined: off}
    grace: {high: 14d}
    no_grace: {known_exploited: true, epss: 0.5}
stages:
  base:
    repositories: "{app}-base"
    findings: {max: {critical: off, high: off}, grace: off}
  dev:
    repositories: "{app}-dev"
    promotes_to: staging
    image:
      base_images: [base]
      non_root: true
      labels: {team: "?*"}
  staging:
    repositories: "{app}-staging"
    findings: {no_worse_than: off}
    evidence: {require_signature: true}
"""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Run a gate of its own, with Inspector and this policy."""
    folder = tmp_path_factory.mktemp("rules")
    policy = folder / "rules.yaml"
    policy.write_text(POLICY)
    with running_gate(folder, "--policy", str(policy), "--scanning", "enhanced") as running:
        yield running


@pytest.fixture(scope="module")
def debian(gate: Gate) -> LayoutImage:
    """Release a base image and return it."""
    base = build_image(gate.work / "debian", files={"etc/os-release": b"debian 12"}, tag="12")
    digest = sent(gate, gate.work / "debian", "debian-base:12")
    assert gate.ended("debian-base", digest)["outcome"] == "released"
    return base


def sent(gate: Gate, layout: Path, reference: str) -> str:
    return push(layout, SandboxReference.parse(reference), gate.session).digest


def app(gate: Gate, name: str, base: LayoutImage | None, **config: Any) -> str:
    layout = gate.work / name
    given = {"user": "1000", "labels": {"team": "shop"}, **config}
    build_image(layout, files={"app": name.encode()}, base=base, tag="1.0", **given)
    return sent(gate, layout, f"{name}-dev:1.0")


def write_findings(gate: Gate, reference: str, *vulnerabilities: str, severity: str = "HIGH") -> Path:
    """Write the findings that Inspector will report, in ECR's form."""
    listed = [
        {
            "severity": severity,
            "fixAvailable": "YES",
            "packageVulnerabilityDetails": {
                "vulnerabilityId": name,
                "vulnerablePackages": [
                    {
                        "name": "openssl",
                        "version": "3.0.1",
                        "fixedInVersion": "3.0.2",
                        "packageManager": "OS",
                    }
                ],
            },
        }
        for name in vulnerabilities
    ]
    file = gate.work / f"{reference}.json".replace("/", "_")
    counts = {severity: len(listed)} if listed else {}
    file.write_text(
        json.dumps({"imageScanFindings": {"enhancedFindings": listed, "findingSeverityCounts": counts}})
    )
    assert findings([reference, str(file), "--state", str(gate.cloud.state)]) == 0
    return file


def known(gate: Gate, **vulnerabilities: dict[str, Any]) -> None:
    file = gate.work / "intelligence.json"
    file.write_text(json.dumps({name.replace("_", "-"): what for name, what in vulnerabilities.items()}))
    assert intelligence([str(file), "--state", str(gate.cloud.state)]) == 0


def rules(release: dict[str, Any]) -> list[str]:
    return [reason["rule"] for reason in json.loads(release.get("reasons", "[]"))]


def decision(gate: Gate, release: dict[str, Any]) -> dict[str, Any]:
    key = f"decisions/{release['decision'].replace(':', '/')}.json"
    loaded: dict[str, Any] = json.loads(stored(gate, key))
    return loaded


def stored(gate: Gate, key: str) -> bytes:
    bucket = gate.cloud.outputs["RecordsBucket"]
    content: bytes = gate.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def imagegate(gate: Gate, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as an operator does, in a shell that has sourced the sandbox's env."""
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "120", **gate.cloud.env}
    program = Path(sys.executable).with_name("imagegate")
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, env=environment, timeout=120
    )


def test_a_fresh_finding_has_time_until_it_is_known_to_be_exploited(gate: Gate, debian: LayoutImage) -> None:
    known(gate, CVE_2026_1={"epss": 0.1})
    write_findings(gate, "patient-dev", "CVE-2026-1")
    patient = gate.ended("patient-dev", app(gate, "patient", debian))
    assert (patient["outcome"], rules(patient)) == ("released", [])
    known(gate, CVE_2026_1={"epss": 0.1, "known_exploited": "2026-11-20"})
    write_findings(gate, "urgent-dev", "CVE-2026-1")
    urgent = gate.ended("urgent-dev", app(gate, "urgent", debian))
    assert (urgent["outcome"], rules(urgent)) == ("blocked", ["findings.high"])
    record = decision(gate, urgent)
    assert [action["text"] for action in record["remedies"]["actions"]] == ["upgrade openssl to 3.0.2"]
    packed = stored(gate, f"findings/{record['scans'][0]['findings'].replace(':', '/')}.jsonl.gz")
    line = json.loads(gzip.decompress(packed).splitlines()[1])
    assert (line["vulnerability"], line["known_exploited"]) == ("CVE-2026-1", True)
    assert line["rulings"][0]["why"] == "counts"


def test_a_probable_exploitation_has_no_time_either(gate: Gate, debian: LayoutImage) -> None:
    known(gate, CVE_2026_2={"epss": 0.9})
    write_findings(gate, "probable-dev", "CVE-2026-2")
    release = gate.ended("probable-dev", app(gate, "probable", debian))
    assert rules(release) == ["findings.high"]


def test_a_promoted_image_has_the_signature_that_the_next_gate_requires(
    gate: Gate, debian: LayoutImage
) -> None:
    digest = app(gate, "carried", debian)
    assert gate.ended("carried-dev", digest)["outcome"] == "released"
    assert gate.ended("carried-staging", digest)["outcome"] == "released"
    layout = gate.work / "smuggled"
    build_image(layout, files={"app": b"smuggled"}, tag="1.0")
    gate.cloud.client("ecr").create_repository(
        repositoryName="smuggled-staging", imageScanningConfiguration={"scanOnPush": True}
    )
    smuggled = gate.ended("smuggled-staging", sent(gate, layout, "smuggled-staging:1.0"))
    reasons = ["image.entry", "evidence.require_signature"]
    assert (smuggled["outcome"], rules(smuggled)) == ("blocked", reasons)


def test_a_base_that_is_only_claimed_root_and_a_missing_label_are_refused(
    gate: Gate, debian: LayoutImage
) -> None:
    claims = based_on(debian, "debian-base:12")
    digest = app(gate, "lonely", None, user="0:0", labels={}, annotations=claims)
    release = gate.ended("lonely-dev", digest)
    assert rules(release) == ["image.non_root", "image.labels", "image.base_images"]
    messages = " ".join(reason["message"] for reason in json.loads(release["reasons"]))
    assert "its layers do not prove it" in messages


def test_the_command_line_has_the_same_verdict(gate: Gate, debian: LayoutImage, tmp_path: Path) -> None:
    known(gate, CVE_2026_3={"known_exploited": "2026-11-20"})
    write_findings(gate, "same-dev", "CVE-2026-3", "CVE-2026-4")
    digest = app(gate, "same", debian)
    release = gate.ended("same-dev", digest)
    there = imagegate(gate, "judge", "same-dev:1.0", "--json")
    assert (there.returncode, there.stderr) == (1, "")
    answer = json.loads(there.stdout)
    assert answer["verdict"] == release["verdict"] == "BLOCK"
    told = [{key: reason[key] for key in ("rule", "message", "action")} for reason in answer["reasons"]]
    assert told == json.loads(release["reasons"])

    dump = gate.cloud.client("ecr").describe_image_scan_findings(
        repositoryName="same-dev", imageId={"imageDigest": digest}
    )
    files = {"findings.json": dump, "kev.json": {"vulnerabilities": [{"cveID": "CVE-2026-3"}]}}
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content, default=str))
    (tmp_path / "policy.yaml").write_text(POLICY)
    manifest = json.loads(gate.manifest("same-dev", digest) or b"{}")
    config = gate.get(f"same-dev/blobs/{manifest['config']['digest']}").data
    (tmp_path / "config.json").write_bytes(config)
    (tmp_path / "epss.csv").write_text("cve,epss,percentile\nCVE-2026-3,0.1,0.1\n")
    local = imagegate(
        gate,
        *("judge", "--policy", str(tmp_path / "policy.yaml"), "--findings", str(tmp_path / "findings.json")),
        *("--config", str(tmp_path / "config.json"), "--kev", str(tmp_path / "kev.json")),
        *("--epss", str(tmp_path / "epss.csv"), "--repository", "same-dev", "--json"),
    )
    assert (local.returncode, local.stderr) == (1, "")
    assert [reason["message"] for reason in json.loads(local.stdout)["reasons"]] == [
        reason["message"] for reason in json.loads(release["reasons"])
    ]


def test_a_missing_permission_to_read_findings_is_one_line(gate: Gate) -> None:
    result = imagegate(gate, "judge", "nothing-dev:1.0")
    assert result.returncode == 2
    assert result.stderr.startswith("imagegate: there is no repository nothing-dev")
