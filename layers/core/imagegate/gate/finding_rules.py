"""Rulings: whether a finding counts against an image, by each rule about findings.

Rules: each finding is ruled on by itself, so one more finding never makes another count less. A fact that a rule needs
and that the scanner does not give is unknown, and an unknown fact may block but never makes a finding pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from imagegate.canonical_json import timestamp
from imagegate.policy.rules import DENIED, PROHIBITED, FindingRules, GraceStart, active

if TYPE_CHECKING:
    from imagegate.findings.finding import Finding, Package, Place, Satisfies, Severity
    from imagegate.policy.waiver import Waiver, Waivers


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a vulnerability in a package: when a gate first saw it in the application, and a fix for it."""

    seen_at: datetime
    fix_seen_at: datetime | None = None


class RulingReason(StrEnum):
    """The reason of a ruling: why a finding counts or does not count."""

    COUNTS = "counts"
    UNKNOWN = "unknown"  # it counts, because a fact that could set it aside is missing
    DENIED = "denied"
    PROHIBITED = "prohibited"
    WAIVED = "waived"
    GRACE = "grace"
    NO_FIX = "no fix"
    NOT_WORSE = "not worse"
    NO_LIMIT = "no limit"


# The reasons of rulings by which a finding counts against the image.
_COUNTING = (RulingReason.COUNTS, RulingReason.UNKNOWN, RulingReason.DENIED, RulingReason.PROHIBITED)


