"""Findings: what a scanner reports, normalised. One finding is one vulnerability in one or more packages of an image.

What a scanner does not say is None, never False: rules that need it must not take silence for an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
class Package:
    """Where a vulnerability sits. `ecosystem` is a package URL type: deb, rpm, apk, pypi, npm, maven, golang, …"""

    name: str
    installed: str | None = None
    fixed: str | None = None  # the version that mends it; None: none is known
    ecosystem: str | None = None
    purl: str | None = None  # package URL with the version, where the scanner gives one
    layer: str | None = None  # digest of the layer that brought it, as the scanner names it
    path: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.installed}" if self.installed else self.name


@dataclass(frozen=True, slots=True)
class Finding:
    """One vulnerability in one image, as one scanner counts it."""

    vulnerability: str  # CVE where there is one, else the advisory's own name
    severity: Severity
    packages: tuple[Package, ...] = ()
    aliases: tuple[str, ...] = ()
    fixable: bool | None = None  # a fix exists for every package; None: the scanner does not say
    exploit: bool | None = None  # an exploit is available
    known_exploited: bool | None = None  # in CISA's catalogue (KEV)
    epss: float | None = None  # probability of exploitation within 30 days, 0 to 1 (FIRST)
    published: str | None = None  # RFC 3339 or a day
    url: str | None = None
    arn: str | None = None  # Inspector's name of the finding
    at_worst: Severity | None = None  # as grave as it may be, where the scanner cannot tell; else None

    @property
    def names(self) -> tuple[str, ...]:
        """All names under which the vulnerability is known."""
        return (self.vulnerability, *self.aliases)

    @property
    def at_its_worst(self) -> Finding | None:
        """The same as grave as it may be; None: its severity is known."""
        return replace(self, severity=self.at_worst, at_worst=None) if self.at_worst else None

    @property
    def places(self) -> tuple[Place, ...]:
        """The vulnerability in each of its packages; `""` stands for a package that the scanner does not name."""
        return tuple((self.vulnerability, package.name) for package in self.packages) or (
            (self.vulnerability, ""),
        )

    def __str__(self) -> str:
        packages = ", ".join(dict.fromkeys(map(str, self.packages)))
        return f"{self.vulnerability} ({packages})" if packages else self.vulnerability


# (vulnerability, package): what clocks, comparisons and waivers are about, whatever the version.
Place = tuple[str, str]


def count(raw: Mapping[str, int]) -> dict[Severity, int]:
    """Normalise `findingSeverityCounts`; absent levels are absent, Inspector's TOTAL is no severity."""
    counts: dict[Severity, int] = {}
    for name, number in raw.items():
        if name.upper() != "TOTAL" and number:
            severity = Severity.parse(name)
            counts[severity] = counts.get(severity, 0) + number
    return counts


@dataclass(slots=True)
class FindingCounts:
    """Findings folded to numbers and a few examples per severity: constant memory for any number of them."""

    counts: dict[Severity, int] = field(default_factory=dict)
    examples: dict[Severity, list[Finding]] = field(default_factory=dict)

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> FindingCounts:
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
