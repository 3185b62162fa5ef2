"""What the gate says, before it is shown in one form or another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imagegate.findings.finding import Finding, Severity
from imagegate.gate import findings_record
from imagegate.gate.evaluation import EvaluationResult
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import Digest
from imagegate.policy.policy import Mode, Stage
from imagegate_cli.faults import CANNOT_TELL

_ORDER = {severity: rank for rank, severity in enumerate(Severity)}
_NAMED = 3
# What decided, the gravest first.
_WHY = ("denied", "prohibited", "counts", "unknown", "grace", "waived", "not worse", "no fix", "no limit")


@dataclass(frozen=True, slots=True)
class Line:
    """One finding and what the gate says of it."""

    finding: Finding
    rulings: tuple[dict[str, Any], ...]
    platform: str | None
    origin: tuple[str, ...]  # of each package: base, own or unknown; empty: nobody looked
    seen_at: str | None
    is_told: bool  # a reason of the verdict is about it

    @property
    def ruling(self) -> dict[str, Any]:
        return self.rulings[0]

    @property
    def why(self) -> str:
        return str(self.ruling["why"])

    @property
    def counts(self) -> bool:
        return self.why in ("denied", "prohibited", "counts", "unknown")

    @property
    def has_fix(self) -> bool:
        packages = self.finding.packages
        return bool(packages) and all(package.fixed for package in packages)


@dataclass(frozen=True, slots=True)
class Opinion:
    subject: str  # what was judged, as people call it
    digest: Digest | None
    stage: Stage
    policy: Digest
    policy_name: str
    judged: EvaluationResult
    now: datetime
    scanners: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what was not judged here, and other things to know

    @property
    def outcome(self) -> VerdictOutcome:
        return self.judged.verdict.outcome

    @property
    def is_observed(self) -> bool:
        """Refused, and let through all the same."""
        return self.stage.mode is Mode.OBSERVE and self.outcome is VerdictOutcome.BLOCK

    @property
    def exit_code(self) -> int:
        if self.outcome is VerdictOutcome.ERROR:
            return CANNOT_TELL
        return 1 if self.outcome is VerdictOutcome.BLOCK and not self.is_observed else 0

    def lines(self) -> list[Line]:
        """Every finding, the gravest first."""
        found = list(self._lines())
        found.sort(key=lambda line: (_WHY.index(line.why), _ORDER[line.finding.severity], str(line.finding)))
        return found

    def _lines(self) -> Iterator[Line]:
        told = {reason.rule for reason in self.judged.verdict.reasons}
        for scan, packed in zip(self.judged.scans, self.judged.packed_findings, strict=True):
            for finding, raw in findings_record.read(packed) if packed else ():
                clocks = [clock["seen"] for clock in raw.get("clocks", ())]
                yield Line(
                    finding=finding,
                    rulings=tuple(raw["rulings"]),
                    platform=scan.platform,
                    origin=tuple(raw.get("from", ())),
                    seen_at=min(clocks, default=None),
                    is_told=raw["rulings"][0]["rule"] in told,
                )


def headline(opinion: Opinion) -> str:
    """`BLOCK: shop-dev:1.0 at the dev gate`."""
    if opinion.is_observed:
        return f"{opinion.outcome}, only observed: {opinion.subject} at the {opinion.stage.name} gate"
    return f"{opinion.outcome}: {opinion.subject} at the {opinion.stage.name} gate"


def deciding(line: Line) -> str:
    """What decided about a finding, in a few words."""
    ruling = line.ruling
    match line.why:
        case "counts":
            return "over the limit" if line.is_told else "within the limit"
        case "denied" | "prohibited":
            return line.why
        case "unknown":
            return f"unknown: {' and '.join(ruling.get('missing', ()))}"
        case "grace":
            return f"has time until {ruling['until'][:10]}"
        case "waived":
            return f"waived until {ruling['until']} ({ruling['waiver']})"
        case "not worse":
            return "is in the next stage already"
        case "no fix":
            return "no fix yet"
        case _:
            return "no limit"


def aside(opinion: Opinion) -> dict[str, int]:
    """How many findings do not count, by what decided so."""
    numbers: dict[str, int] = {}
    for scan in opinion.judged.scans:
        for why, number in scan.tally.aside.items():
            numbers[str(why)] = numbers.get(str(why), 0) + number
    return numbers


def left_over(opinion: Opinion) -> list[str]:
    """What stays in the way after all the remedies, by name."""
    lines = opinion.lines() if opinion.judged.remedies.left else []
    texts = []
    for rule, number in opinion.judged.remedies.left.items():
        of_rule = [line for line in lines if line.counts and line.ruling["rule"] == rule]
        names = dict.fromkeys(str(line.finding) for line in of_rule if not line.has_fix)
        what = rule.removeprefix("findings.").upper() if rule.startswith("findings.") else rule
        them = "it" if number == 1 else "them"
        named = f": {', '.join(list(names)[:_NAMED])}{' …' if len(names) > _NAMED else ''}" if names else ""
        texts.append(f"{number} {what} without a known fix, only a waiver lets {them} pass{named}")
    return texts
