"""The tally of one platform's findings: its counts, and what the verdict and the remedies need of each finding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from imagegate.findings.finding import EXAMPLES, Finding, FindingCounts, FindingKind, Place, Severity
from imagegate.gate.finding_rules import Clock, FindingRuling, RulingReason, Terms
from imagegate.policy.rules import rule_of


class PackageFix(NamedTuple):
    """A vulnerable package, and the version that fixes it. A field that the scanner does not give is None."""

    package: str
    installed: str | None
    fixed: str | None
    ecosystem: str | None


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """A finding that counts, reduced to what remedies need."""

    vulnerability: str
    severity: Severity
    rule: str
    fixes: tuple[PackageFix, ...]
    is_fix_told: bool = True  # False: the scanner does not say whether a fix exists
    kind: FindingKind = FindingKind.VULNERABILITY

    @property
    def places(self) -> tuple[Place, ...]:
        """The same places as of the whole finding."""
        return tuple((self.vulnerability, fix.package) for fix in self.fixes) or ((self.vulnerability, ""),)

    @property
    def has_fix(self) -> bool:
        return bool(self.fixes) and all(fix.fixed is not None for fix in self.fixes)

    def __str__(self) -> str:
        """Return the same text as of the whole finding: `CVE-2026-1 (openssl 3.0.1)`."""
        packages = ", ".join(
            dict.fromkeys(
                f"{fix.package} {fix.installed}" if fix.installed else fix.package for fix in self.fixes
            )
        )
        return f"{self.vulnerability} ({packages})" if packages else self.vulnerability


@dataclass(slots=True)
class FindingTally:
    """The sums over the findings of one platform. Memory grows only with the findings that count."""

    baseline: frozenset[Place] | None = None  # of the image released into the next stage; None: no comparison
    all: FindingCounts = field(default_factory=FindingCounts)  # as the scanner counts
    counting: FindingCounts = field(default_factory=FindingCounts)
    unknown: FindingCounts = field(default_factory=FindingCounts)
    missing: dict[str, None] = field(default_factory=dict)  # facts that the scanner does not give
    aside: dict[RulingReason, int] = field(default_factory=dict)  # findings that do not count, by reason
    violations: dict[str, int] = field(default_factory=dict)  # of the rules that are not about a severity
    examples_of: dict[str, list[str]] = field(default_factory=dict)  # findings that violate those rules
    incomparable: list[str] = field(default_factory=list)  # findings whose package may be prohibited
    open: list[OpenFinding] = field(default_factory=list)
    added: int = 0  # findings that are not in the baseline
    added_examples: list[str] = field(default_factory=list)
    still_there: set[Place] = field(default_factory=set)  # places of the baseline that are here too
    worst: Severity | None = None  # of the findings that are not waived
    _fixes: dict[tuple[PackageFix, ...], tuple[PackageFix, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def add(self, finding: Finding, rulings: tuple[FindingRuling, ...]) -> None:
        """Add one finding with its rulings, as `FindingEvaluator.evaluate` returns them."""
        self.all.add(finding)
        if self.baseline is not None:
            self._compare(finding, self.baseline)
        if RulingReason.WAIVED not in [ruling.reason for ruling in rulings]:
            self.worst = worse(worse(self.worst, finding.severity), finding.at_worst)
        counting = [ruling for ruling in rulings if ruling.holds]
        for ruling in counting:
            self._add_counting(_as_ruled(finding, ruling), ruling)
        if not counting:
            reason = rulings[0].reason
            self.aside[reason] = self.aside.get(reason, 0) + 1

    def aside_by_name(self) -> dict[str, int]:
        """Return how many findings do not count, by the name of the reason, in the order of the reasons."""
        return {str(reason): self.aside[reason] for reason in RulingReason if reason in self.aside}

    def _compare(self, finding: Finding, baseline: frozenset[Place]) -> None:
        places = finding.places
        known = [place for place in places if place in baseline]
        self.still_there.update(known)
        if len(known) < len(places):
            self.added += 1
            if len(self.added_examples) < EXAMPLES:
                self.added_examples.append(str(finding))

    def _add_counting(self, finding: Finding, ruling: FindingRuling) -> None:
        if ruling.missing:
            self.missing.update(dict.fromkeys(ruling.missing))
        fixes = tuple([PackageFix(p.name, p.installed, p.fixed, p.ecosystem) for p in finding.packages])
        # A scan names the same few packages and fixes again and again: one tuple for each saves memory.
        fixes = self._fixes.setdefault(fixes, fixes)
        is_told = finding.fixable is not None
        self.open.append(
            OpenFinding(finding.vulnerability, finding.severity, ruling.rule, fixes, is_told, finding.kind)
        )
        is_unknown = ruling.reason is RulingReason.UNKNOWN
        if ruling.rule == rule_of(finding.severity):
            (self.unknown if is_unknown else self.counting).add(finding)
            return
        examples = self.incomparable if is_unknown else self.examples_of.setdefault(ruling.rule, [])
        if not is_unknown:
            self.violations[ruling.rule] = self.violations.get(ruling.rule, 0) + 1
        if len(examples) < EXAMPLES:
            examples.append(str(finding))


class StartedClocks:
    """The clocks of one platform's findings that start now, or that learn of a fix now."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self.started: dict[Place, Clock] = {}
        self._clocks: dict[Clock, Clock] = {}  # most clocks of an image are equal: one of each saves memory

    def add(self, finding: Finding) -> dict[Place, Clock]:
        """Note the clocks of a finding, and return them; {} if no stage gives time to findings of its severity."""
        if finding.severity not in self._terms.timed:
            return {}
        running = [(place, self._terms.clock(finding, place)) for place in finding.places]
        clocks = {place: self._clocks.setdefault(clock, clock) for place, clock in running}
        for place, clock in clocks.items():
            noted = self.started.get(place)
            # Another finding of the same vulnerability and package may have a fix already.
            if noted is not None and noted.fix_seen_at is not None:
                clock = noted
            if self._terms.clocks.get(place) != clock:
                self.started[place] = clock
        return clocks


def _as_ruled(finding: Finding, ruling: FindingRuling) -> Finding:
    """Return the finding with the severity that the ruling is about."""
    worst = finding.at_its_worst
    return worst if worst and ruling.rule == rule_of(worst.severity) else finding


_ORDER = {severity: rank for rank, severity in enumerate(Severity)}


def worse(one: Severity | None, other: Severity | None) -> Severity | None:
    """Return the graver of two severities, or None if both are None.

    CRITICAL is first in the order of definition, UNDEFINED last.
    """
    if one is None or other is None:
        return other if one is None else one
    return one if _ORDER[one] <= _ORDER[other] else other
