"""Checks of images that were released or run, by what the ledger, the records and the registry say about them.

Rule: something that is not known is not assessed. It never passes, and it is no finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import AdvisedRemedy
from imagegate.audit.recorded_facts import check_recorded_facts
from imagegate.deployment.check import explain_refusal, passes
from imagegate.risk.risk import RiskState

if TYPE_CHECKING:
    from imagegate.audit.image import AuditedImage, AuditTerms
    from imagegate.audit.report import CheckOutcome
    from imagegate.release.release import Release

# Images in use are judged once a day; after this time the last judgement says nothing about today.
_JUDGED_WITHIN = timedelta(days=2)
_SCANNED_WITHIN = timedelta(days=7)
_STATUS = AdvisedRemedy("see what its gate says about it today", "imagegate status {image}")
_SCAN = AdvisedRemedy(
    "have it scanned, and the registry scan it again for new vulnerabilities", "imagegate scan {image}"
)
_RELEASE = AdvisedRemedy(
    "release it again: its gate judges, records and signs it anew", "imagegate release {image}"
)
_ROLLBACK = AdvisedRemedy(
    "deploy an image that passed its gate; this says what is known about it", "imagegate status {image}"
)

RELEASED_CHECKS = tuple(CATALOGUE[name] for name in ("image-unsigned", "image-evidence-missing"))
IN_USE_CHECKS = tuple(
    CATALOGUE[name]
    for name in (
        *("image-scan-missing", "image-scan-stale", "image-not-passing", "image-unrecorded"),
        *("image-provenance-missing", "image-base-foreign", "image-old", "image-labels-missing"),
        "image-package-prohibited",
        *("image-runs-ungated", "image-waiver-expired", "image-break-glass", "image-revoked"),
    )
)


def check_released(image: AuditedImage) -> Iterator[CheckOutcome]:
    """Check an image that was released and that the registry still has, by the list of its repository."""
    release = image.release
    if release is None:
        return
    yield image.result("image-unsigned", _unsigned(image, release), _RELEASE, release.decision)
    gone = [digest for digest in release.evidence if digest not in image.siblings]
    names = ", ".join(digest.short for digest in gone)
    fault = f"its evidence {names} is no longer in the repository" if gone else ""
    yield image.result("image-evidence-missing", fault, _RELEASE, release.decision)


def _unsigned(image: AuditedImage, release: Release) -> str:
    if release.signature is None:
        return f"attempt {release.attempt} ended {release.outcome or 'open'} with {release.verdict}, unsigned"
    if release.signature not in image.siblings:
        return f"its signature {release.signature.short} is no longer in the repository"
    return "" if release.decision else "its signature names no decision"


def check_in_use(image: AuditedImage, terms: AuditTerms) -> Iterator[CheckOutcome]:
    """Check an image that is in use, beside `check_released`."""
    yield from _scans(image, terms)
    yield from _record(image, terms)
    yield from check_recorded_facts(image, terms)
    yield from _ways(image)


def _scans(image: AuditedImage, terms: AuditTerms) -> Iterator[CheckOutcome]:
    last = image.judgement
    names = ("image-scan-missing", "image-scan-stale", "image-not-passing")
    if last is None or terms.now - last.at > _JUDGED_WITHIN:
        when = f"it was judged last on {last.at:%Y-%m-%d}" if last else "it was not judged since its release"
        yield from (image.unknown(name, f"{when}: judge_again has to run") for name in names)
        return
    why = "; ".join(image.risk.why[:3]) if image.risk else ""
    is_silent = last.state is RiskState.UNKNOWN and terms.now - last.answered_at > _SCANNED_WITHIN
    is_stale = last.state is RiskState.NOT_WATCHED or is_silent
    has_scan = any(scan.get("completedAt") for scan in image.decision.scans) if image.decision else None
    if is_stale and has_scan is None:
        yield image.unknown("image-scan-missing", f"no decision tells: {image.no_decision}")
    else:
        missing = "no scan has ever ended" if is_stale and not has_scan else ""
        yield image.result("image-scan-missing", missing, _SCAN)
    answered = f"the last complete result is of {last.answered_at:%Y-%m-%d}"
    yield image.result("image-scan-stale", (why or answered) if is_stale else "", _SCAN, *last.findings)
    if last.state in (RiskState.UNKNOWN, RiskState.NOT_WATCHED):
        yield image.unknown("image-not-passing", why or f"no complete scan result: {answered}")
        return
    risk = image.risk if last.state is RiskState.AT_RISK else None
    fault = f"{risk.headline}: {why}" if risk else "it is at risk" if last.state is RiskState.AT_RISK else ""
    remedy = AdvisedRemedy(risk.remedies[0], _STATUS.command) if risk and risk.remedies else _STATUS
    yield image.result("image-not-passing", fault, remedy, *last.findings, *([risk.policy] if risk else ()))


def _record(image: AuditedImage, terms: AuditTerms) -> Iterator[CheckOutcome]:
    """Check that a record proves the release, and that the waivers and the break-glass behind it still count."""
    release = image.release
    decision = release.decision if release else None
    if image.decision is None and not image.is_proven_missing:
        yield image.unknown("image-unrecorded", image.no_decision)
    else:
        yield image.result("image-unrecorded", image.no_decision or _foreign(image), _RELEASE, decision)
    if image.decision is None:
        yield image.unknown("image-waiver-expired", f"no decision tells: {image.no_decision}")
    else:
        ended = [str(waiver["id"]) for waiver in image.decision.waivers if waiver["id"] not in terms.waivers]
        fault = f"it was released by {', '.join(ended)}, which no longer counts" if ended else ""
        yield image.result("image-waiver-expired", fault, _STATUS, decision)


def _foreign(image: AuditedImage) -> str:
    decision = image.decision
    if decision is None or (decision.image == image.image and decision.stage == image.stage.name):
        return ""
    return f"its decision is about {decision.image} at the gate of {decision.stage}"


def _ways(image: AuditedImage) -> Iterator[CheckOutcome]:
    release = image.release
    glass = release.break_glass if release else ""
    decision = release.decision if release else None
    yield image.result("image-break-glass", glass, _STATUS, decision)
    use = "it runs" if image.runs else f"it is the current image of its repository in {image.stage.name}"
    revoked = f"{use}, although it was {release.revoked}" if release and release.revoked else ""
    yield image.result("image-revoked", revoked, _ROLLBACK, decision)
    if image.runs:
        has_passed = any(passes(one, image.stage) for one in (release, *image.of_indexes) if one)
        why = explain_refusal(release) if release else f"no gate of {image.stage.name} has decided about it"
        yield image.result("image-runs-ungated", "" if has_passed else why, _ROLLBACK, decision)
