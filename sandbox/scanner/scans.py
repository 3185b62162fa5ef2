"""The sandbox's scanners, basic and enhanced: they take their time, then report what they were told to find.

Which of them works is the registry's scan type at that moment. Each keeps its own results of an image, and only
those of the scan type of the moment can be read.

Rules where AWS's guides are silent: enhanced results are forgotten when the registry goes back to basic scanning;
a basic scan that runs while the registry changes ends as usual, and its event is sent, although nobody can read its
result then. Enhanced scanning announces the first finished scan of an image only: no later one, and none that
found no operating system.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.later import later
from sandbox.registry import announce, scanning
from sandbox.registry.errors import EcrError
from sandbox.registry.manifests import StoredManifest, parse_manifest
from sandbox.registry.store import store
from sandbox.scanner import early_results, enhanced_findings, findings
from sandbox.scanner.scan import Scan

ONE_SCAN_PER = timedelta(hours=24)
_RUNNING = {"BASIC": "IN_PROGRESS", "ENHANCED": "PENDING"}
# What the coverage of an image says that the scanner had no result of; else it says the same.
_COVERAGE = {
    "UNSUPPORTED_IMAGE": "UNSUPPORTED_OS",
    "PENDING": "PENDING_INITIAL_SCAN",
    "FAILED": "INTERNAL_ERROR",
}
_FINISHED = {"BASIC": "COMPLETE", "ENHANCED": "ACTIVE"}


def pushed(repo: Any, image: Any, manifest: StoredManifest) -> None:
    """Scan on push. Indexes and artifacts are never scanned, and nobody is told so."""
    if scanning.configuration(repo)["scanOnPush"] and manifest.is_scannable:
        _begin(repo, image, manifest)


def start(repo: Any, image: Any, manifest: StoredManifest) -> dict[str, str]:
    """StartImageScan; the imageScanStatus, or ECR's refusal."""
    if scanning.scan_type() != "BASIC":
        raise EcrError("ValidationException", "This feature is disabled")
    if not manifest.is_scannable:
        message = f"Images of type {manifest.media_type} with {manifest.artifact_type} are not scanned"
        raise EcrError("UnsupportedImageTypeException", message)
    last = current(image)
    if last and datetime.now(UTC) - last.started < ONE_SCAN_PER:
        message = "The scan quota per image has been exceeded. Wait and try again."
        raise EcrError("LimitExceededException", message)
    return _begin(repo, image, manifest).image_scan_status


def rescan(repo: Any, image: Any, manifest: StoredManifest, *, at_once: bool = False) -> bool:
    """Scan again, whatever the quota; False for what is never scanned here."""
    is_left_out = scanning.scan_type() == "ENHANCED" and not scanning.configuration(repo)["scanOnPush"]
    if not manifest.is_scannable or is_left_out:
        return False
    _begin(repo, image, manifest, at_once=at_once)
    return True


def reconfigured() -> None:
    """The registry's scanning rules changed: the enhanced scanner takes up what now matches, or stops."""
    for repo in list(store().backend.repositories.values()):
        for image in list(repo.images):
            if scanning.scan_type() == "BASIC":
                _scans(image).pop("ENHANCED", None)
            elif not current(image):
                pushed(repo, image, parse_manifest(image.image_manifest, image.image_manifest_media_type))


def current(image: Any) -> Scan | None:
    """The image's scan by the scanner of the moment."""
    return _scans(image).get(scanning.scan_type())


def summary(image: Any) -> dict[str, Any]:
    """What DescribeImages says about the scan."""
    scan = current(image)
    if not scan:
        return {}
    done = {"imageScanFindingsSummary": scan.findings_summary()} if scan.completed else {}
    return {"imageScanStatus": scan.image_scan_status} | done


def _scans(image: Any) -> dict[str, Scan]:
    with store().lock:
        if not hasattr(image, "scans"):
            image.scans = {}
        scans: dict[str, Scan] = image.scans
    return scans