@dataclass(frozen=True, slots=True)
class FindingRuling:
    """The ruling of one rule on one finding: whether it counts, and why."""

    rule: str
    reason: RulingReason
    until: str | None = None  # a time or a day
    waiver: str | None = None  # its id
    missing: tuple[str, ...] = ()  # the facts that the scanner does not give

    @property
    def holds(self) -> bool:
        """True if the finding counts against the image."""
        return self.reason in _COUNTING

    def as_json(self) -> dict[str, Any]:
        given: dict[str, Any] = {"rule": self.rule, "why": str(self.reason)}
        if self.until:
            given["until"] = self.until
        if self.waiver:
            given["waiver"] = self.waiver
        if self.missing:
            given["missing"] = list(self.missing)
        return given


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms that the findings of one image are ruled on by."""

    rules: FindingRules
    waivers: Waivers
    now: datetime
    clocks: Mapping[Place, Clock] = field(default_factory=dict)
    baseline: frozenset[Place] | None = (
        None  # places of the image released into the next stage; None: there is none
    )
    base_layers: frozenset[str] = frozenset()  # digests of the layers that came with the base image
    timed: frozenset[Severity] = (
        frozenset()
    )  # severities whose clocks are stored, for this stage or a later one
    satisfies: Satisfies | None = None

    def clock(self, finding: Finding, place: Place) -> Clock:
        """Return the clock that runs, or the one that starts now."""
        known = self.clocks.get(place)
        fix_seen_at = known.fix_seen_at if known else None
        if fix_seen_at is None and finding.fixable:
            fix_seen_at = self.now
        return Clock(known.seen_at if known else self.now, fix_seen_at)


class FindingEvaluator:
    """Rules on findings, one after the other, by the terms of one gate."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._deny, self._prohibit = active(terms.rules.deny), active(terms.rules.prohibited)

    def evaluate(self, finding: Finding) -> tuple[FindingRuling, ...]:
        """Return one ruling of each rule that is about the finding; the rulings that count come first."""
        single = (self._denied(finding), self._prohibited(finding))
        every = (*single, self._limited_at_worst(finding), self._limited(finding))
        rulings = tuple([ruling for ruling in every if ruling is not None])
        return rulings if len(rulings) == 1 else tuple(sorted(rulings, key=lambda ruling: not ruling.holds))

    def needs_details(self, finding: Finding) -> bool:
        """Return True if Inspector's details (known exploited, EPSS) could change the rulings on the finding."""
        rule = self.terms.rules.no_grace
        lacks_kev = rule.known_exploited and finding.known_exploited is None
        lacks_epss = rule.epss is not None and finding.epss is None
        return (lacks_kev or lacks_epss) and any(ruling.missing for ruling in self._trial.evaluate(finding))

    @cached_property
    def _trial(self) -> FindingEvaluator:
        """An evaluator with a view of the waivers: a waiver that applies there is not noted as used."""
        return FindingEvaluator(replace(self.terms, waivers=self.terms.waivers.view()))

    # rules about single findings

    def _denied(self, finding: Finding) -> FindingRuling | None:
        if self._deny is None or self._deny.value.isdisjoint(finding.names):
            return None
        waiver = self._waiver(finding)
        return _waived(DENIED, waiver) if waiver else FindingRuling(DENIED, RulingReason.DENIED)

    def _prohibited(self, finding: Finding) -> FindingRuling | None:
        if self._prohibit is None:
            return None
        waived: FindingRuling | None = None
        for package in finding.packages:
            for prohibited in self._prohibit.value:
                if not prohibited.names(package):
                    continue
                is_hit = self._is_within(package, prohibited.versions)
                if is_hit is False:
                    continue
                waiver = self.terms.waivers.for_rule(PROHIBITED, package)
                if waiver:
                    waived = _waived(PROHIBITED, waiver)
                elif is_hit:
                    return FindingRuling(PROHIBITED, RulingReason.PROHIBITED)
                else:
                    return FindingRuling(
                        PROHIBITED,
                        RulingReason.UNKNOWN,
                        missing=(f"whether {package} is {prohibited.versions}",),
                    )
        return waived

    def _is_within(self, package: Package, versions: str) -> bool | None:
        if not versions:
            return True
        if package.installed is None or self.terms.satisfies is None:
            return None
        return self.terms.satisfies(package.installed, versions, package.ecosystem)

    # limits, and the filters that set findings aside

    def _limited_at_worst(self, finding: Finding) -> FindingRuling | None:
        """Rule on the worst severity that the finding may have. If it would count there, it is unknown."""
        worst = finding.at_its_worst
        if worst is None or finding.kind in self.terms.rules.max_of_kind:
            return None
        ruling = self._limited(worst)
        if not ruling.holds:
            return None
        missing = (*ruling.missing, f"whether it is {finding.severity} or {worst.severity}")
        return replace(ruling, reason=RulingReason.UNKNOWN, missing=missing)

    def _limited(self, finding: Finding) -> FindingRuling:
        rule, limit = self.terms.rules.limit_for(finding)
        if limit is None:
            return _ruled(rule, RulingReason.NO_LIMIT)
        missing: list[str] = []
        set_aside = self._filtered(rule, finding, missing)
        if set_aside is not None:
            return set_aside
        waiver = self._waiver(finding)
        if waiver is not None:
            return _waived(rule, waiver)
        return (
            FindingRuling(rule, RulingReason.UNKNOWN, missing=tuple(missing))
            if missing
            else _ruled(rule, RulingReason.COUNTS)
        )

    def _filtered(self, rule: str, finding: Finding, missing: list[str]) -> FindingRuling | None:
        """Return the ruling of the first filter that sets the finding aside. Filters are about severities."""
        if finding.kind in self.terms.rules.max_of_kind:
            return None
        set_aside = self._without_fix(rule, finding, missing) or self._not_worse(rule, finding)
        return set_aside or self._in_grace(rule, finding, missing)

    def _without_fix(self, rule: str, finding: Finding, missing: list[str]) -> FindingRuling | None:
        if finding.severity not in self.terms.rules.only_fixable:
            return None
        if finding.fixable is None:
            missing.append("whether there is a fix")
            return None
        return None if finding.fixable else _ruled(rule, RulingReason.NO_FIX)

    def _not_worse(self, rule: str, finding: Finding) -> FindingRuling | None:
        baseline = self.terms.baseline
        if baseline is None or not self.terms.rules.no_worse_than_next:
            return None
        return _ruled(rule, RulingReason.NOT_WORSE) if baseline.issuperset(finding.places) else None

    def _in_grace(self, rule: str, finding: Finding, missing: list[str]) -> FindingRuling | None:
        """Rule on the grace of the finding: the package whose grace ends first decides."""
        grace = self.terms.rules.grace.get(finding.severity)
        if grace is None:
            return None
        ends: list[datetime] = []
        by_fix = self.terms.rules.grace_starts is GraceStart.FIX_AVAILABLE
        if by_fix and finding.fixable is None:
            missing.append("whether there is a fix")
            return None
        for place in finding.places:
            clock = self.terms.clock(finding, place)
            start = clock.fix_seen_at if by_fix else clock.seen_at
            if start is not None:
                ends.append(start + grace)
        end = min(ends, default=None)
        if end is not None and self.terms.now >= end:
            return None
        urgent = self._is_urgent(finding, missing)
        if urgent is not False:
            return None
        return FindingRuling(rule, RulingReason.GRACE, until=timestamp(end) if end else "a fix")

    def _is_urgent(self, finding: Finding, missing: list[str]) -> bool | None:
        """Return True if the finding has no grace, or None if a fact that could say so is missing."""
        rule = self.terms.rules.no_grace
        unknown: list[str] = []
        for is_required, answer, name in (
            (rule.known_exploited, finding.known_exploited, "whether it is known to be exploited (KEV)"),
            (rule.exploit_available, finding.exploit, "whether an exploit is available"),
            (rule.epss is not None, _at_least(finding.epss, rule.epss), "its EPSS"),
        ):
            if is_required and answer:
                return True
            if is_required and answer is None:
                unknown.append(name)
        missing += unknown
        return None if unknown else False

    def _waiver(self, finding: Finding) -> Waiver | None:
        """Return the waiver that expires first if each package of the finding has a waiver that counts, else None."""
        by_package = [self.terms.waivers.for_finding(finding, package) for package in finding.packages]
        waivers = [waiver for waiver in by_package if waiver is not None]
        if not waivers or len(waivers) < len(by_package):
            return None
        return min(waivers, key=lambda waiver: waiver.expires)


def _at_least(value: float | None, limit: float | None) -> bool | None:
    return None if value is None or limit is None else value >= limit


@lru_cache(maxsize=256)  # most findings of an image have one of the same few rulings
def _ruled(rule: str, reason: RulingReason) -> FindingRuling:
    return FindingRuling(rule, reason)


def _waived(rule: str, waiver: Waiver) -> FindingRuling:
    return FindingRuling(rule, RulingReason.WAIVED, until=waiver.expires.isoformat(), waiver=waiver.id)
