"""The gate: a pure function from a case to a verdict. Anything unknown denies.

Rules: one more finding never opens the gate. The worst platform decides. An image without a scan never passes. A later
judgement is never easier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from imagegate.canonical_json import parse_timestamp
from imagegate.duration import format_duration
from imagegate.findings.finding import Severity
from imagegate.findings.scan import Basis, Readiness, ScanStatus, WaitOutcome
from imagegate.gate.facts import CameBy, ImageFacts
from imagegate.gate.image_rules import Violation, violations
from imagegate.policy.policy import Entry, Stage
from imagegate.policy.rules import (
    AMBIGUOUS,
    DENIED,
    ENTRY,
    PROHIBITED,
    RULES_OF_KINDS,
    UNSUPPORTED,
    Action,
    Attention,
    Limit,
    active,
    rule_of,
)
from imagegate.text import counted, list_some

if TYPE_CHECKING:
    from imagegate.gate.tally import FindingTally
    from imagegate.policy.waiver import Waivers

ENDING = "waiver.ending"


class VerdictOutcome(StrEnum):
    PASS = "PASS"  # noqa: S105 - not a password
    BLOCK = "BLOCK"
    ERROR = "ERROR"  # a fact is unknown; it blocks as BLOCK does


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason of a verdict: the rule, its action, and a sentence for people."""

    rule: str
    message: str
    action: Action = Action.ENFORCE
    is_unknown: bool = False  # a fact is missing: it blocks, but it is not a refusal
    advice: str = ""  # what would make the reason go away; for people, in no record

    def as_json(self) -> dict[str, str]:
        return {"rule": self.rule, "message": self.message, "action": str(self.action)}


@dataclass(frozen=True, slots=True)
class PlatformScan:
    """The scan of one image that can run: a single-platform image, or one platform of an index."""

    status: ScanStatus
    tally: FindingTally
    platform: str | None = None  # "linux/arm64"; None for a single-platform image

    def label(self, text: str) -> str:
        """Return the text with the platform before it, if there is one."""
        return f"{self.platform}: {text}" if self.platform else text


@dataclass(frozen=True, slots=True)
class Case:
    """The facts that a verdict rests on."""

    stage: Stage
    scans: Sequence[PlatformScan]  # of each platform; empty: nothing is known about the image
    facts: ImageFacts
    waivers: Waivers
    now: datetime
    waited: WaitOutcome = WaitOutcome.READY
    why_never: str = ""
    entrances: Sequence[str] = ()  # the repositories where the promotions into this one begin


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: VerdictOutcome
    reasons: tuple[Reason, ...] = ()
    worst: Severity | None = None  # of the findings that are not waived

    @property
    def blocking(self) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if reason.action is Action.ENFORCE)


def judge(case: Case) -> Verdict:
    """Judge one image."""
    if case.facts.ambiguous:
        return Verdict(VerdictOutcome.BLOCK, (Reason(AMBIGUOUS, case.facts.ambiguous),))
    reasons = [reason for scan in case.scans for reason in _judge_platform(case, scan)]
    if not case.scans:
        reasons.append(Reason("scan.nothing", "the image has no platform that could be scanned"))
    stage = case.stage
    reasons += _entry(case)
    reasons += [
        _waived(case, violation)
        for violation in violations(stage.image, stage.evidence, case.facts, case.now)
    ]
    reasons += _about_waivers(case)
    return Verdict(_outcome(reasons), tuple(reasons), _worst(case.scans))


def _outcome(reasons: Sequence[Reason]) -> VerdictOutcome:
    """Return BLOCK if a rule refuses the image, even if other facts are unknown; ERROR if only unknown facts block."""
    blocking = [reason for reason in reasons if reason.action is Action.ENFORCE]
    if not blocking:
        return VerdictOutcome.PASS
    is_refused = any(not reason.is_unknown for reason in blocking)
    return VerdictOutcome.BLOCK if is_refused else VerdictOutcome.ERROR


