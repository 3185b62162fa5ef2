"""Judge a stored decision again: with another policy, with other waivers, or to check it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from imagegate.errors import CorruptContentError, RecordNotFoundError
from imagegate.findings.scan import WaitOutcome
from imagegate.gate import findings_record
from imagegate.gate.decision_record import Decision, scan_status
from imagegate.gate.evaluation import Baseline, EvaluationResult, ImageEvaluation
from imagegate.gate.facts import BaseImage, ImageFacts
from imagegate.gate.finding_rules import Clock
from imagegate.gate.remediation import Rebuild
from imagegate.oci.image import Digest
from imagegate.policy.waiver import Waiver
from imagegate.workflow.examination.stored_findings import places_of

if TYPE_CHECKING:
    from imagegate.findings.finding import Place, Versions
    from imagegate.policy.policy import Policy, Stage
    from imagegate.ports.records import StoredRecords


@dataclass(frozen=True, slots=True)
class Replay:
    records: StoredRecords
    versions: Versions

    def run(
        self, decision: Decision, policy: Policy, stage: Stage, grants: Sequence[Waiver], now: datetime
    ) -> EvaluationResult:
        """Judge the decision's findings and facts. Raises `RecordNotFoundError` if they were not kept."""
        if decision.facts is None:
            raise RecordNotFoundError(f"{decision.image}: judged before findings were kept")
        evaluation = ImageEvaluation(
            policy,
            stage,
            _facts(decision),
            now,
            grants=grants,
            clocks=self._clocks(decision),
            baseline=self._baseline(decision),
            versions=self.versions,
        )
        for scan in decision.scans:
            lines = self._lines(scan.get("findings"))
            evaluation.read_scan(scan_status(scan), (finding for finding, _ in lines), scan["platform"])
        return evaluation.decide(
            WaitOutcome(decision.waited), decision.why_never, lambda: self._rebuild(decision)
        )

    def same(self, decision: Decision) -> EvaluationResult:
        """Judge it with the same policy and waivers, at the same time."""
        policy = self.records.policy(decision.policy)
        grants = [Waiver.from_json(raw) for raw in decision.grants]
        return self.run(decision, policy, policy.stages[decision.stage], grants, decision.judged_at)

    def again(self, decision: Decision) -> Decision:
        """Return the record of the second judgement, which has the same bytes if the first one was right."""
        result = self.same(decision)
        kept = [scan.get("findings") for scan in decision.scans]
        return decision.of(
            result, [self._named(*each) for each in zip(kept, result.packed_findings, strict=True)]
        )

    def _named(self, kept: str | None, packed: bytes | None) -> Digest | None:
        """Return the digest of the stored findings if they are the same: packers may write other bytes."""
        if packed is None:
            return None
        if kept is not None:
            lines = [line for _, line in self._lines(kept)]
            if lines == [line for _, line in findings_record.read(packed)]:
                return Digest.parse(kept)
        return Digest.of(packed)

    def _rebuild(self, decision: Decision) -> Rebuild | None:
        if decision.newer_base is None:
            return None
        newer = BaseImage.from_json(decision.newer_base)
        base = next(platform.base for platform in _facts(decision).platforms if platform.base)
        try:
            gone = places_of(self.records, base.decision) - places_of(self.records, newer.decision)
        except RecordNotFoundError:
            return None
        return Rebuild(base, newer, gone)

    def _lines(self, digest: str | None) -> findings_record.Lines:
        return findings_record.read(self.records.findings(Digest.parse(digest))) if digest else iter(())

    def _clocks(self, decision: Decision) -> dict[Place, Clock]:
        """Return the clocks of that time. A finding without one counts as first seen then."""
        clocks: dict[Place, Clock] = {}
        for scan in decision.scans:
            for finding, line in self._lines(scan.get("findings")):
                fresh = Clock(decision.judged_at, decision.judged_at if finding.fixable else None)
                kept = findings_record.clocks_of(finding, line)
                clocks |= {place: kept.get(place, fresh) for place in finding.places}
        return clocks

    def _baseline(self, decision: Decision) -> Baseline | None:
        if decision.baseline is None:
            return None
        try:
            places = places_of(self.records, Digest.parse(decision.baseline["decision"]))
        except RecordNotFoundError:
            return None
        origin = {name: decision.baseline[name] for name in ("digest", "decision")}
        return Baseline(str(decision.baseline["against"]), places, origin)


def _facts(decision: Decision) -> ImageFacts:
    try:
        return ImageFacts.from_json(decision.facts)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptContentError(f"{decision.image}: its facts cannot be read: {error!r}") from error
