"""Findings of scanners in one normal form. One finding is one vulnerability in one or more packages of an image;
or a secret, a misconfiguration or a license, whose place is used as the package.

A fact that the scanner does not report is None, never False: a rule must not take silence for an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from imagegate.text import counted, list_some

# A message names so many findings of one severity, and counts the rest.
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
        """Return the severity. An unknown text counts as UNDEFINED, for which the policy has a limit of its own."""
        return _SEVERITIES.get(str(text).upper(), cls.UNDEFINED)


# `__members__` makes a new mapping at each use.
_SEVERITIES: Mapping[str, Severity] = dict(Severity.__members__)


class FindingKind(StrEnum):
    """The kinds of findings. A secret, a misconfiguration or a license has the name of the scanner's rule."""

    VULNERABILITY = "vulnerability"
    SECRET = "secret"  # noqa: S105 - not a password
    MISCONFIGURATION = "misconfiguration"
    LICENSE = "license"

    def counted(self, number: int) -> str:
        """Return the number of secrets, misconfigurations or licenses with the noun: `2 secrets`."""
        return counted(number, self.value)


@dataclass(frozen=True, slots=True)
class Package:
    """A package with a vulnerability. `ecosystem` is a package URL type: deb, rpm, apk, pypi, npm, maven, golang, …"""

    name: str
    installed: str | None = None
    fixed: str | None = None  # the version with the fix; None if none is known
    ecosystem: str | None = None
    purl: str | None = None  # package URL with the version, where the scanner gives one
    layer: str | None = None  # digest of the layer that contains it, as the scanner writes it
    path: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.installed}" if self.installed else self.name


# Whether a version satisfies constraints such as `>=2.0, <2.17.1` in an ecosystem; None if that is unknown.
Satisfies = Callable[[str, str, str | None], bool | None]
# The later of two versions in an ecosystem; None if they cannot be compared.
Later = Callable[[str, str, str | None], str | None]


@dataclass(frozen=True, slots=True)
class Versions:
    """The comparison of versions, passed in because each ecosystem has its own rules and a library knows them."""

    satisfies: Satisfies
    later: Later


@dataclass(frozen=True, slots=True)
class Finding:
    """One vulnerability in one image, as one scanner counts."""

    vulnerability: str  # the CVE if there is one, else the advisory's id
    severity: Severity
    packages: tuple[Package, ...] = ()
    aliases: tuple[str, ...] = ()
    fixable: bool | None = None  # a fix exists for every package; None if the scanner does not say
    exploit: bool | None = None  # an exploit is available
    known_exploited: bool | None = None  # in CISA's catalogue (KEV)
    epss: float | None = None  # probability of exploitation within 30 days, 0 to 1 (FIRST)
    published: str | None = None  # RFC 3339 or a day
    url: str | None = None
    arn: str | None = None  # Inspector's name of the finding
    at_worst: Severity | None = None  # the worst possible severity if the scanner does not know it; else None
    kind: FindingKind = FindingKind.VULNERABILITY
    # For people only; no rule reads these.
    cvss: float | None = None  # the base score, 0 to 10
    description: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All ids of the vulnerability."""
        return (self.vulnerability, *self.aliases)

    @property
    def at_its_worst(self) -> Finding | None:
        """The same finding at its worst possible severity, or None if its severity is known."""
        return replace(self, severity=self.at_worst, at_worst=None) if self.at_worst else None

    @property
    def places(self) -> tuple[Place, ...]:
        """The vulnerability with each of its packages; the name is `""` if the scanner names no package."""
        name = self.vulnerability
        return tuple([(name, package.name) for package in self.packages]) or ((name, ""),)

    def __str__(self) -> str:
        packages = ", ".join(dict.fromkeys(map(str, self.packages)))
        return f"{self.vulnerability} ({packages})" if packages else self.vulnerability


# (vulnerability, package name): clocks, comparisons and waivers apply to it at any version.
Place = tuple[str, str]


def count_severities(raw: Mapping[str, int]) -> dict[Severity, int]:
    """Return `findingSeverityCounts` by severity. Leave out levels without findings, and Inspector's TOTAL."""
    counts: dict[Severity, int] = {}
    for name, number in raw.items():
        if name.upper() != "TOTAL" and number:
            severity = Severity.parse(name)
            counts[severity] = counts.get(severity, 0) + number
    return counts


@dataclass(slots=True)
class FindingCounts:
    """The number of findings and a few examples per severity: constant memory for any number of findings."""

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
        """Return the examples as text: `CVE-1 (openssl 3.0), CVE-2 (zlib 1.2) and 7 more`."""
        examples = self.examples.get(severity, [])
        return list_some([str(example) for example in examples], self.counts.get(severity, 0))
