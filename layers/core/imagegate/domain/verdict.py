"""The gate: a pure function of (stage, scans, how the wait ended). Anything unknown denies.

Rules: one more finding never opens the gate; the worst platform decides; no scan is never a pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from imagegate.domain.finding import Severity, Tally
from imagegate.domain.policy import Action, Stage
from imagegate.domain.scan import Readiness, ScanStatus, Waited
from imagegate.domain.waiver import Waiver


class VerdictOutcome(StrEnum):
    PASS = "PASS"  # noqa: S105 - not a password
    BLOCK = "BLOCK"
    ERROR = "ERROR"  # could not judge; blocks as BLOCK does


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: the rule that decided, what it does, and a sentence for a person."""

    rule: str
    message: str
    action: Action = Action.ENFORCE

    def as_json(self) -> dict[str, str]:
        return {"rule": self.rule, "message": self.message, "action": str(self.action)}


@dataclass(frozen=True, slots=True)
class PlatformScan:
    """One image that runs: the whole of a single-platform image, or one child of an index."""

    status: ScanStatus
    tally: Tally
    platform: str | None = None  # "linux/arm64"; None for a single-platform image

    def says(self, text: str) -> str:
        return f"{self.platform}: {text}" if self.platform else text


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: VerdictOutcome
    reasons: tuple[Reason, ...] = ()

    @property
    def blocking(self) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if reason.action is Action.ENFORCE)


def judge(
    stage: Stage,
    scans: Sequence[PlatformScan],
    waited: Waited,
    why_never: str = "",
    unscannable: Waiver | None = None,
) -> Verdict:
    """Judge one image. `scans` holds every platform; an empty list is an image that nothing is known about.

    `unscannable`: the waiver that counts for images that the scanner cannot read, if there is one.
    """
    wait = _Wait(waited, why_never, unscannable)
    reasons = [reason for scan in scans for reason in _judge_platform(stage, scan, wait)]
    if not scans:
        reasons.append(Reason("scan.nothing", "the image has no platform that could be scanned"))
    if any(_is_incomplete(scan) for scan in scans):
        return Verdict(VerdictOutcome.ERROR, tuple(reasons))
    blocked = any(reason.action is Action.ENFORCE for reason in reasons)
    return Verdict(VerdictOutcome.BLOCK if blocked else VerdictOutcome.PASS, tuple(reasons))


@dataclass(frozen=True, slots=True)
class _Wait:
    """How the wait for the scans ended."""

    ended: Waited
    why_never: str
    unscannable: Waiver | None


def _judge_platform(stage: Stage, scan: PlatformScan, wait: _Wait) -> Iterator[Reason]:
    readiness = scan.status.readiness
    if scan.status.is_unsupported:
        yield _unsupported(scan, scan.status.explain(), wait)
    elif readiness is Readiness.IMPOSSIBLE:
        yield Reason("scan.failed", scan.says(scan.status.explain()))
    elif readiness is Readiness.NOT_STARTED and wait.ended is Waited.UNSUPPORTED:
        yield _unsupported(scan, wait.why_never, wait)
    elif readiness is not Readiness.READY:
        yield _no_scan(stage, scan, wait)
    elif _is_incomplete(scan):
        yield Reason("findings.incomplete", scan.says("the scanner announces findings that it does not list"))
    else:
        yield from _over_limit(stage, scan)


def _is_incomplete(scan: PlatformScan) -> bool:
    """Half-missing data never passes: the summary and the list must agree, where there is a summary."""
    ready = scan.status.readiness is Readiness.READY
    return ready and dict(scan.status.counts) != scan.tally.counts


def _unsupported(scan: PlatformScan, why: str, wait: _Wait) -> Reason:
    """What the scanner cannot read passes by a waiver, and by nothing else."""
    if wait.unscannable is None:
        return Reason("scan.unsupported", scan.says(why))
    return Reason("scan.unsupported", scan.says(f"{why}; {wait.unscannable}"), Action.WARN)


def _no_scan(stage: Stage, scan: PlatformScan, wait: _Wait) -> Reason:
    if wait.ended is Waited.NEVER:
        return Reason("scan.never", scan.says(wait.why_never or "this image will never be scanned"))
    status = scan.status.status or "no scan was started"
    minutes = duration(stage.scan_timeout)
    return Reason("scan.timeout", scan.says(f"no scan result within {minutes} (last status: {status})"))


def _over_limit(stage: Stage, scan: PlatformScan) -> Iterator[Reason]:
    for severity in Severity:
        limit = stage.max_findings.get(severity)
        found = scan.tally.counts.get(severity, 0)
        if limit and limit.action is not Action.OFF and found > limit.limit:
            named = scan.tally.named(severity)
            message = f"{found} {severity} (at most {limit.limit}): {named}"
            yield Reason(f"findings.{severity.lower()}", scan.says(message), limit.action)


def duration(span: timedelta) -> str:
    """`45 s`, `30 min`, `2 h`: the largest unit that divides it."""
    seconds = int(span.total_seconds())
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
