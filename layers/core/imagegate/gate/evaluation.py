"""Judging from beginning to end, over findings that come one by one: weigh, pack, decide, say what would help.

The same code judges in the pipeline, on the command line and when a record is judged again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from imagegate.findings.comparison import Versions
from imagegate.findings.finding import Finding, Place
from imagegate.findings.scan import ScanStatus, Waited
from imagegate.gate.facts import ImageFacts
from imagegate.gate.finding_rules import Clock, Terms
from imagegate.gate.findings_record import FindingsWriter
from imagegate.gate.remediation import Rebuild, Remedies, remedies
from imagegate.gate.tally import FindingTallier, FindingTally
from imagegate.gate.verdict import Case, PlatformScan, Verdict, VerdictOutcome, judge
from imagegate.policy.policy import Policy, Stage
from imagegate.policy.waiver import Waiver, Waivers


@dataclass(frozen=True, slots=True)
class Baseline:
    """The image released into the next stage, and what it has."""

    name: str
    places: frozenset[Place]
    origin: Mapping[str, Any] = field(default_factory=dict)  # repository, digest, decision


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """A verdict with what it rests on."""

    verdict: Verdict
    scans: tuple[PlatformScan, ...]
    packed: tuple[bytes | None, ...]  # the findings of each platform, as they are kept
    used: tuple[Waiver, ...]
    remedies: Remedies
    delta: dict[str, Any] | None
    rebuild: Rebuild | None
    started: Mapping[Place, Clock]  # clocks that have to be kept


class PlatformScanReader:
    """The findings of one platform while they come in: weighed and packed one by one."""

    def __init__(self, status: ScanStatus, weigher: FindingTallier, platform: str | None) -> None:
        self.status, self.weigher, self.platform = status, weigher, platform
        self.weighed = FindingTally()
        self.is_settled = False  # the scan said the same before and after its findings were read
        self._writer = FindingsWriter()

    def add(self, finding: Finding) -> None:
        rulings = self.weigher.add(self.weighed, finding)
        terms = self.weigher.terms
        clocks: dict[Place, Clock] = {}
        if finding.severity in terms.timed:
            clocks = {place: terms.clock(finding, place) for place in finding.places}
        self._writer.add(finding, rulings, clocks, terms.base_layers)

    @property
    def is_complete(self) -> bool:
        """As many were read as the scan announces."""
        return self.weighed.all.counts == dict(self.status.counts)

    def pack(self) -> bytes | None:
        """None: the scan gave no findings at all, because there is no result or because it is clean."""
        return self._writer.finish() if self._writer.number else None


class ImageEvaluation:
    """One image, one stage, one moment. Platforms are weighed one after the other, then all is decided."""

    def __init__(
        self,
        policy: Policy,
        stage: Stage,
        facts: ImageFacts,
        now: datetime,
        *,
        grants: Sequence[Waiver] = (),
        clocks: Mapping[Place, Clock] | None = None,
        baseline: Baseline | None = None,
        versions: Versions | None = None,
    ) -> None:
        digests = [facts.image.digest, *(platform.digest for platform in facts.platforms)]
        waivers = [*policy.waivers, *grants]
        self.stage, self.facts, self.now = stage, facts, now
        self.waivers = Waivers(waivers, policy.waiver_terms, facts.image.repository, digests, now)
        self._timed = policy.timed
        self._entrances = policy.entrances(facts.image.repository)
        self._baseline = baseline
        self._clocks = dict(clocks or {})
        self._versions = versions
        self._scans: list[PlatformScan] = []
        self._packed: list[bytes | None] = []
        self._started: dict[Place, Clock] = {}

    def begin(self, status: ScanStatus, platform: str | None = None) -> PlatformScanReader:
        """Begin with one platform; it counts once it is accepted."""
        facts = self.facts.of(status.image)
        terms = Terms(
            rules=self.stage.findings,
            waivers=self.waivers.view(status.image),
            now=self.now,
            clocks=self._clocks,
            baseline=self._baseline.places if self._baseline else None,
            base_layers=facts.base_layers if facts else frozenset(),
            timed=self._timed,
            satisfies=self._versions.satisfies if self._versions else None,
        )
        return PlatformScanReader(status, FindingTallier(terms), platform)

    def accept(self, reading: PlatformScanReader) -> None:
        """Its findings are complete, or are known to be incomplete: this is what is judged."""
        self.waivers.note(reading.weigher.terms.waivers)
        self._started |= reading.weigher.started
        self._clocks |= reading.weigher.started
        self._scans.append(PlatformScan(reading.status, reading.weighed, reading.platform))
        self._packed.append(reading.pack())

    def read(self, status: ScanStatus, findings: Iterable[Finding], platform: str | None = None) -> None:
        """Begin, read all of the findings, accept."""
        reading = self.begin(status, platform)
        for finding in findings:
            reading.add(finding)
        self.accept(reading)

    def decide(
        self,
        waited: Waited = Waited.READY,
        why_never: str = "",
        rebuild: Callable[[], Rebuild | None] = lambda: None,
    ) -> EvaluationResult:
        """`rebuild` is asked only where something stands in the way."""
        case = Case(
            self.stage,
            self._scans,
            self.facts,
            self.waivers,
            self.now,
            waited,
            why_never,
            self._entrances,
        )
        verdict = judge(case)
        newer = None if verdict.outcome is VerdictOutcome.PASS else rebuild()
        return EvaluationResult(
            verdict=verdict,
            scans=tuple(self._scans),
            packed=tuple(self._packed),
            used=tuple(self.waivers.used),
            remedies=self._remedies(verdict, newer),
            delta=self._delta(),
            rebuild=newer,
            started=self._started,
        )

    def _remedies(self, verdict: Verdict, rebuild: Rebuild | None) -> Remedies:
        if verdict.outcome is VerdictOutcome.PASS:
            return Remedies()
        return remedies(self.stage, self._scans, self._later, rebuild)

    def _later(self, one: str, other: str, ecosystem: str | None) -> str | None:
        return self._versions.later(one, other, ecosystem) if self._versions else None

    def _delta(self) -> dict[str, Any] | None:
        """What is there now and was not in the image released into the next stage, and the other way round."""
        if self._baseline is None:
            return None
        weighed = [scan.weighed for scan in self._scans]
        still = set[Place]().union(*(one.still_there for one in weighed))
        gone = sorted(self._baseline.places - still)
        return {
            "against": self._baseline.name,
            **self._baseline.origin,
            "added": max((one.added for one in weighed), default=0),
            "addedExamples": list(dict.fromkeys(text for one in weighed for text in one.added_examples)),
            "removed": len(gone),
            "removedExamples": [_name(place) for place in gone[:_EXAMPLES]],
        }


_EXAMPLES = 5


def _name(place: Place) -> str:
    vulnerability, package = place
    return f"{vulnerability} ({package})" if package else vulnerability
