"""The sandbox's basic scanner: takes its time, then reports what it was told to find.

Enhanced scanning would be a module of its own beside this one, chosen by `scanning.scan_type()`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox import findings
from sandbox.findings import main as main  # the command that tells this scanner what to find
from sandbox.registry import announce, scanning
from sandbox.registry.errors import EcrError
from sandbox.registry.manifests import Manifest
from sandbox.registry.paging import page
from sandbox.registry.store import store

ONE_SCAN_PER = timedelta(hours=24)
DESCRIPTIONS = {
    "COMPLETE": "The scan was completed successfully.",
    "FAILED": "The scan failed.",
    "UNSUPPORTED_IMAGE": "UnsupportedImageError: The operating system and/or package manager "
    "are not supported.",
}


@dataclass(slots=True)
class Scan:
    """The latest scan of one image; moto's image carries it."""

    status: str
    started: datetime
    completed: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)
    reason: str | None = None

    @property
    def image_scan_status(self) -> dict[str, str]:
        description = self.reason or DESCRIPTIONS.get(self.status)
        return {"status": self.status} | ({"description": description} if description else {})

    def findings_summary(self) -> dict[str, Any]:
        return {
            "imageScanCompletedAt": self.completed,
            "vulnerabilitySourceUpdatedAt": self.started,
            "findingSeverityCounts": self.counts,
        }


def pushed(repo: Any, image: Any, manifest: Manifest) -> None:
    """Scan on push. Indexes and artifacts are never scanned, and nobody is told so."""
    is_wanted = scanning.configuration(repo)["scanOnPush"]
    if is_wanted and manifest.is_scannable and scanning.scan_type() == "BASIC":
        _begin(repo, image, manifest)


def start(repo: Any, image: Any, manifest: Manifest) -> dict[str, str]:
    """StartImageScan; the imageScanStatus, or ECR's refusal."""
    if scanning.scan_type() != "BASIC":
        raise EcrError("ValidationException", "This feature is disabled")
    if not manifest.is_scannable:
        message = f"Images of type {manifest.media_type} with {manifest.artifact_type} are not scanned"
        raise EcrError("UnsupportedImageTypeException", message)
    last = _scan_of(image)
    if last and datetime.now(UTC) - last.started < ONE_SCAN_PER:
        message = "The scan quota per image has been exceeded. Wait and try again."
        raise EcrError("LimitExceededException", message)
    return _begin(repo, image, manifest).image_scan_status


def rescan(repo: Any, image: Any, manifest: Manifest) -> bool:
    """Scan now, whatever the quota: new findings have been configured."""
    if manifest.is_scannable:
        _begin(repo, image, manifest)
    return manifest.is_scannable


def report(repo: Any, image: Any, token: str | None, limit: int) -> dict[str, Any]:
    """DescribeImageScanFindings without the names; ScanNotFoundException before any scan."""
    scan = _scan_of(image)
    if not scan:
        raise EcrError(
            "ScanNotFoundException",
            f"Image scan does not exist for the image with '{{imageDigest:'{image.image_digest}'}}' "
            f"in the repository with name '{repo.name}' in the registry with id "
            f"'{repo.registry_id}'",
        )
    answer: dict[str, Any] = {"imageScanStatus": scan.image_scan_status}
    if scan.completed:
        listed, next_token = page(scan.findings, token, limit)
        answer["imageScanFindings"] = scan.findings_summary() | {"findings": listed}
        answer |= {"nextToken": next_token} if next_token else {}
    return answer


def summary(image: Any) -> dict[str, Any]:
    """What DescribeImages says about the scan."""
    scan = _scan_of(image)
    if not scan:
        return {}
    done = {"imageScanFindingsSummary": scan.findings_summary()} if scan.completed else {}
    return {"imageScanStatus": scan.image_scan_status} | done


def _scan_of(image: Any) -> Scan | None:
    return getattr(image, "scan", None)


def _begin(repo: Any, image: Any, manifest: Manifest) -> Scan:
    image.scan = scan = Scan("IN_PROGRESS", datetime.now(UTC))
    _later(_finish, repo, image, manifest, scan)
    return scan


def _finish(repo: Any, image: Any, manifest: Manifest, scan: Scan) -> None:
    outcome = store().settings.quirks.scan_outcome
    scan.status = outcome if manifest.has_filesystem else "UNSUPPORTED_IMAGE"
    if scan.status in ("PENDING", "IN_PROGRESS"):
        return
    if scan.status == "COMPLETE":
        _look(repo, image, scan)
    _announce(repo, image, scan)


def _look(repo: Any, image: Any, scan: Scan) -> None:
    settings = store().settings
    try:
        found = findings.read(settings.state, repo.name, image.image_digest, image.image_tags)
    except findings.InvalidFindingsError as error:
        # Written by hand beside the command: say so, instead of scanning for ever.
        scan.status, scan.reason = "FAILED", str(error)
        return
    scan.counts, scan.completed = found.counts, datetime.now(UTC)
    if settings.quirks.summary_before_findings:
        _later(_reveal, repo, image, scan, found.findings)
    else:
        scan.findings = found.findings


def _reveal(repo: Any, image: Any, scan: Scan, found: list[dict[str, Any]]) -> None:
    scan.findings = found
    _announce(repo, image, scan)


def _announce(repo: Any, image: Any, scan: Scan) -> None:
    tags = list(image.image_tags)
    announce.image_scan(repo, image.image_digest, tags, scan.status, scan.counts)


def _later(work: Any, *arguments: Any) -> None:
    timer = threading.Timer(store().settings.quirks.scan_seconds, work, arguments)
    timer.daemon = True
    timer.start()