def _begin(repo: Any, image: Any, manifest: StoredManifest, *, at_once: bool = False) -> Scan:
    kind = scanning.scan_type()
    scan, held = Scan(kind, _RUNNING[kind], datetime.now(UTC)), _scans(image).get(kind)
    if held and held.completed and kind == "ENHANCED":
        # Continuous: what is known stays readable until there is something newer.
        scan = replace(held, started=scan.started, is_first=False, id=scan.id)
    _scans(image)[kind] = scan
    if at_once:
        _finish(repo, image, manifest, scan, at_once=True)
    else:
        quirks = store().settings.quirks
        later(quirks.scan_seconds, lambda: quirks.hold_scans, _finish, repo, image, manifest, scan)
    return scan


def _finish(repo: Any, image: Any, manifest: StoredManifest, scan: Scan, *, at_once: bool = False) -> None:
    outcome = store().settings.quirks.scan_outcome if manifest.has_filesystem else "UNSUPPORTED_IMAGE"
    done = Scan(scan.kind, outcome, scan.started, is_first=scan.is_first, id=scan.id)
    done = replace(done, coverage=_COVERAGE.get(outcome, outcome))
    if outcome == "COMPLETE":
        done = _look(repo, image, done)
    if scan.kind == "ENHANCED" and scan.is_first and not at_once:
        return _play(repo, image, early_results.of(done, store().settings.quirks))
    if done.completed and store().settings.quirks.summary_before_findings:
        _after(store().settings.quirks.scan_seconds, _keep, repo, image, done)
        done = replace(done, findings=[])
    return _keep(repo, image, done)


def _play(repo: Any, image: Any, scenes: list[tuple[Scan, float]]) -> None:
    """One after the other, each for its seconds; the last one stays."""
    (scan, seconds), *rest = scenes
    _keep(repo, image, scan)
    if rest:
        _after(seconds, _play, repo, image, rest)


def _look(repo: Any, image: Any, scan: Scan) -> Scan:
    state = store().settings.state
    try:
        found = findings.read(state, repo.name, image.image_digest, image.image_tags)
    except findings.InvalidFindingsError as error:
        # Written by hand beside the command: say so, instead of scanning for ever.
        return replace(scan, status="FAILED", reason=str(error))
    if scan.kind == "ENHANCED":
        found = enhanced_findings.enhanced(found, repo, image)
    else:
        found = enhanced_findings.basic(found)
    once = scan.kind == "ENHANCED" and scanning.configuration(repo)["scanFrequency"] == "SCAN_ON_PUSH"
    now = datetime.now(UTC)
    return replace(
        scan,
        status="COMPLETE" if once else _FINISHED[scan.kind],
        coverage="SCAN_FREQUENCY_SCAN_ON_PUSH" if once else "SUCCESSFUL",
        looked=now,
        completed=now,
        counts=found.counts,
        findings=found.findings,
    )


def _keep(repo: Any, image: Any, scan: Scan) -> None:
    """In one step, so that no reader finds a finished scan without its findings."""
    with store().lock:
        latest = _scans(image).get(scan.kind)
        if not latest or latest.id != scan.id:
            return  # scanned again meanwhile, or its scanner was switched off
        _scans(image)[scan.kind] = scan
    if scan.is_told and scan.status not in ("PENDING", "IN_PROGRESS"):
        _announce(repo, image, scan)


def _announce(repo: Any, image: Any, scan: Scan) -> None:
    tags = list(image.image_tags)
    if scan.kind == "BASIC":
        announce.image_scan(repo, image.image_digest, tags, scan.status, scan.counts)
    elif (scan.completed or scan.looked) and scan.is_first:
        announce.inspector_scan(repo, image.image_digest, tags, scan.counts)


def _after(seconds: float, work: Any, *arguments: Any) -> None:
    """The findings that follow a first result."""
    quirks = store().settings.quirks
    later(seconds, lambda: quirks.hold_findings, work, *arguments)
