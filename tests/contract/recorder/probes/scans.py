"""Image scanning: when there is a result, and the refusals."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from tests.contract.recorder import content
from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench
from tests.contract.recorder.repository import Repository, repository

CHAPTER = "ECR: scans"
_NO_FILES = [content.descriptor(content.EMPTY_CONTENT, "application/octet-stream")]
_UNFINISHED = {"PENDING", "IN_PROGRESS"}
_SCAN_TAKES = 240  # seconds at most
_STATUS = "imageScanStatus.status"


@behaviour(CHAPTER, "model, DescribeImageScanFindings", None)
def before_a_scan_there_is_no_result(bench: Bench) -> None:
    """Before the first scan the answer is `ScanNotFoundException`; of an absent image `ImageNotFoundException`."""
    repo = repository(bench)
    digest = content.digest_of(repo.image())
    for wanted in ({"imageDigest": digest}, {"imageTag": "gone"}):
        repo.ask("DescribeImageScanFindings", show=_STATUS, imageId=wanted)


@behaviour(CHAPTER, "model, ScanStatus and StartImageScan", None)
def a_scan_ends(bench: Bench) -> None:
    """A basic scan ends with `COMPLETE`; a second one within 24 hours is `LimitExceededException`."""
    repo = repository(bench)
    wanted = {"imageDigest": content.digest_of(_debian(repo))}
    if repo.ask("StartImageScan", imageId=wanted).outcome == "ok":
        _wait(bench, repo, wanted)
        show = f"[{_STATUS}, keys(imageScanFindings) | sort(@) | contains(@, 'findingSeverityCounts')]"
        repo.ask("DescribeImageScanFindings", show=show, imageId=wanted)
        repo.ask("StartImageScan", imageId=wanted)


@behaviour(CHAPTER, "Amazon ECR user guide, image scanning", None)
def an_image_without_a_system_has_no_result(bench: Bench) -> None:
    """An image without a system that the scanner knows has a status that says so, and no findings."""
    repo = repository(bench)
    repo.blob(content.EMPTY_CONTENT)
    scratch = content.manifest_of(_NO_FILES)
    wanted = {"imageDigest": repo.push(scratch)}
    if repo.ask("StartImageScan", imageId=wanted).outcome == "ok":
        _wait(bench, repo, wanted)
        repo.ask("DescribeImageScanFindings", show=f"[{_STATUS}, imageScanFindings.findings]", imageId=wanted)


@behaviour(CHAPTER, "Amazon ECR user guide, image scanning", None)
def an_index_is_not_scanned(bench: Bench) -> None:
    """Asking for a scan of an index, or of evidence, is refused."""
    repo = repository(bench)
    image = repo.image()
    repo.blob(content.EMPTY_CONTENT)
    for manifest in (content.index(image), content.artifact(image)):
        repo.ask("StartImageScan", show=_STATUS, imageId={"imageDigest": repo.push(manifest)})


@behaviour(CHAPTER, "model, StartImageScan", ("ImageNotFoundException", "RepositoryNotFoundException"))
def what_is_gone_is_not_scanned(bench: Bench) -> None:
    """A scan of an absent image or repository is refused by name."""
    repo = repository(bench)
    for name in (repo.name, f"{repo.name}-missing"):
        bench.ask("ecr", "StartImageScan", repositoryName=name, imageId={"imageTag": "gone"})


@behaviour(
    CHAPTER,
    "model, GetRegistryScanningConfiguration and BatchGetRepositoryScanningConfiguration",
    ("ok", "ok"),
)
def whether_a_scan_will_come_can_be_read(bench: Bench) -> None:
    """The registry answers with its scan type, each repository with its setting; an absent one is a failure."""
    repo = repository(bench, imageScanningConfiguration={"scanOnPush": True})
    # Its rules name the account's repositories, which must not be recorded.
    bench.ask("ecr", "GetRegistryScanningConfiguration", show="scanningConfiguration.scanType")
    bench.ask(
        "ecr",
        "BatchGetRepositoryScanningConfiguration",
        show="[scanningConfigurations[].[repositoryName, scanOnPush, scanFrequency], failures[].failureCode]",
        repositoryNames=[repo.name, f"{repo.name}-missing"],
    )


@behaviour(CHAPTER, "unverified: what a scan says until its result is complete", None)
def the_way_of_a_scan_to_its_result(bench: Bench) -> None:
    """A scan that says it is over has its date and its counts, and Inspector's coverage agrees."""
    repo = repository(bench, imageScanningConfiguration={"scanOnPush": True})
    digest = content.digest_of(_debian(repo))
    seen: list[str] = []

    def is_complete() -> bool:
        state = _state(bench, repo, digest)
        if not seen or seen[-1] != state:
            seen.append(state)
        return state.startswith(("ACTIVE", "COMPLETE")) and "date" in state and "SUCCESSFUL" in state

    bench.until(is_complete, _SCAN_TAKES)
    # The states are counted, not listed: how many of them a look catches differs from run to run.
    early = [state for state in seen if state.startswith(("ACTIVE", "COMPLETE"))]
    bench.observe(
        "the first state that is over has a date and counts", bool(early) and "date, counts" in early[0]
    )
    bench.observe(
        "an answer in between has other findings than its counts", any("differ" in one for one in seen)
    )
    repo.ask(
        "DescribeImageScanFindings",
        show=f"[{_STATUS}, keys(imageScanFindings) | sort(@)]",
        imageId={"imageDigest": digest},
        maxResults=1000,
    )


def _state(bench: Bench, repo: Repository, digest: str) -> str:
    """Return `COMPLETE date, counts (SUCCESSFUL)`, or the code of the refusal."""
    try:
        answer = repo.do("DescribeImageScanFindings", imageId={"imageDigest": digest}, maxResults=1000)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    found = answer.get("imageScanFindings", {})
    listed = found.get("findings", []) or found.get("enhancedFindings", [])
    counted = sum(found.get("findingSeverityCounts", {}).values())
    parts = [
        *(["date"] if "imageScanCompletedAt" in found else []),
        *(["counts"] if "findingSeverityCounts" in found else []),
        *(["differ"] if "nextToken" not in answer and counted != len(listed) else []),
    ]
    return f"{answer['imageScanStatus']['status']} {', '.join(parts)} ({_coverage(bench, repo, digest)})"


def _coverage(bench: Bench, repo: Repository, digest: str) -> str:
    scanning = bench.do("ecr", "GetRegistryScanningConfiguration")["scanningConfiguration"]
    if scanning["scanType"] != "ENHANCED":
        return "SUCCESSFUL"  # basic scanning has no coverage
    arn = f"{bench.arn('ecr', 'repository')}/{repo.name}/{digest}"
    wanted = {"resourceId": [{"comparison": "EQUALS", "value": arn}]}
    covered = bench.do("inspector2", "ListCoverage", filterCriteria=wanted)["coveredResources"]
    return ", ".join(sorted({one["scanStatus"]["reason"] for one in covered}))


def _debian(repo: Repository) -> bytes:
    layer = content.layer(content.DEBIAN)
    repo.blob(layer)
    manifest = content.manifest([layer])
    repo.push(manifest)
    return manifest


def _wait(bench: Bench, repo: Repository, wanted: dict[str, Any]) -> None:
    def is_over() -> bool:
        found = repo.do("DescribeImageScanFindings", imageId=wanted)
        return found["imageScanStatus"]["status"] not in _UNFINISHED

    bench.until(is_over, _SCAN_TAKES)
