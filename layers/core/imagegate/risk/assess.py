"""The assessment of a judgement of today: at risk, fine, not watched, or unknown for now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from imagegate.findings.finding import Place, Severity
from imagegate.findings.scan import Basis, Readiness, ScanStatus, WaitOutcome
from imagegate.policy.rules import PROHIBITED
from imagegate.risk.risk import Assessment, RiskFinding, RiskState

if TYPE_CHECKING:
    from imagegate.gate.evaluation import EvaluationResult
    from imagegate.gate.verdict import Reason

_MOST_REMEDIES = 20
_CONFIGURE = "aws inspector2 update-configuration --ecr-configuration"
# Amazon Inspector API reference, EcrConfiguration: how long it watches after the push, and after the last use or pull.
_WATCH_LONGER = (
    f"let Inspector watch images longer ({_CONFIGURE} rescanDuration=LIFETIME,pullDateRescanDuration=DAYS_180)"
    " and push this image again: the setting alone does not bring it back"
)
_SETTINGS: Mapping[str, str] = {
    "SCAN_ELIGIBILITY_EXPIRED": _WATCH_LONGER,
    "SCAN_FREQUENCY_SCAN_ON_PUSH": (
        "scan its repository continuously: CONTINUOUS_SCAN in the registry's scanning configuration"
    ),
    "SCAN_FREQUENCY_MANUAL": "add a filter for its repository to the registry's enhanced scanning",
    "IMAGE_ARCHIVED": "restore the image from the archive storage class: aws ecr update-image-storage-class",
}


def assess(result: EvaluationResult, ended: WaitOutcome, known: frozenset[Place]) -> Assessment:
    """Assess the judgement of today. `known`: findings with which the image went on before, though it did not pass."""
    refusals = [reason for reason in result.verdict.blocking if _is_about_findings(reason)]
    findings = tuple(_refused_findings(result, {reason.rule for reason in refusals}))
    if any(one.place not in known for one in findings):
        why = tuple(reason.message for reason in refusals)
        return Assessment(RiskState.AT_RISK, findings, why, result.remedies.texts[:_MOST_REMEDIES])
    unwatched = tuple(dict.fromkeys(_unwatched(result, ended)))
    if unwatched:
        return Assessment(RiskState.NOT_WATCHED, why=unwatched)
    waiting = tuple(_unfinished(result))
    return Assessment(RiskState.UNKNOWN, why=waiting) if waiting else Assessment(RiskState.FINE)


def _is_about_findings(reason: Reason) -> bool:
    return reason.rule.startswith("findings.") or reason.rule == PROHIBITED


def _refused_findings(result: EvaluationResult, rules: set[str]) -> Iterator[RiskFinding]:
    """Yield each refused place once, the gravest findings of the first platform first."""
    seen: set[Place] = set()
    gravest_first = list(Severity)
    found = [one for scan in result.scans for one in scan.tally.open if one.rule in rules]
    for finding in sorted(found, key=lambda one: gravest_first.index(one.severity)):
        for index, place in enumerate(finding.places):
            if place not in seen:
                seen.add(place)
                fixed = finding.fixes[index].fixed if index < len(finding.fixes) else None
                yield RiskFinding(*place, finding.severity, fixed)


def _unwatched(result: EvaluationResult, ended: WaitOutcome) -> Iterator[str]:
    """Yield why the scanner no longer looks at the image, with the setting that changes it."""
    if ended is WaitOutcome.NEVER:
        yield from (reason.message for reason in result.verdict.blocking if reason.rule == "scan.never")
    for scan in result.scans:
        status = scan.status
        for code in dict.fromkeys(_codes(status)):
            if code in _SETTINGS:
                yield scan.label(f"{code}: {_SETTINGS[code]}")
                break
        else:
            if status.readiness is Readiness.IMPOSSIBLE and not status.is_unsupported:
                yield scan.label(status.explain())
    yield from (reason.message for reason in result.verdict.blocking if reason.rule == "scan.stale")


def _codes(status: ScanStatus) -> Iterator[str]:
    """Yield what ECR and Inspector say about the scan; basic scanning watches nothing, so there it says nothing."""
    if status.status is not None:
        yield status.status
    if status.basis is Basis.ENHANCED:
        yield from (record.reason for record in status.coverage)


def _unfinished(result: EvaluationResult) -> Iterator[str]:
    """Yield what the findings lack where a scan still runs, or lists fewer findings than it counts."""
    for scan in result.scans:
        if scan.status.readiness in (Readiness.NOT_STARTED, Readiness.NOT_YET):
            yield scan.label("it lacks " + " and ".join(scan.status.missing))
        elif dict(scan.status.counts) != scan.tally.all.counts:
            yield scan.label("the scanner announces findings that it does not list")