def _worst(scans: Sequence[PlatformScan]) -> Severity | None:
    worst = {scan.tally.worst for scan in scans}
    return next((severity for severity in Severity if severity in worst), None)


def _judge_platform(case: Case, scan: PlatformScan) -> Iterator[Reason]:
    readiness = scan.status.readiness
    if scan.status.is_unsupported:
        yield _unsupported(case, scan, scan.status.explain())
    elif readiness is Readiness.IMPOSSIBLE:
        yield Reason("scan.failed", scan.label(scan.status.explain()))
    elif readiness is Readiness.NOT_STARTED and case.waited is WaitOutcome.UNSUPPORTED:
        yield _unsupported(case, scan, case.why_never)
    elif readiness is not Readiness.READY:
        yield _no_scan(case, scan)
    else:
        yield from _stale(case, scan)
        yield from _judge_findings(case, scan)


def _judge_findings(case: Case, scan: PlatformScan) -> Iterator[Reason]:
    if _is_incomplete(scan):
        message = "the scanner announces findings that it does not list"
        yield Reason("findings.incomplete", scan.label(message), is_unknown=True)
    yield from _judge_single_findings(case.stage, scan)
    yield from _over_limit(case.stage, scan)


def _is_incomplete(scan: PlatformScan) -> bool:
    """Return True if the summary of the scan does not agree with its list: incomplete data never passes."""
    return dict(scan.status.counts) != scan.tally.all.counts


def _stale(case: Case, scan: PlatformScan) -> Iterator[Reason]:
    oldest = case.stage.max_scan_age
    if oldest is None:
        return
    if scan.status.scanned_at is None:
        message = "it is not known when the scan was completed"
        yield Reason("scan.stale", scan.label(message), is_unknown=True)
        return
    completed = parse_timestamp(scan.status.scanned_at)
    if case.now - completed > oldest:
        message = (
            f"the scan is of {completed:%Y-%m-%d %H:%M} UTC, older than {format_duration(oldest)}: scan again"
        )
        yield Reason("scan.stale", scan.label(message))


def _unsupported(case: Case, scan: PlatformScan, why: str) -> Reason:
    """Return the reason for an image that the scanner cannot read: only a waiver lets it pass."""
    waiver = case.waivers.for_rule(UNSUPPORTED, platform=scan.status.image)
    if waiver is None:
        return Reason(UNSUPPORTED, scan.label(why))
    return Reason(UNSUPPORTED, scan.label(f"{why}; {waiver}"), Action.WARN)


def _no_scan(case: Case, scan: PlatformScan) -> Reason:
    if case.waited is WaitOutcome.NEVER:
        return Reason("scan.never", scan.label(case.why_never or "this image will never be scanned"))
    status = scan.status.status or "no scan was started"
    missing = " and ".join(scan.status.missing)
    if scan.status.basis is Basis.ANSWER and scan.status.says_it_is_over:
        message = (
            f"the answer of ECR lacks {missing}: wait until the scan has that, and write the answer again"
        )
        return Reason("findings.incomplete", scan.label(message), is_unknown=True)
    if scan.status.says_it_is_over and scan.status.basis is not Basis.LIST:
        status = f"{status}, without {missing}"
    minutes = format_duration(case.stage.scan_timeout)
    message = f"no scan result within {minutes} (last status: {status})"
    advice = f"when the scanner has looked at it, judge it again: imagegate release {case.facts.image}"
    return Reason("scan.timeout", scan.label(message), advice=advice)


def _judge_single_findings(stage: Stage, scan: PlatformScan) -> Iterator[Reason]:
    """Yield the reasons of the rules about single findings."""
    tally = scan.tally
    for name, rule, what in (
        (DENIED, active(stage.findings.deny), "no image may have"),
        (PROHIBITED, active(stage.findings.prohibited), "is prohibited"),
    ):
        number = tally.violations.get(name, 0)
        if rule and number:
            examples = list_some(tally.examples_of[name], number)
            yield Reason(name, scan.label(f"{what}: {examples}"), rule.action)
    rule = active(stage.findings.prohibited)
    if rule and tally.incomparable:
        examples = ", ".join(tally.incomparable)
        message = f"it is not known whether a prohibited version is there: {examples}"
        yield Reason(PROHIBITED, scan.label(message), rule.action, is_unknown=True)


