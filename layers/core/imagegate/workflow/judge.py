"""Judge Image: examine the image, and write the decision record. No other step writes one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from imagegate.errors import ImageNotFoundError
from imagegate.evidence.sbom import NOT_ATTACHED_YET
from imagegate.findings.finding import Severity
from imagegate.findings.scan import Readiness
from imagegate.gate.decision_record import Decision
from imagegate.gate.facts import BaseImage
from imagegate.gate.verdict import PlatformScan, VerdictOutcome, attention
from imagegate.grants.break_glass import active_break_glass
from imagegate.policy.policy import Mode, Stage
from imagegate.ports.ledger import BaseImages, Clocks, RecordedReleases
from imagegate.ports.risks import Vulnerabilities
from imagegate.release.release import EcrImage, Ending, Outcome, Release, ReleaseId
from imagegate.text import fit_texts
from imagegate.workflow.examination.looks import NotYet
from imagegate.workflow.reuse import ReuseVerdict

if TYPE_CHECKING:
    from imagegate.oci.image import Digest, ImageRef
    from imagegate.policy.policy import Policy
    from imagegate.ports.grants import Grants
    from imagegate.ports.images import Images
    from imagegate.ports.records import Records
    from imagegate.workflow.examination.examine import ExaminedImage, ExamineImage

# The most remedies in a message; the decision record has all.
_MOST_REMEDIES = 20


class JudgeRoute(StrEnum):
    """The next state of the state machine."""

    AWAIT = "AWAIT"  # the scan is not over, or began again: the image was deleted and pushed again
    LOOK_AGAIN = "LOOK_AGAIN"  # in a while: the findings are still changing
    SIGN = "SIGN"
    PROMOTE = "PROMOTE"
    ANNOUNCE = "ANNOUNCE"


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """The part of the verdict that the state machine needs. The findings are in the records."""

    route: JudgeRoute
    outcome: Outcome
    promotes: bool = False
    sbom: bool = False  # the stage wants an SBOM
    verdict: VerdictOutcome | None = None
    decision: Digest | None = None
    release: Release | None = None  # with what was recorded; not for the state machine

    def as_json(self) -> dict[str, Any]:
        return {
            "route": str(self.route),
            "outcome": str(self.outcome),
            "promotes": self.promotes,
            "sbom": self.sbom,
            "verdict": self.verdict and str(self.verdict),
            "decision": self.decision and str(self.decision),
        }


class JudgementLedger(RecordedReleases, Clocks, BaseImages, Vulnerabilities, Protocol):
    """The parts of the ledger that `JudgeImage` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeImage:
    """Judges releases. `examine` reads; this step writes."""

    examine: ExamineImage
    images: Images
    ledger: JudgementLedger
    records: Records
    grants: Grants

    def run(self, id_: ReleaseId, now: datetime) -> JudgeResult:
        """Judge the image, record the decision in the ledger, and return what to do next."""
        release = self.ledger.get(id_)
        result = self._route(release, now)
        return result if result.release else replace(result, release=release)

    def _route(self, release: Release, now: datetime) -> JudgeResult:
        if release.outcome is not None:
            return JudgeResult(JudgeRoute.ANNOUNCE, release.outcome)
        if release.revoked:
            return JudgeResult(JudgeRoute.ANNOUNCE, Outcome.BLOCKED)
        try:
            here = self.images.facts(release.image)
            if not release.tags & here.tags:
                return self._end(release, Outcome.SUPERSEDED)
            return self._judge(release, here, now)
        except ImageNotFoundError:
            return self._end(release, Outcome.WITHDRAWN)

    def _end(self, release: Release, outcome: Outcome) -> JudgeResult:
        """Record the ending: Announce closes a release only with an outcome that the ledger has."""
        self.ledger.record(release.id, ending=Ending(outcome, release.changes))
        return JudgeResult(JudgeRoute.ANNOUNCE, outcome)

    def _judge(self, release: Release, here: EcrImage, now: datetime) -> JudgeResult:
        policy = self.records.policy(release.policy)
        stage = policy.stages[release.stage]
        if digest := ReuseVerdict(ledger=self.ledger, records=self.records).run(release, stage, now):
            return self._pass(release, stage, digest)
        examined = self.examine.run(policy, stage, release, here, now)
        if isinstance(examined, NotYet):
            return self._not_yet(release, examined)
        if examined.found.started_clocks:
            self.ledger.keep_clocks(examined.application, examined.found.started_clocks)
        self.ledger.note_vulnerabilities(examined.application, examined.found.vulnerabilities)
        release = self._record(release, policy, here, examined)
        return replace(self._conclude(policy, stage, release, examined, now), release=release)

    def _conclude(
        self, policy: Policy, stage: Stage, release: Release, examined: ExaminedImage, now: datetime
    ) -> JudgeResult:
        """Return the next step of a release whose decision is recorded; note an image that others may be built on."""
        verdict, digest = examined.found.verdict, release.decision
        assert digest is not None
        if verdict.outcome is VerdictOutcome.PASS and stage.name in policy.base_stages:
            for base in _bases(release, examined, digest):
                self.ledger.note_base(base)
        if verdict.outcome is VerdictOutcome.PASS:
            return self._pass(release, stage, digest)
        if examined.facts.ambiguous:
            # Also if the stage only observes: an image that can be read in two ways cannot be copied exactly.
            return JudgeResult(JudgeRoute.ANNOUNCE, Outcome.BLOCKED, False, False, verdict.outcome, digest)
        route, outcome = self._fail(stage, release, now)
        return JudgeResult(route, outcome, stage.promotes_to is not None, False, verdict.outcome, digest)

    def _not_yet(self, release: Release, not_yet: NotYet) -> JudgeResult:
        """Return the route to another look. When a platform was first seen without findings is kept in the ledger."""
        if not_yet.clean_since:
            times = {**release.clean_since, **not_yet.clean_since}
            self.ledger.record(release.id, clean_since=times)
        return JudgeResult(JudgeRoute.LOOK_AGAIN if not_yet.is_over else JudgeRoute.AWAIT, Outcome.BLOCKED)

    def _pass(self, release: Release, stage: Stage, digest: Digest) -> JudgeResult:
        wants_sbom = stage.evidence.sbom is not None
        if wants_sbom and release.sbom is None:
            self.ledger.record(release.id, sbom=NOT_ATTACHED_YET)
        promotes = stage.promotes_to is not None
        outcome = VerdictOutcome.PASS
        return JudgeResult(JudgeRoute.SIGN, Outcome.RELEASED, promotes, wants_sbom, outcome, digest)

    def _fail(self, stage: Stage, release: Release, now: datetime) -> tuple[JudgeRoute, Outcome]:
        if stage.mode is Mode.OBSERVE:
            return JudgeRoute.PROMOTE, Outcome.RELEASED
        glass = active_break_glass(self.grants.broken_glass(), release.image, now)
        if glass is None:
            return JudgeRoute.ANNOUNCE, Outcome.BLOCKED
        self.ledger.record(release.id, break_glass=str(glass))
        return JudgeRoute.PROMOTE, Outcome.RELEASED

    def _record(self, release: Release, policy: Policy, here: EcrImage, examined: ExaminedImage) -> Release:
        found, stage = examined.found, policy.stages[release.stage]
        packed = [
            self.records.put_findings(content) if content else None for content in found.packed_findings
        ]
        decision = self._new_record(release, stage, here, examined).of(found, packed)
        if decision.waivers_record is not None:
            self.records.put_waivers(decision.waivers_record)
        digest = self.records.put_decision(decision.encode())
        return self.ledger.record(
            release.id,
            judged_at=examined.now,
            criticals=_criticals(found.scans),
            verdict=str(decision.verdict),
            attention=str(attention(stage, found.verdict)),
            reasons=decision.short_reasons,
            remedies=fit_texts(found.advice(release.image.repository, policy.waiver_terms)[:_MOST_REMEDIES]),
            decision=digest,
            platforms=_platforms(release.image, found.scans),
            ending=None,
            break_glass="",
        )

    def _new_record(
        self, release: Release, stage: Stage, here: EcrImage, examined: ExaminedImage
    ) -> Decision:
        """Return the record without its verdict. A manifest that cannot be read has no size."""
        subject = examined.subject
        return Decision(
            registry=self.images.registry,
            image=release.image,
            media_type=subject.media_type if subject else here.media_type,
            size=subject.size if subject else 0,
            attempt=release.attempt,
            stage=stage.name,
            mode=stage.mode,
            policy=release.policy,
            verdict=VerdictOutcome.ERROR,
            judged_at=examined.now,
            waited=str(examined.wait.ended),
            why_never=examined.wait.why,
            facts=examined.facts.as_json(),
            grants=[waiver.as_json() for waiver in examined.grants],
        )


def _bases(release: Release, examined: ExaminedImage, decision: Digest) -> Iterator[BaseImage]:
    """Yield each platform as a base image that other images may be built on, by its chain of layers."""
    for platform in examined.facts.platforms:
        if platform.config and platform.config.diff_ids:
            yield BaseImage(
                image=release.image,
                stage=release.stage,
                chain_id=platform.config.chain_ids[-1],
                layers=len(platform.config.diff_ids),
                released_at=examined.now,
                decision=decision,
                tags=tuple(sorted(release.tags)),
            )


def _criticals(scans: Sequence[PlatformScan]) -> int | None:
    """Return the CRITICAL findings of the worst platform, or None if not all platforms have a result."""
    if not scans or any(scan.status.readiness is not Readiness.READY for scan in scans):
        return None
    return max(scan.tally.all.counts.get(Severity.CRITICAL, 0) for scan in scans)


def _platforms(image: ImageRef, scans: Sequence[PlatformScan]) -> tuple[Digest, ...]:
    """Return the platforms of an index; none for a single-platform image."""
    return tuple(scan.status.image for scan in scans if scan.status.image != image.digest)
