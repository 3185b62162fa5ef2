"""Findings: what a scanner reports, normalised, and folded without holding them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

# How many findings of one severity a message names; the rest is a number.
EXAMPLES = 5


class Severity(StrEnum):
    """ECR's FindingSeverity. UNTRIAGED (enhanced scanning) says the same as UNDEFINED (basic)."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    INFORMATIONAL = "INFORMATIONAL"
    UNDEFINED = "UNDEFINED"

    @classmethod
    def parse(cls, text: object) -> Severity:
        """A severity that we do not know counts as UNDEFINED, which has a limit of its own."""
        return cls.__members__.get(str(text).upper(), cls.UNDEFINED)


@dataclass(frozen=True, slots=True)
class Finding:
    """One vulnerability in one package of one image."""

    vulnerability: str
    severity: Severity
    package: str | None = None
    installed: str | None = None
    fixed: str | None = None

    def __str__(self) -> str:
        return (
            f"{self.vulnerability} ({self.package} {self.installed or ''})".replace(" )", ")")
            if self.package
            else self.vulnerability
        )


def count(raw: Mapping[str, int]) -> dict[Severity, int]:
    """Normalise `findingSeverityCounts`; absent levels are absent, Inspector's TOTAL is no severity."""
    counts: dict[Severity, int] = {}
    for name, number in raw.items():
        if name.upper() != "TOTAL" and number:
            severity = Severity.parse(name)
            counts[severity] = counts.get(severity, 0) + number
    return counts


@dataclass(slots=True)
class Tally:
    """Findings folded to numbers and a few examples per severity: constant memory for any number of them."""

    counts: dict[Severity, int] = field(default_factory=dict)
    examples: dict[Severity, list[Finding]] = field(default_factory=dict)

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Tally:
        tally = cls()
        for finding in findings:
            tally.add(finding)
        return tally

    def add(self, finding: Finding) -> None:
        self.counts[finding.severity] = self.counts.get(finding.severity, 0) + 1
        examples = self.examples.setdefault(finding.severity, [])
        if len(examples) < EXAMPLES:
            examples.append(finding)

    def named(self, severity: Severity) -> str:
        """The examples as a person reads them: `CVE-1 (openssl 3.0), CVE-2 (zlib 1.2) and 7 more`."""
        examples = self.examples.get(severity, [])
        rest = self.counts.get(severity, 0) - len(examples)
        return ", ".join(map(str, examples)) + (f" and {rest} more" if rest > 0 else "")