def _over_limit(stage: Stage, scan: PlatformScan) -> Iterator[Reason]:
    limits = dict(stage.findings.limits())
    for severity in Severity:
        if (limit := limits.get(rule_of(severity))) is not None:
            yield from _over(limit, severity, scan)
    for kind, rule in RULES_OF_KINDS.items():
        number = scan.tally.violations.get(rule, 0)
        if (limit := limits.get(rule)) is not None and number > limit.value:
            examples = list_some(scan.tally.examples_of[rule], number)
            message = f"{kind.counted(number)} (at most {limit.value}): {examples}"
            yield Reason(rule, scan.label(message), limit.action)


def _over(limit: Limit, severity: Severity, scan: PlatformScan) -> Iterator[Reason]:
    counting, unknown = scan.tally.counting, scan.tally.unknown
    certain, possible = counting.counts.get(severity, 0), unknown.counts.get(severity, 0)
    rule = rule_of(severity)
    if certain > limit.value:
        message = f"{certain} {severity} (at most {limit.value}): {counting.named(severity)}"
        yield Reason(rule, scan.label(message), limit.action)
    elif certain + possible > limit.value:
        missing = " and ".join(scan.tally.missing) or "what decides"
        message = f"up to {certain + possible} {severity} (at most {limit.value}); the scanner does not say {missing}"
        yield Reason(rule, scan.label(f"{message}: {unknown.named(severity)}"), limit.action, is_unknown=True)


def _entry(case: Case) -> Iterator[Reason]:
    """Refuse an image that came past the gates of the stages before."""
    if case.stage.entry is Entry.OPEN or case.facts.came_by is not CameBy.PUSH:
        return
    name = case.stage.name
    message = f"{name} admits only promoted images, and this image has no valid promotion: "
    first = " or ".join(case.entrances)
    remedy = f"push it to {first} and let it be promoted, or write entry: open in stages.{name}"
    yield Reason(ENTRY, message + remedy)


def _waived(case: Case, violation: Violation) -> Reason:
    waiver = (
        case.waivers.for_rule(violation.rule, platform=violation.platform)
        if violation.action is Action.ENFORCE
        else None
    )
    if waiver is None:
        return Reason(
            violation.rule, violation.message, violation.action, violation.is_unknown, violation.advice
        )
    return Reason(violation.rule, f"{violation.message}; {waiver}", Action.WARN)


def _about_waivers(case: Case) -> Iterator[Reason]:
    """Yield a warning for each waiver that expires soon, and for each that would apply but does not count."""
    for waiver in case.waivers.used:
        if waiver.is_ending(case.now):
            left = (waiver.expires - case.now.date()).days
            when = "today" if left == 0 else f"in {counted(left, 'day')}, on {waiver.expires}"
            message = f"the waiver of {waiver.subject} for {waiver.where} ends {when} (owner: {waiver.owner})"
            yield Reason(ENDING, message, Action.WARN)
    for waiver, fault in case.waivers.idle.items():
        if waiver not in case.waivers.used:
            message = f"the waiver of {waiver.subject} for {waiver.where} does not count: {fault}"
            yield Reason("waiver.idle", f"{message} (owner: {waiver.owner})", Action.WARN)


def attention(stage: Stage, verdict: Verdict) -> Attention:
    """Return how the verdict is announced: an alert if somebody must act, else by the severity of the worst finding."""
    must_act = any(reason.action is Action.ENFORCE or reason.rule == ENDING for reason in verdict.reasons)
    return Attention.ALERT if must_act else stage.alerts.get(verdict.worst, Attention.ALERT)
