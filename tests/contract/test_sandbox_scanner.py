"""The sandbox's scanner behaves as ECR's basic scanning does."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.scanner import findings
from tests.contract.registry_sandbox import EMPTY, Repository, Sandbox, digest_of
from tests.contract.scans import configure, finding, refusal, response
from tests.patience import eventually


@pytest.fixture(scope="module")
def ecr(sandbox: Sandbox) -> Any:
    return sandbox.client("ecr")


@pytest.fixture
def repo(sandbox: Sandbox) -> Iterator[Repository]:
    yield sandbox.repository(imageScanningConfiguration={"scanOnPush": True})
    quirks = sandbox.settings.quirks
    quirks.scan_outcome, quirks.summary_before_findings = "COMPLETE", False
    quirks.hold_scans = quirks.hold_findings = False


def scanned(repo: Repository) -> dict[str, Any]:
    """Wait for the event of the first scan and return it."""
    event: dict[str, Any] = eventually(lambda: repo.events("ECR Image Scan"))[0]
    return event


def describe(repo: Repository, ecr: Any, **options: Any) -> Any:
    wanted = {"repositoryName": repo.name, "imageId": {"imageTag": "v1"}}
    return ecr.describe_image_scan_findings(**wanted | options)


def test_a_pushed_image_is_scanned_and_an_event_says_so(repo: Repository, ecr: Any) -> None:
    configure(repo.sandbox, repo.name, response(finding("HIGH"), finding("HIGH", 1)))
    digest = repo.image("v1")
    assert scanned(repo) == {
        "scan-status": "COMPLETE",
        "repository-name": repo.name,
        "finding-severity-counts": {"HIGH": 2},
        "image-digest": digest,
        "image-tags": ["v1"],
    }
    answer = describe(repo, ecr)
    assert answer["imageScanStatus"]["status"] == "COMPLETE"
    assert answer["imageScanFindings"]["findingSeverityCounts"] == {"HIGH": 2}
    assert len(answer["imageScanFindings"]["findings"]) == 2
    assert isinstance(answer["imageScanFindings"]["imageScanCompletedAt"], datetime)
    assert isinstance(answer["imageScanFindings"]["vulnerabilitySourceUpdatedAt"], datetime)
    [details] = ecr.describe_images(repositoryName=repo.name)["imageDetails"]
    assert details["imageScanFindingsSummary"]["findingSeverityCounts"] == {"HIGH": 2}


def test_without_configured_findings_the_scan_is_clean(repo: Repository, ecr: Any) -> None:
    repo.image("v1")
    assert scanned(repo)["finding-severity-counts"] == {}
    assert describe(repo, ecr)["imageScanFindings"]["findings"] == []


def test_a_running_scan_shows_no_findings(repo: Repository, ecr: Any) -> None:
    quirks = repo.sandbox.settings.quirks
    quirks.hold_scans = True
    repo.image("v1")
    answer = describe(repo, ecr)
    quirks.hold_scans = False
    assert answer["imageScanStatus"]["status"] == "IN_PROGRESS"
    assert "imageScanFindings" not in answer
    scanned(repo)


@pytest.mark.parametrize("outcome", ["FAILED", "UNSUPPORTED_IMAGE"])
def test_a_scan_that_fails_says_so_and_finds_nothing(repo: Repository, ecr: Any, outcome: str) -> None:
    repo.sandbox.settings.quirks.scan_outcome = outcome
    repo.image("v1")
    assert scanned(repo)["scan-status"] == outcome
    answer = describe(repo, ecr)
    assert answer["imageScanStatus"]["status"] == outcome
    assert "imageScanFindings" not in answer


def test_a_scan_may_never_end(repo: Repository, ecr: Any) -> None:
    repo.sandbox.settings.quirks.scan_outcome = "PENDING"
    repo.image("v1")
    eventually(lambda: describe(repo, ecr)["imageScanStatus"]["status"] == "PENDING")
    assert repo.events("ECR Image Scan") == []


def test_the_summary_may_be_there_before_the_findings(repo: Repository, ecr: Any) -> None:
    quirks = repo.sandbox.settings.quirks
    quirks.summary_before_findings = quirks.hold_findings = True
    configure(repo.sandbox, repo.name, response(finding("CRITICAL")))
    repo.image("v1")
    scanned(repo)
    early = describe(repo, ecr)["imageScanFindings"]
    assert (early["findingSeverityCounts"], early["findings"]) == ({"CRITICAL": 1}, [])
    quirks.hold_findings = False
    eventually(lambda: describe(repo, ecr)["imageScanFindings"]["findings"])


def test_indexes_and_artifacts_are_not_scanned(repo: Repository, ecr: Any) -> None:
    subject = repo.image("v1")
    artifact = repo.artifact(subject)
    scanned(repo)
    wanted = {"repositoryName": repo.name, "imageId": {"imageDigest": artifact}}
    assert refusal(ecr.describe_image_scan_findings, **wanted) == "ScanNotFoundException"
    assert refusal(ecr.start_image_scan, **wanted) == "UnsupportedImageTypeException"


def test_an_image_without_a_filesystem_is_unsupported(repo: Repository) -> None:
    empty = {"mediaType": EMPTY, "digest": repo.blob(b"{}"), "size": 2}
    repo.image("v1", layers=[empty])
    assert scanned(repo)["scan-status"] == "UNSUPPORTED_IMAGE"


def test_a_repository_without_scan_on_push_waits_for_start_image_scan(sandbox: Sandbox, ecr: Any) -> None:
    repo = sandbox.repository()
    repo.image("v1")
    assert refusal(describe, repo, ecr) == "ScanNotFoundException"
    wanted = {"repositoryName": repo.name, "imageId": {"imageTag": "v1"}}
    assert ecr.start_image_scan(**wanted)["imageScanStatus"]["status"] == "IN_PROGRESS"
    assert scanned(repo)["scan-status"] == "COMPLETE"


def test_an_image_is_scanned_once_in_24_hours(repo: Repository, ecr: Any) -> None:
    repo.image("v1")
    scanned(repo)
    wanted = {"repositoryName": repo.name, "imageId": {"imageTag": "v1"}}
    assert refusal(ecr.start_image_scan, **wanted) == "LimitExceededException"


def test_findings_come_in_pages(repo: Repository, ecr: Any) -> None:
    configure(repo.sandbox, repo.name, response(*(finding("LOW", n) for n in range(150))))
    repo.image("v1")
    scanned(repo)
    first = describe(repo, ecr)
    assert len(first["imageScanFindings"]["findings"]) == 100
    second = describe(repo, ecr, nextToken=first["nextToken"])
    assert len(second["imageScanFindings"]["findings"]) == 50
    assert "nextToken" not in second
    assert len(describe(repo, ecr, maxResults=7)["imageScanFindings"]["findings"]) == 7


def test_the_most_specific_findings_win(repo: Repository) -> None:
    configure(repo.sandbox, repo.name, response(finding("LOW")))
    configure(repo.sandbox, f"{repo.name}:v1", response(finding("HIGH")))
    digest = repo.image("v1")
    assert scanned(repo)["finding-severity-counts"] == {"HIGH": 1}
    reference = f"{repo.name}@{digest}"
    assert configure(repo.sandbox, reference, response(finding("CRITICAL")), "--rescan") == 0
    event = eventually(lambda: repo.events("ECR Image Scan")[1:])[0]
    assert event["finding-severity-counts"] == {"CRITICAL": 1}


def test_findings_spoiled_by_hand_fail_the_scan_with_the_reason(repo: Repository, ecr: Any) -> None:
    findings.file_for(repo.sandbox.settings.state, repo.name).write_text("{}")
    repo.image("v1")
    assert scanned(repo)["scan-status"] == "FAILED"
    assert "expected" in describe(repo, ecr)["imageScanStatus"]["description"]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "expected"),
        ({"imageScanFindings": {"findings": [], "surprise": 1}}, "unknown key: surprise"),
        ({"findings": [{"name": 7, "severity": "LOW"}]}, "findings[0].name"),
        ({"findings": [finding("SEVERE")]}, "findings[0].severity is 'SEVERE', not one of"),
        ({"findings": [], "enhancedFindings": []}, "either findings or enhancedFindings"),
    ],
)
def test_wrong_findings_are_refused_with_the_place(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], document: Any, complaint: str
) -> None:
    assert configure(sandbox, "team/any", document) == 2
    assert complaint in capsys.readouterr().err


def test_a_missing_file_or_image_is_said_in_one_line(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert findings.main(["team/any", "no.json", "--state", str(sandbox.settings.state)]) == 2
    assert configure(sandbox, "Not A Name", response()) == 2
    assert configure(sandbox, "not/there", response(), "--rescan") == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_findings_need_a_running_sandbox_because_its_start_would_drop_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "given.json"
    file.write_text(json.dumps(response()))
    for options in ([], ["--rescan"]):
        assert findings.main(["team/any", str(file), "--state", str(tmp_path), *options]) == 2
        assert "no sandbox is running" in capsys.readouterr().err
    assert not (tmp_path / "findings").exists()


@pytest.mark.parametrize("suffix", [":v1", "@DIGEST"])
def test_findings_of_an_image_are_those_of_its_copies_too(
    repo: Repository, ecr: Any, sandbox: Sandbox, suffix: str
) -> None:
    content = repo.image_manifest(uuid.uuid4().bytes)
    suffix = suffix.replace("DIGEST", digest_of(content))
    configure(sandbox, f"{repo.name}{suffix}", response(finding("CRITICAL")))
    repo.manifest(content, "v1")
    scanned(repo)
    copy = sandbox.repository(imageScanningConfiguration={"scanOnPush": True})
    for blob in (b'{"architecture": "amd64", "os": "linux"}', *_layers(repo, content)):
        copy.blob(blob)
    copy.manifest(content, "promoted")
    assert scanned(copy)["finding-severity-counts"] == {"CRITICAL": 1}


def _layers(repo: Repository, manifest: bytes) -> list[bytes]:
    digests = [layer["digest"] for layer in json.loads(manifest)["layers"]]
    return [repo.call("GET", f"blobs/{digest}").data for digest in digests]


# Configuration


def configuration(repo: Repository, ecr: Any) -> Any:
    answer = ecr.batch_get_repository_scanning_configuration(repositoryNames=[repo.name])
    return answer["scanningConfigurations"][0]


def test_scan_on_push_of_the_repository_shows_as_its_frequency(
    repo: Repository, ecr: Any, sandbox: Sandbox
) -> None:
    assert configuration(repo, ecr)["scanFrequency"] == "SCAN_ON_PUSH"
    by_hand = configuration(sandbox.repository(), ecr)
    assert (by_hand["scanOnPush"], by_hand["scanFrequency"]) == (False, "MANUAL")
    names = [repo.name, "not/there"]
    answer = ecr.batch_get_repository_scanning_configuration(repositoryNames=names)
    assert answer["failures"][0]["failureCode"] == "REPOSITORY_NOT_FOUND"
