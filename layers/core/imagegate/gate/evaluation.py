"""The evaluation of one image at one gate: rule on each finding, keep it, decide, and name the remedies.

The pipeline, the command line and the replay of a record all use it. Findings come one by one, so that memory stays
small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imagegate.findings.finding import Finding, Place, Versions
from imagegate.findings.scan import ScanStatus, WaitOutcome
from imagegate.gate.finding_rules import Clock, FindingEvaluator, Terms
from imagegate.gate.findings_record import FindingsWriter
from imagegate.gate.last_remedies import waiver_commands
from imagegate.gate.remediation import Rebuild, Remedies, remedies
from imagegate.gate.tally import FindingTally, StartedClocks
from imagegate.gate.verdict import Case, PlatformScan, Verdict, VerdictOutcome, judge
from imagegate.policy.waiver import Waiver, Waivers, WaiverTerms

if TYPE_CHECKING:
    from imagegate.gate.facts import ImageFacts
    from imagegate.policy.policy import Policy, Stage

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Baseline:
    """The image released into the next stage, and the places of its findings."""

    name: str
    places: frozenset[Place]
    origin: Mapping[str, Any] = field(default_factory=dict)  # repository, digest, decision


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """A verdict, and all that it rests on."""

    verdict: Verdict
    scans: tuple[PlatformScan, ...]
    packed_findings: tuple[bytes | None, ...]  # of each platform, for its findings record
    used_waivers: tuple[Waiver, ...]
    remedies: Remedies
    delta: dict[str, Any] | None  # the difference to the baseline; None: there is no baseline
    rebuild: Rebuild | None
    started_clocks: Mapping[Place, Clock]  # to be stored
    vulnerabilities: Sequence[str]  # all names of all findings, also of those that do not count, and repeated

    @property
    def image_advice(self) -> tuple[str, ...]:
        """The advice of the reasons that block, each once: what to change about the image itself."""
        return tuple(dict.fromkeys(reason.advice for reason in self.verdict.blocking if reason.advice))

    def advice(self, repository: str, terms: WaiverTerms) -> tuple[str, ...]:
        """Return sentences for people, in the order to do them: about the image, about its findings, then waivers.

        `repository`: of the image, for commands.
        """
        waivers = waiver_commands(self.remedies.to_waive, repository, terms)
        return (*self.image_advice, *self.remedies.texts, *waivers)


class PlatformScanReader:
    """The reading of one platform's scan: each finding is ruled on, added to the tally and packed."""

    def __init__(self, status: ScanStatus, terms: Terms, platform: str | None) -> None:
        self.status, self.terms, self.platform = status, terms, platform
        self.evaluator = FindingEvaluator(terms)
        self.tally = FindingTally(terms.baseline)
        self.clocks = StartedClocks(terms)
        self.vulnerabilities: list[str] = []  # no set: with 100,000 findings that has 4 MB more
        self.is_settled = False  # the scan's status was the same before and after its findings were read
        self._writer = FindingsWriter()

    def add(self, finding: Finding) -> None:
        """Rule on the next finding of the scan, count it and pack it."""
        self.vulnerabilities += finding.names
        rulings = self.evaluator.evaluate(finding)
        self.tally.add(finding, rulings)
        self._writer.add(finding, rulings, self.clocks.add(finding), self.terms.base_layers)

    @property
    def is_complete(self) -> bool:
        """True if as many findings were read as the scan announces."""
        return self.tally.all.counts == dict(self.status.counts)

    def pack(self) -> bytes | None:
        """Return the packed findings, or None if the scan has no result or no findings."""
        return self._writer.finish() if self._writer.number else None


class ImageEvaluation:
    """The evaluation of one image at one stage at one moment: first each platform's scan, then the verdict.

    Scans are read by `open_scan` and taken in by `accept_scan`; a reader that is not accepted leaves no trace.
    """

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
        self._clocks = clocks or {}
        self._versions = versions
        self._scans: list[PlatformScan] = []
        self._packed: list[bytes | None] = []
        self._started: dict[Place, Clock] = {}
        self._vulnerabilities: list[str] = []

    def open_scan(self, status: ScanStatus, platform: str | None = None) -> PlatformScanReader:
        """Return a reader for the scan of one platform. Its findings count once the reader is accepted."""
        facts = self.facts.of(status.image)
        terms = Terms(
            rules=self.stage.findings,
            waivers=self.waivers.view(status.image),
            now=self.now,
            clocks={**self._clocks, **self._started} if self._started else self._clocks,
            baseline=self._baseline.places if self._baseline else None,
            base_layers=facts.base_layers if facts else frozenset(),
            timed=self._timed,
            satisfies=self._versions.satisfies if self._versions else None,
        )
        return PlatformScanReader(status, terms, platform)

    def accept_scan(self, reader: PlatformScanReader) -> None:
        """Take in the findings of one platform; they are complete, or are known to be incomplete."""
        self.waivers.note(reader.terms.waivers)
        self._vulnerabilities += reader.vulnerabilities
        # The clocks of an only scan are not copied: an image can have 100,000 findings.
        started = reader.clocks.started
        self._started = {**self._started, **started} if self._started else started
        self._scans.append(PlatformScan(reader.status, reader.tally, reader.platform))
        self._packed.append(reader.pack())

    def read_scan(self, status: ScanStatus, findings: Iterable[Finding], platform: str | None = None) -> None:
        """Open the scan of one platform, read all of its findings and accept it."""
        reader = self.open_scan(status, platform)
        for finding in findings:
            reader.add(finding)
        self.accept_scan(reader)

    def decide(
        self,
        waited: WaitOutcome = WaitOutcome.READY,
        why_never: str = "",
        rebuild: Callable[[], Rebuild | None] = lambda: None,
    ) -> EvaluationResult:
        """Return the verdict with all that it rests on. `rebuild` is called only if the image does not pass."""
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
        newer_base = None if verdict.outcome is VerdictOutcome.PASS else rebuild()
        return EvaluationResult(
            verdict=verdict,
            scans=tuple(self._scans),
            packed_findings=tuple(self._packed),
            used_waivers=tuple(self.waivers.used),
            remedies=self._remedies(verdict, newer_base),
            delta=self._delta(),
            rebuild=newer_base,
            started_clocks=self._started,
            vulnerabilities=self._vulnerabilities,
        )

    def _remedies(self, verdict: Verdict, rebuild: Rebuild | None) -> Remedies:
        if verdict.outcome is VerdictOutcome.PASS:
            return Remedies()
        return remedies(self.stage, self._scans, self._later, rebuild)

    def _later(self, one: str, other: str, ecosystem: str | None) -> str | None:
        return self._versions.later(one, other, ecosystem) if self._versions else None

    def _delta(self) -> dict[str, Any] | None:
        """Return the findings added and removed since the baseline, or None if there is no baseline."""
        if self._baseline is None:
            return None
        tallies = [scan.tally for scan in self._scans]
        remaining = set[Place]().union(*(tally.still_there for tally in tallies))
        removed = sorted(self._baseline.places - remaining)
        return {
            "against": self._baseline.name,
            **self._baseline.origin,
            "added": max((tally.added for tally in tallies), default=0),
            "addedExamples": list(dict.fromkeys(text for tally in tallies for text in tally.added_examples)),
            "removed": len(removed),
            "removedExamples": [_place_text(place) for place in removed[:_EXAMPLES]],
        }


def _place_text(place: Place) -> str:
    vulnerability, package = place
    return f"{vulnerability} ({package})" if package else vulnerability
