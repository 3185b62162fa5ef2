"""The sandbox's scanners, basic and enhanced: after some time they report the configured findings.

The registry's scan type selects the scanner. Each scanner keeps its own results of an image, and only those of the
current scan type can be read.

Rules where AWS's guides are silent: enhanced results are forgotten when the registry goes back to basic scanning; a
basic scan that runs while the registry changes ends as usual and sends its event, although nobody can read its result
then. Enhanced scanning announces only the first finished scan of an image: no later one, and none that found no
operating system. Events of single findings (`Inspector2 Finding`) are left out for the first scan; a later one sends
one for each finding that was not there before. Closed findings send none.
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
# The coverage's reason by the scan's status, where the two differ.
_COVERAGE = {
    "UNSUPPORTED_IMAGE": "UNSUPPORTED_OS",
    "PENDING": "PENDING_INITIAL_SCAN",
    "FAILED": "INTERNAL_ERROR",
}
_FINISHED = {"BASIC": "COMPLETE", "ENHANCED": "ACTIVE"}


def scan_on_push(repo: Any, image: Any, manifest: StoredManifest) -> None:
    """Scan on push. Indexes and artifacts are never scanned, and no event says so."""
    if scanning.configuration(repo)["scanOnPush"] and manifest.is_scannable:
        _begin(repo, image, manifest)


def start_scan(repo: Any, image: Any, manifest: StoredManifest) -> dict[str, str]:
    """Answer StartImageScan: return the imageScanStatus, or raise ECR's refusal."""
    if scanning.scan_type() != "BASIC":
        raise EcrError("ValidationException", "This feature is disabled")
    if not manifest.is_scannable:
        message = f"Images of type {manifest.media_type} with {manifest.artifact_type} are not scanned"
        raise EcrError("UnsupportedImageTypeException", message)
    last = current_scan(image)
    if last and datetime.now(UTC) - last.started < ONE_SCAN_PER:
        message = "The scan quota per image has been exceeded. Wait and try again."
        raise EcrError("LimitExceededException", message)
    return _begin(repo, image, manifest).image_scan_status


def rescan(repo: Any, image: Any, manifest: StoredManifest, *, at_once: bool = False) -> bool:
    """Scan again without regard to the quota; return False for images that are never scanned."""
    is_left_out = scanning.scan_type() == "ENHANCED" and not scanning.configuration(repo)["scanOnPush"]
    if not manifest.is_scannable or is_left_out:
        return False
    _begin(repo, image, manifest, at_once=at_once)
    return True


def apply_scanning_rules() -> None:
    """Apply changed scanning rules: the enhanced scanner starts on new matches, or stops."""
    for repo in list(store().backend.repositories.values()):
        for image in list(repo.images):
            if scanning.scan_type() == "BASIC":
                _scans(image).pop("ENHANCED", None)
            elif not current_scan(image):
                scan_on_push(
                    repo, image, parse_manifest(image.image_manifest, image.image_manifest_media_type)
                )


def current_scan(image: Any) -> Scan | None:
    """Return the image's scan by the current scanner, or None."""
    return _scans(image).get(scanning.scan_type())


def scan_summary(image: Any) -> dict[str, Any]:
    """Return the part of DescribeImages that is about the scan."""
    scan = current_scan(image)
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
    scan, earlier = Scan(kind, _RUNNING[kind], datetime.now(UTC)), _scans(image).get(kind)
    if earlier and earlier.completed and kind == "ENHANCED":
        # Continuous: the old result stays readable until there is a newer one.
        scan = replace(earlier, started=scan.started, is_first=False, id=scan.id)
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
        return _play_phases(repo, image, early_results.phases(done, store().settings.quirks))
    if done.completed and store().settings.quirks.summary_before_findings:
        _schedule(store().settings.quirks.scan_seconds, _keep, repo, image, done)
        done = replace(done, findings=[])
    return _keep(repo, image, done)


def _play_phases(repo: Any, image: Any, scenes: list[tuple[Scan, float]]) -> None:
    """Keep each phase for its seconds, one after the other; the last one stays."""
    (scan, seconds), *rest = scenes
    _keep(repo, image, scan)
    if rest:
        _schedule(seconds, _play_phases, repo, image, rest)


def _look(repo: Any, image: Any, scan: Scan) -> Scan:
    state = store().settings.state
    try:
        result = findings.read(state, repo.name, image.image_digest, image.image_tags)
    except findings.InvalidFindingsError as error:
        # The file was written without the command: fail, instead of scanning for ever.
        return replace(scan, status="FAILED", reason=str(error))
    if scan.kind == "ENHANCED":
        result = enhanced_findings.as_enhanced(result, repo, image)
    else:
        result = enhanced_findings.as_basic(result)
    once = scan.kind == "ENHANCED" and scanning.configuration(repo)["scanFrequency"] == "SCAN_ON_PUSH"
    now = datetime.now(UTC)
    return replace(
        scan,
        status="COMPLETE" if once else _FINISHED[scan.kind],
        coverage="SCAN_FREQUENCY_SCAN_ON_PUSH" if once else "SUCCESSFUL",
        looked=now,
        completed=now,
        counts=result.counts,
        findings=result.findings,
    )


def _keep(repo: Any, image: Any, scan: Scan) -> None:
    """Store the scan in one step, so that no reader sees a finished scan without its findings."""
    with store().lock:
        latest = _scans(image).get(scan.kind)
        if not latest or latest.id != scan.id:
            return  # scanned again meanwhile, or its scanner was switched off
        _scans(image)[scan.kind] = scan
    if scan.is_announced and scan.status not in ("PENDING", "IN_PROGRESS"):
        _announce(repo, image, scan)
    if scan.kind == "ENHANCED" and not scan.is_first:
        _announce_findings(repo, image, scan, latest)


def _announce_findings(repo: Any, image: Any, scan: Scan, before: Scan) -> None:
    """Send an event for each finding that a later scan adds."""
    known = {finding["findingArn"] for finding in before.findings}
    for finding in scan.findings:
        if finding["findingArn"] not in known:
            announce.inspector_finding(repo, image.image_digest, list(image.image_tags), finding)


def _announce(repo: Any, image: Any, scan: Scan) -> None:
    tags = list(image.image_tags)
    if scan.kind == "BASIC":
        announce.image_scan(repo, image.image_digest, tags, scan.status, scan.counts)
    elif (scan.completed or scan.looked) and scan.is_first:
        announce.inspector_scan(repo, image.image_digest, tags, scan.counts)


def _schedule(seconds: float, work: Any, *arguments: Any) -> None:
    """Schedule the findings that follow a first result."""
    quirks = store().settings.quirks
    later(seconds, lambda: quirks.hold_findings, work, *arguments)
