"""Weighing findings: the rulings on each, folded to what a verdict needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from imagegate.findings.finding import EXAMPLES, Finding, FindingCounts, Place, Severity
from imagegate.gate.finding_rules import Clock, FindingEvaluator, FindingRuling, Terms, Why
from imagegate.policy.rules import DENIED, PROHIBITED


@dataclass(frozen=True, slots=True)
class Open:
    """A finding that counts, in as few words as remedies need."""

    severity: Severity
    rule: str
    places: tuple[Place, ...]
    fixes: tuple[tuple[str, str | None, str | None, str | None], ...]  # package, installed, fixed, ecosystem


@dataclass(slots=True)
class FindingTally:
    """The findings of one platform, folded; memory grows only with those that count."""

    all: FindingCounts = field(default_factory=FindingCounts)  # as the scanner counts
    counting: FindingCounts = field(default_factory=FindingCounts)
    unknown: FindingCounts = field(default_factory=FindingCounts)
    missing: dict[str, None] = field(default_factory=dict)
    aside: dict[Why, int] = field(default_factory=dict)  # how many do not count, and why
    violations: dict[str, int] = field(default_factory=dict)  # of the rules about single findings
    examples_of: dict[str, list[str]] = field(default_factory=dict)  # of the same
    incomparable: list[str] = field(default_factory=list)  # may be prohibited
    open: list[Open] = field(default_factory=list)
    added: int = 0
    added_examples: list[str] = field(default_factory=list)
    still_there: set[Place] = field(default_factory=set)  # of the baseline
    worst: Severity | None = None  # of what is not waived


class FindingTallier(FindingEvaluator):
    """Weighs one finding after the other."""

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self.started: dict[Place, Clock] = {}  # clocks that are new, or know of a fix now
        self._names: dict[str, str] = {}

    def weigh_all(self, findings: Iterable[Finding]) -> FindingTally:
        weighed = FindingTally()
        for finding in findings:
            self.add(weighed, finding)
        return weighed

    def add(self, weighed: FindingTally, finding: Finding) -> tuple[FindingRuling, ...]:
        """Weigh one more finding, and fold it in."""
        rulings = self.weigh(finding)
        weighed.all.add(finding)
        self._start_clocks(finding)
        self._fold(weighed, finding, rulings)
        return rulings

    # folding

    def _start_clocks(self, finding: Finding) -> None:
        if finding.severity not in self.terms.timed:
            return
        for place in finding.places:
            clock = self.terms.clock(finding, place)
            begun = self.started.get(place)
            if begun is not None and begun.fix_seen_at is not None:
                clock = begun  # another finding of the same has the fix
            if self.terms.clocks.get(place) != clock:
                self.started[place] = clock

    def _fold(self, weighed: FindingTally, finding: Finding, rulings: tuple[FindingRuling, ...]) -> None:
        if self.terms.baseline is not None:
            self._compare(weighed, finding)
        if all(ruling.why is not Why.WAIVED for ruling in rulings):
            weighed.worst = worse(worse(weighed.worst, finding.severity), finding.at_worst)
        holding = [ruling for ruling in rulings if ruling.holds]
        for ruling in holding:
            weighed.missing.update(dict.fromkeys(ruling.missing))
            ruled = _as_ruled(finding, ruling)
            self._fold_holding(weighed, ruled, ruling)
            weighed.open.append(self._open(ruled, ruling))
        if not holding:
            why = rulings[0].why
            weighed.aside[why] = weighed.aside.get(why, 0) + 1

    def _fold_holding(self, weighed: FindingTally, finding: Finding, ruling: FindingRuling) -> None:
        is_unknown = ruling.why is Why.UNKNOWN
        if ruling.rule not in (DENIED, PROHIBITED):
            (weighed.unknown if is_unknown else weighed.counting).add(finding)
            return
        examples = weighed.incomparable if is_unknown else weighed.examples_of.setdefault(ruling.rule, [])
        if not is_unknown:
            weighed.violations[ruling.rule] = weighed.violations.get(ruling.rule, 0) + 1
        if len(examples) < EXAMPLES:
            examples.append(str(finding))

    def _compare(self, weighed: FindingTally, finding: Finding) -> None:
        baseline = self.terms.baseline or frozenset()
        known = [place for place in finding.places if place in baseline]
        weighed.still_there.update(known)
        if len(known) < len(finding.places):
            weighed.added += 1
            if len(weighed.added_examples) < EXAMPLES:
                weighed.added_examples.append(str(finding))

    def _open(self, finding: Finding, ruling: FindingRuling) -> Open:
        one = self._names.setdefault  # the same few names again and again
        fixes = tuple((one(p.name, p.name), p.installed, p.fixed, p.ecosystem) for p in finding.packages)
        return Open(finding.severity, ruling.rule, finding.places, fixes)


def _as_ruled(finding: Finding, ruling: FindingRuling) -> Finding:
    """The finding with the severity that the ruling is about."""
    worst = finding.at_its_worst
    return worst if worst and ruling.rule == f"findings.{worst.severity.lower()}" else finding


_ORDER = {severity: rank for rank, severity in enumerate(Severity)}


def worse(one: Severity | None, other: Severity | None) -> Severity | None:
    """The graver of two; CRITICAL is first in the order of definition, UNDEFINED last."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other, key=_ORDER.__getitem__)
