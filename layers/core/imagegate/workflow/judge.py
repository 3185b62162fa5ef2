"""Judge Image: examine the image, write the decision record. Nobody else writes one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from imagegate.errors import ImageNotFoundError
from imagegate.evidence.sbom import NOT_ATTACHED_YET
from imagegate.gate.decision_record import Decision
from imagegate.gate.facts import BaseImage
from imagegate.gate.verdict import PlatformScan, VerdictOutcome, attention
from imagegate.grants.break_glass import active_break_glass
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Mode, Stage
from imagegate.ports.grants import Grants
from imagegate.ports.images import Images
from imagegate.ports.ledger import BaseImages, Clocks, RecordedReleases
from imagegate.ports.records import Records
from imagegate.release.release import EcrImage, Ending, Outcome, Release, ReleaseId
from imagegate.workflow.examination.examine import ExaminedImage, ExamineImage, NotYet
from imagegate.workflow.reuse import ReuseVerdict

# The decision record has all of them.
_REMEDIES_TOLD = 20


class Route(StrEnum):
    """Where the state machine goes next."""

    AWAIT = "AWAIT"  # the scan is not over (any more): the image was deleted and pushed again
    LOOK_AGAIN = "LOOK_AGAIN"  # in a while: what is found is not at rest yet
    SIGN = "SIGN"
    PROMOTE = "PROMOTE"
    ANNOUNCE = "ANNOUNCE"


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """What the state machine needs to know: never the findings themselves."""

    route: Route
    outcome: Outcome
    promotes: bool = False
    sbom: bool = False  # what passes is to carry one
    verdict: VerdictOutcome | None = None
    decision: Digest | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "route": str(self.route),
            "outcome": str(self.outcome),
            "promotes": self.promotes,
            "sbom": self.sbom,
            "verdict": self.verdict and str(self.verdict),
            "decision": self.decision and str(self.decision),
        }


class JudgementLedger(RecordedReleases, Clocks, BaseImages, Protocol):
    """The parts of the ledger that `JudgeImage` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeImage:
    """Writes what `examine` finds."""

    examine: ExamineImage
    images: Images
    ledger: JudgementLedger
    records: Records
    grants: Grants

    def run(self, id_: ReleaseId, now: datetime) -> JudgeResult:
        release = self.ledger.get(id_)
        if release.outcome is not None:
            return JudgeResult(Route.ANNOUNCE, release.outcome)
        if release.revoked:
            return JudgeResult(Route.ANNOUNCE, Outcome.BLOCKED)
        try:
            here = self.images.facts(release.image)
            if not release.tags & here.tags:
                return self._ended(release, Outcome.SUPERSEDED)
            return self._judge(release, here, now)
        except ImageNotFoundError:
            return self._ended(release, Outcome.WITHDRAWN)

    def _ended(self, release: Release, outcome: Outcome) -> JudgeResult:
        """Note it: whoever closes the release believes the ledger alone."""
        self.ledger.record(release.id, ending=Ending(outcome, release.changes))
        return JudgeResult(Route.ANNOUNCE, outcome)

    def _judge(self, release: Release, here: EcrImage, now: datetime) -> JudgeResult:
        policy = self.records.policy(release.policy)
        stage = policy.stages[release.stage]
        if digest := ReuseVerdict(ledger=self.ledger, records=self.records).run(release, stage, now):
            return self._passed(release, stage, digest)
        examined = self.examine.run(policy, stage, release, here, now)
        if isinstance(examined, NotYet):
            return self._not_yet(release, examined)
        if examined.found.started_clocks:
            self.ledger.keep_clocks(examined.application, examined.found.started_clocks)
        verdict = examined.found.verdict
        digest = self._record(release, stage, here, examined)
        if verdict.outcome is VerdictOutcome.PASS and stage.name in policy.base_stages:
            for base in _bases(release, examined, digest):
                self.ledger.note_base(base)
        if verdict.outcome is VerdictOutcome.PASS:
            return self._passed(release, stage, digest)
        if examined.facts.ambiguous:
            # Also where a stage only observes: nobody can copy exactly what cannot be read exactly.
            return JudgeResult(Route.ANNOUNCE, Outcome.BLOCKED, False, False, verdict.outcome, digest)
        route, outcome = self._not_passed(stage, release, now)
        return JudgeResult(route, outcome, stage.promotes_to is not None, False, verdict.outcome, digest)

    def _not_yet(self, release: Release, found: NotYet) -> JudgeResult:
        """A first look is remembered here: whoever looks again may be another, and late."""
        if found.clean_since:
            times = {**release.clean_since, **found.clean_since}
            self.ledger.record(release.id, clean_since=times)
        return JudgeResult(Route.LOOK_AGAIN if found.is_over else Route.AWAIT, Outcome.BLOCKED)

    def _passed(self, release: Release, stage: Stage, digest: Digest) -> JudgeResult:
        asks_for_sbom = stage.evidence.sbom is not None
        if asks_for_sbom and release.sbom is None:
            self.ledger.record(release.id, sbom=NOT_ATTACHED_YET)
        promotes = stage.promotes_to is not None
        outcome = VerdictOutcome.PASS
        return JudgeResult(Route.SIGN, Outcome.RELEASED, promotes, asks_for_sbom, outcome, digest)

    def _not_passed(self, stage: Stage, release: Release, now: datetime) -> tuple[Route, Outcome]:
        if stage.mode is Mode.OBSERVE:
            return Route.PROMOTE, Outcome.RELEASED
        glass = active_break_glass(self.grants.broken_glass(), release.image, now)
        if glass is None:
            return Route.ANNOUNCE, Outcome.BLOCKED
        self.ledger.record(release.id, break_glass=str(glass))
        return Route.PROMOTE, Outcome.RELEASED

    def _record(self, release: Release, stage: Stage, here: EcrImage, examined: ExaminedImage) -> Digest:
        found = examined.found
        packed = [
            self.records.put_findings(content) if content else None for content in found.packed_findings
        ]
        decision = self._begun(release, stage, here, examined).of(found, packed)
        if decision.waivers_record is not None:
            self.records.put_waivers(decision.waivers_record)
        digest = self.records.put_decision(decision.encode())
        self.ledger.record(
            release.id,
            verdict=str(decision.verdict),
            attention=str(attention(stage, found.verdict)),
            reasons=decision.reasons,
            remedies=found.remedies.texts[:_REMEDIES_TOLD],
            decision=digest,
            platforms=_children(release.image, found.scans),
            ending=None,
            break_glass="",
        )
        return digest

    def _begun(self, release: Release, stage: Stage, here: EcrImage, examined: ExaminedImage) -> Decision:
        """Return what was judged, before it is said how. A manifest that cannot be read has no size."""
        is_read = not examined.facts.ambiguous
        subject = self.images.manifest(release.image).descriptor if is_read else None
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
    """What others may be built on from now on: each platform with its own chain of layers."""
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


def _children(image: ImageRef, scans: Sequence[PlatformScan]) -> tuple[Digest, ...]:
    """The platforms of an index; a single-platform image has none beside itself."""
    return tuple(scan.status.image for scan in scans if scan.status.image != image.digest)
