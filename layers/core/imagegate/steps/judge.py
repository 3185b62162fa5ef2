"""Judge Image: gather the facts, let the domain decide, write the decision record. Nobody else writes one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from imagegate.domain.decision import Decision, describe_reasons, describe_scan
from imagegate.domain.errors import FindingsChangedError, ImageNotFoundError
from imagegate.domain.finding import Tally
from imagegate.domain.image import Descriptor, Digest, ImageRef, Manifest
from imagegate.domain.policy import Mode, Stage
from imagegate.domain.release import Outcome, Release, ReleaseId
from imagegate.domain.scan import Readiness, Waited
from imagegate.domain.verdict import PlatformScan, Verdict, VerdictOutcome, judge
from imagegate.ports import Images, Ledger, Records, Scans
from imagegate.steps.platforms import platforms

# A scan that is run again while its pages are read gives pages of two scans: read once more.
_READS = 3


class Route(StrEnum):
    """Where the state machine goes next."""

    AWAIT = "AWAIT"  # the scan is not over (any more): the image was deleted and pushed again
    SIGN = "SIGN"
    PROMOTE = "PROMOTE"
    ANNOUNCE = "ANNOUNCE"


@dataclass(frozen=True, slots=True)
class Judged:
    """What the state machine needs to know: never the findings themselves."""

    route: Route
    outcome: Outcome
    seen: int | None = None  # how many changes of the release the outcome covers; None: whatever changed
    promotes: bool = False
    verdict: VerdictOutcome | None = None
    decision: Digest | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "route": str(self.route),
            "outcome": str(self.outcome),
            "seen": self.seen,
            "promotes": self.promotes,
            "verdict": self.verdict and str(self.verdict),
            "decision": self.decision and str(self.decision),
        }


@dataclass(frozen=True, slots=True)
class JudgeImage:
    images: Images
    scans: Scans
    ledger: Ledger
    records: Records

    def run(self, id_: ReleaseId, waited: Waited, why: str, now: datetime) -> Judged:
        release = self.ledger.get(id_)
        if release.outcome is not None:
            return Judged(Route.ANNOUNCE, release.outcome)
        try:
            if not release.tags & self.images.facts(release.image).tags:
                return Judged(Route.ANNOUNCE, Outcome.SUPERSEDED, release.changes)
            return self._judge(release, waited, why, now)
        except ImageNotFoundError:
            return Judged(Route.ANNOUNCE, Outcome.WITHDRAWN, release.changes)

    def _judge(self, release: Release, waited: Waited, why: str, now: datetime) -> Judged:
        policy = self.records.policy(release.policy)
        stage, repository = policy.stages[release.stage], release.image.repository
        manifest = self.images.manifest(release.image)
        scans = [self._read(repository, platform) for platform in platforms(self.images, release.image)]
        if waited is Waited.READY and not all(scan.status.is_final for scan in scans):
            return Judged(Route.AWAIT, Outcome.BLOCKED)
        verdict = judge(stage, scans, waited, why, policy.waiver("scan.unsupported", repository, now))
        decision = self._decide(release, manifest, stage, verdict, scans, now)
        digest = self.records.put_decision(decision.encode())
        self.ledger.record(
            release.id,
            verdict=str(verdict.outcome),
            reasons=describe_reasons(verdict),
            decision=digest,
            platforms=_children(release.image, scans),
        )
        route, outcome = _route(verdict, stage)
        return Judged(route, outcome, None, stage.promotes_to is not None, verdict.outcome, digest)

    def _read(self, repository: str, platform: Descriptor) -> PlatformScan:
        image = ImageRef(repository, platform.digest)
        for _ in range(_READS):
            status = self.scans.status(image)
            tally = self._tally(image) if status.readiness is Readiness.READY else Tally()
            if tally is not None and tally.counts == dict(status.counts):
                break
        return PlatformScan(status, tally or Tally(), platform.platform)

    def _tally(self, image: ImageRef) -> Tally | None:
        """None: the scan was run again while its pages were read."""
        try:
            return Tally.of(self.scans.findings(image))
        except FindingsChangedError:
            return None

    def _decide(
        self,
        release: Release,
        manifest: Manifest,
        stage: Stage,
        verdict: Verdict,
        scans: list[PlatformScan],
        now: datetime,
    ) -> Decision:
        return Decision(
            registry=self.images.registry,
            image=release.image,
            media_type=manifest.media_type,
            size=len(manifest.content),
            attempt=release.attempt,
            stage=stage.name,
            mode=stage.mode,
            policy=release.policy,
            verdict=verdict.outcome,
            judged_at=now,
            reasons=describe_reasons(verdict),
            scans=[describe_scan(scan) for scan in scans],
        )


def _children(image: ImageRef, scans: list[PlatformScan]) -> tuple[Digest, ...]:
    """The platforms of an index; a single-platform image has none beside itself."""
    return tuple(scan.status.image for scan in scans if scan.status.image != image.digest)


def _route(verdict: Verdict, stage: Stage) -> tuple[Route, Outcome]:
    if verdict.outcome is VerdictOutcome.PASS:
        return Route.SIGN, Outcome.RELEASED
    if stage.mode is Mode.OBSERVE:
        return Route.PROMOTE, Outcome.RELEASED
    return Route.ANNOUNCE, Outcome.BLOCKED
