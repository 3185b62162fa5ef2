"""The opinion of the gate, independent of the output format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from imagegate.findings.finding import Finding, Severity
from imagegate.gate import findings_record
from imagegate.gate.evaluation import EvaluationResult
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import Digest
from imagegate.policy.policy import Mode, Stage
from imagegate.policy.waiver import WaiverTerms
from imagegate_cli.faults import CANNOT_TELL

_ORDER = {severity: rank for rank, severity in enumerate(Severity)}
# Reasons of rulings, the gravest first.
_WHY = ("denied", "prohibited", "counts", "unknown", "grace", "waived", "not worse", "no fix", "no limit")


@dataclass(frozen=True, slots=True)
class Line:
    """One finding and its rulings."""

    finding: Finding
    rulings: tuple[dict[str, Any], ...]
    platform: str | None
    origin: tuple[str, ...]  # of each package: base, own or unknown; empty if not determined
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


@dataclass(frozen=True, slots=True)
class Opinion:
    subject: str  # the image or files that were judged
    digest: Digest | None
    stage: Stage
    policy: Digest
    policy_name: str
    judged: EvaluationResult
    now: datetime
    scanners: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # for readers: rules that were left out, and so on
    repository: str | None = None
    waiver_terms: WaiverTerms = field(default_factory=WaiverTerms)

    @property
    def outcome(self) -> VerdictOutcome:
        return self.judged.verdict.outcome

    @property
    def advice(self) -> tuple[str, ...]:
        """Sentences about how it would pass, in the order to do them."""
        return self.judged.advice(self.repository or "REPOSITORY", self.waiver_terms)

    @property
    def is_observed(self) -> bool:
        """True if a stage that only observes would block it."""
        return self.stage.mode is Mode.OBSERVE and self.outcome is VerdictOutcome.BLOCK

    @property
    def exit_code(self) -> int:
        if self.outcome is VerdictOutcome.ERROR:
            return CANNOT_TELL
        return 1 if self.outcome is VerdictOutcome.BLOCK and not self.is_observed else 0

    def lines(self) -> list[Line]:
        """Return every finding, the gravest first."""
        lines = list(self._lines())
        lines.sort(key=lambda line: (_WHY.index(line.why), _ORDER[line.finding.severity], str(line.finding)))
        return lines

    def _lines(self) -> Iterator[Line]:
        rules_with_reason = {reason.rule for reason in self.judged.verdict.reasons}
        for scan, packed in zip(self.judged.scans, self.judged.packed_findings, strict=True):
            for finding, raw in findings_record.read(packed) if packed else ():
                clocks = [clock["seen"] for clock in raw.get("clocks", ())]
                yield Line(
                    finding=finding,
                    rulings=tuple(raw["rulings"]),
                    platform=scan.platform,
                    origin=tuple(raw.get("from", ())),
                    seen_at=min(clocks, default=None),
                    is_told=raw["rulings"][0]["rule"] in rules_with_reason,
                )


@dataclass(frozen=True, slots=True)
class VulnerabilityText:
    """A vulnerability in the words of a scanner."""

    vulnerability: str
    description: str
    url: str | None


def explanations(lines: Iterable[Line], most: int | None = None) -> list[VulnerabilityText]:
    """Return the descriptions of the findings that count, each vulnerability once and in the order of the lines."""
    described = [line.finding for line in lines if line.counts and line.finding.description]
    by_name = {finding.vulnerability: finding for finding in reversed(described)}
    names = list(dict.fromkeys(finding.vulnerability for finding in described))[:most]
    return [VulnerabilityText(name, by_name[name].description or "", by_name[name].url) for name in names]


def counts_text(opinion: Opinion) -> list[str]:
    """Return the number of findings of each severity, for each platform: `1 CRITICAL, 3 HIGH`."""
    texts = []
    for scan in opinion.judged.scans:
        counts = scan.tally.all.counts
        numbers = [f"{counts[severity]} {severity}" for severity in Severity if counts.get(severity)]
        texts.append(scan.label(", ".join(numbers) or "none"))
    return texts


def severity_text(finding: Finding) -> str:
    """Return the severity, with the CVSS score if the scanner gives one: `HIGH 7.5`."""
    return str(finding.severity) if finding.cvss is None else f"{finding.severity} {finding.cvss:.1f}"


def headline(opinion: Opinion) -> str:
    """`BLOCK: shop-dev:1.0 at the dev gate`."""
    if opinion.is_observed:
        return f"{opinion.outcome}, only observed: {opinion.subject} at the {opinion.stage.name} gate"
    return f"{opinion.outcome}: {opinion.subject} at the {opinion.stage.name} gate"


def decision_text(line: Line) -> str:
    """Describe in a few words what decided about a finding."""
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


def count_not_counting(opinion: Opinion) -> dict[str, int]:
    """Count the findings that do not count, by the reason."""
    numbers: dict[str, int] = {}
    for scan in opinion.judged.scans:
        for why, number in scan.tally.aside.items():
            numbers[str(why)] = numbers.get(str(why), 0) + number
    return numbers
