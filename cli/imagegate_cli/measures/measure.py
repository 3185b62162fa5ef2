"""The measures of a period. Each says what it counts, and is not known where nothing was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from imagegate.oci.image import ImageRef
from imagegate.ports.ledger import ReleaseLists, Releases, Rollbacks
from imagegate.ports.risks import PastRisks
from imagegate.release.release import Outcome, Release, StartReason
from imagegate_cli.durations import span
from imagegate_cli.measures.durations import DurationCounts

if TYPE_CHECKING:
    from imagegate.policy.policy import Policy
    from imagegate.risk.past import PastRisk

_SCAN_RULES = "scan."


@dataclass(frozen=True, slots=True)
class Measure:
    """One number: a share from 0 to 1, seconds, or a count. Without `value` it is not known. `number`: its releases."""

    name: str
    stage: str
    unit: str  # share, seconds, releases, findings
    value: float | None
    number: int
    of: int | None = None

    @property
    def row(self) -> tuple[str, ...]:
        counted = f"{self.number} of {self.of}" if self.of is not None else str(self.number)
        return (self.name, self.stage, self._value, counted)

    @property
    def _value(self) -> str:
        if self.value is None:
            return "not known"
        if self.unit == "seconds":
            return span(self.value)
        if self.unit == "findings":
            return f"{self.value:.1f}"
        return f"{self.value:.1%}" if self.unit == "share" else f"{self.value:.0f}"

    def as_json(self) -> dict[str, Any]:
        return {
            "measure": self.name,
            "stage": self.stage,
            "unit": self.unit,
            "value": self.value,
            "counted": self.number,
            "of": self.of,
        }


@dataclass
class WeekCounts:
    """The CRITICAL findings of the images that were released in one week, as they were judged."""

    released: int = 0
    known: int = 0
    criticals: int = 0

    def add(self, criticals: int | None) -> None:
        self.released += 1
        if criticals is not None:
            self.known += 1
            self.criticals += criticals

    @property
    def average(self) -> float | None:
        return self.criticals / self.known if self.known else None


@dataclass
class _StageCounts:
    """The counts of one stage: flat memory for any number of attempts."""

    outcomes: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    scanned: int = 0
    signed: int = 0
    weeks: dict[date, WeekCounts] = field(default_factory=dict)
    to_verdict: DurationCounts = field(default_factory=DurationCounts)
    to_end: DurationCounts = field(default_factory=DurationCounts)
    to_promotion: DurationCounts = field(default_factory=DurationCounts)
    to_rollback: DurationCounts = field(default_factory=DurationCounts)
    rollbacks: int = 0
    to_fix: DurationCounts = field(default_factory=DurationCounts)
    risks: DurationCounts = field(default_factory=DurationCounts)

    def add(self, release: Release) -> None:
        self.outcomes[str(release.outcome or "open")] += 1
        if release.verdict is not None:
            self.judged += 1
            self.scanned += not any(reason["rule"].startswith(_SCAN_RULES) for reason in release.reasons)
        if release.judged_at and release.pushed_at and release.reason is StartReason.PUSH:
            self.to_verdict.add((release.judged_at - release.pushed_at).total_seconds())
        if release.outcome is Outcome.RELEASED:
            self.signed += release.signature is not None
            week = release.started_at.date() - timedelta(days=release.started_at.weekday())
            self.weeks.setdefault(week, WeekCounts()).add(release.criticals)
        if release.closed_at and release.pushed_at:
            seconds = (release.closed_at - release.pushed_at).total_seconds()
            if release.outcome in (Outcome.RELEASED, Outcome.BLOCKED, Outcome.HELD):
                self.to_end.add(seconds)
            if release.promotion is not None and release.outcome is Outcome.RELEASED:
                self.to_promotion.add(seconds)

    def add_risk(self, risk: PastRisk) -> None:
        """Count a risk that is over."""
        self.risks.add((risk.over_at - risk.since).total_seconds())
        if (seconds := risk.fix_seconds) is not None:
            self.to_fix.add(seconds)

    def measures(self, stage: str) -> Iterator[Measure]:
        closed = self.outcomes.total() - self.outcomes["open"]
        released = self.outcomes[Outcome.RELEASED]
        yield _share("judged on a complete scan", stage, self.scanned, self.judged)
        yield _share("released with a signature of the gate", stage, self.signed, released)
        for outcome, number in sorted(self.outcomes.items()):
            yield Measure(f"attempts: {outcome}", stage, "releases", number, number, self.outcomes.total())
        for week, counts in sorted(self.weeks.items()):
            name = f"criticals of a released image, week of {week}"
            yield Measure(name, stage, "findings", counts.average, counts.known, counts.released)
        yield from _times("push to verdict", stage, self.to_verdict, self.judged)
        yield from _times("push to outcome", stage, self.to_end, closed)
        yield from _times("push to promotion", stage, self.to_promotion, released)
        yield from _times("at risk until over", stage, self.risks, self.risks.number)
        yield from _times("fix known to fix released", stage, self.to_fix, self.risks.number)
        yield from _times("release to its rollback", stage, self.to_rollback, self.rollbacks)


class MeasuredLedger(Releases, ReleaseLists, Rollbacks, PastRisks, Protocol):
    """The parts of the ledger that `measure` uses."""


def measure(
    ledger: MeasuredLedger, policy: Policy, since: datetime, until: datetime, step: Callable[[], None]
) -> list[Measure]:
    """Return the measures of the attempts that began in that time, by stage. `step` is called for each attempt."""
    stages: dict[str, _StageCounts] = {}
    repositories: set[str] = set()
    for release in ledger.recent(since, until):
        stages.setdefault(release.stage, _StageCounts()).add(release)
        repositories.add(release.image.repository)
        step()
    for risk in ledger.past_risks(since, until):
        stages.setdefault(risk.stage, _StageCounts()).add_risk(risk)
    for repository in sorted(repositories):
        stage = policy.stage_of(repository)
        if stage is not None and stage.name in stages:
            _add_rollbacks(ledger, repository, since, stages[stage.name])
    names = sorted(
        stages, key=lambda name: (list(policy.stages).index(name) if name in policy.stages else -1, name)
    )
    return [one for name in names for one in stages[name].measures(name)]


def _add_rollbacks(ledger: MeasuredLedger, repository: str, since: datetime, counts: _StageCounts) -> None:
    for rollback in ledger.rollbacks(repository):
        if rollback.at < since:
            continue
        counts.rollbacks += 1
        replaced = ledger.latest(ImageRef(repository, rollback.came_from))
        if replaced is not None and replaced.closed_at is not None and replaced.closed_at <= rollback.at:
            counts.to_rollback.add((rollback.at - replaced.closed_at).total_seconds())


def _share(name: str, stage: str, number: int, of: int) -> Measure:
    return Measure(name, stage, "share", number / of if of else None, number, of)


def _times(name: str, stage: str, counts: DurationCounts, of: int) -> Iterable[Measure]:
    for title, percent in (("median", 50), ("p90", 90)):
        yield Measure(f"{name}, {title}", stage, "seconds", counts.percentile(percent), counts.number, of)
