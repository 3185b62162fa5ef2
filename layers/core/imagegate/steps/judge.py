"""Judge Image: gather the facts, let the domain decide, write the decision record. Nobody else writes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from imagegate.domain.decision import Decision, describe_reasons, describe_scan
from imagegate.domain.errors import FindingsChangedError, ImageNotFoundError, RecordNotFoundError
from imagegate.domain.facts import BaseImage, ImageFacts
from imagegate.domain.finding import Finding
from imagegate.domain.image import Descriptor, Digest, ImageRef, Manifest
from imagegate.domain.judging import Baseline, Judging, Reading, Versions
from imagegate.domain.judging import Judged as Found
from imagegate.domain.policy import Mode, Policy, Stage
from imagegate.domain.release import Facts, Outcome, Release, ReleaseId
from imagegate.domain.remedy import Rebuild
from imagegate.domain.scan import Readiness, ScanStatus, Waited
from imagegate.domain.verdict import PlatformScan, Verdict, VerdictOutcome, attention
from imagegate.domain.waiver import Waiver
from imagegate.ports import Grants, Images, Intelligence, Ledger, Records, Registry, Scans, Signer
from imagegate.steps.facts import ReadFacts
from imagegate.steps.platforms import platforms
from imagegate.steps.stored_findings import places_of

# Inspector2 API reference, BatchGetFindingDetails.
_DETAILS_AT_ONCE = 10
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
class _Wait:
    """How the wait for the scan ended."""

    ended: Waited
    why: str


@dataclass(frozen=True, slots=True)
class JudgeImage:
    """`registry`, `signer` and `intelligence` are made only where a rule asks for what they know."""

    images: Images
    scans: Scans
    ledger: Ledger
    records: Records
    grants: Grants
    registry: Callable[[], Registry]
    signer: Callable[[], Signer]
    intelligence: Callable[[], Intelligence]
    versions: Versions

    def run(self, id_: ReleaseId, waited: Waited, why: str, now: datetime) -> Judged:
        release = self.ledger.get(id_)
        if release.outcome is not None:
            return Judged(Route.ANNOUNCE, release.outcome)
        try:
            here = self.images.facts(release.image)
            if not release.tags & here.tags:
                return Judged(Route.ANNOUNCE, Outcome.SUPERSEDED, release.changes)
            # Records keep whole seconds; judged again, they must say the same.
            return self._judge(release, here, _Wait(waited, why), now.replace(microsecond=0))
        except ImageNotFoundError:
            return Judged(Route.ANNOUNCE, Outcome.WITHDRAWN, release.changes)

    def _judge(self, release: Release, here: Facts, wait: _Wait, now: datetime) -> Judged:
        policy = self.records.policy(release.policy)
        stage = policy.stages[release.stage]
        leaves = platforms(self.images, release.image)
        heads = [self.scans.status(ImageRef(release.image.repository, leaf.digest)) for leaf in leaves]
        if wait.ended is Waited.READY and not all(head.is_final for head in heads):
            return Judged(Route.AWAIT, Outcome.BLOCKED)
        application = policy.origin_of(release.image.repository)
        grants = _about(self.grants.waivers(), release.image, leaves)
        facts = ReadFacts(self.images, self.ledger, self.registry, self.signer)
        judging = Judging(
            policy,
            stage,
            facts.run(policy, stage, release, here, leaves, now),
            now,
            grants=grants,
            clocks=self.ledger.clocks(application) if policy.timed else {},
            baseline=self._baseline(policy, stage, release.image),
            versions=self.versions,
        )
        for leaf, head in zip(leaves, heads, strict=True):
            judging.accept(self._read(judging, leaf, head))
        found = judging.decide(wait.ended, wait.why, lambda: self._rebuild(judging.facts))
        if found.started:
            self.ledger.keep_clocks(application, found.started)
        return self._record(release, policy, stage, _Judgement(judging, found, grants, wait))

    def _read(self, judging: Judging, leaf: Descriptor, head: ScanStatus) -> Reading:
        """Once more when the scan was run again meanwhile: its pages are of two scans then."""
        image = ImageRef(judging.facts.image.repository, leaf.digest)
        reading = judging.begin(head, leaf.platform)
        for _ in range(_READS):
            if reading.status.readiness is not Readiness.READY:
                break
            try:
                for finding in self._detailed(reading, image):
                    reading.add(finding)
                if reading.is_complete:
                    break
            except FindingsChangedError:
                reading = judging.begin(reading.status, leaf.platform)  # what was read is of two scans
            last, reading = reading, judging.begin(self.scans.status(image), leaf.platform)
        else:
            return last
        return reading

    def _detailed(self, reading: Reading, image: ImageRef) -> Iterator[Finding]:
        """The findings, with Inspector's details where those could change the verdict."""
        asks = reading.weigher.terms.rules.no_grace
        findings = self.scans.findings(image)
        if not asks.known_exploited and asks.epss is None:
            yield from findings
            return
        waiting: list[Finding] = []
        for finding in findings:
            if not reading.weigher.needs_details(finding):
                yield finding
                continue
            waiting.append(finding)
            if len(waiting) == _DETAILS_AT_ONCE:
                yield from self.intelligence().details(waiting)
                waiting = []
        if waiting:
            yield from self.intelligence().details(waiting)

    def _baseline(self, policy: Policy, stage: Stage, image: ImageRef) -> Baseline | None:
        """None also where its findings were not kept: then everything counts."""
        target = policy.target_of(image.repository)
        if not stage.findings.no_worse_than_next or target is None:
            return None
        standing = self.ledger.standing(target)
        if standing is None:
            return None
        try:
            places = places_of(self.records, standing.decision)
        except RecordNotFoundError:
            return None
        origin = {"digest": str(standing.image.digest), "decision": str(standing.decision)}
        return Baseline(standing.repository, places, origin)

    def _rebuild(self, facts: ImageFacts) -> Rebuild | None:
        """On the latest released image of the base that the image has, where that is a newer one."""
        base = next((platform.base for platform in facts.platforms if platform.base), None)
        newer = self.ledger.latest_base(base.image.repository) if base else None
        if base is None or newer is None or newer.image == base.image:
            return None
        try:
            gone = places_of(self.records, base.decision) - places_of(self.records, newer.decision)
        except RecordNotFoundError:
            return None
        return Rebuild(base, newer, gone)

    def _record(self, release: Release, policy: Policy, stage: Stage, judgement: _Judgement) -> Judged:
        verdict, manifest = judgement.found.verdict, self.images.manifest(release.image)
        packed = [
            self.records.put_findings(content) if content else None for content in judgement.found.packed
        ]
        decision = judgement.decision(release, stage, self.images.registry, manifest, packed)
        digest = self.records.put_decision(decision.encode())
        self.ledger.record(
            release.id,
            verdict=str(verdict.outcome),
            attention=str(attention(stage, verdict)),
            reasons=describe_reasons(verdict),
            decision=digest,
            platforms=_children(release.image, judgement.found.scans),
        )
        if verdict.outcome is VerdictOutcome.PASS and stage.name in policy.base_stages:
            for base in _bases(release, judgement.judging.facts, digest, judgement.judging.now):
                self.ledger.note_base(base)
        route, outcome = _route(verdict, stage)
        return Judged(route, outcome, None, stage.promotes_to is not None, verdict.outcome, digest)


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What a decision record is made of."""

    judging: Judging
    found: Found
    grants: Sequence[Waiver]
    wait: _Wait

    def decision(
        self,
        release: Release,
        stage: Stage,
        registry: str,
        manifest: Manifest,
        packed: Sequence[Digest | None],
    ) -> Decision:
        found, verdict = self.found, self.found.verdict
        scans = zip(found.scans, packed, strict=True)
        return Decision(
            registry=registry,
            image=release.image,
            media_type=manifest.media_type,
            size=len(manifest.content),
            attempt=release.attempt,
            stage=stage.name,
            mode=stage.mode,
            policy=release.policy,
            verdict=verdict.outcome,
            judged_at=self.judging.now,
            reasons=describe_reasons(verdict),
            scans=[describe_scan(scan, findings) for scan, findings in scans],
            worst=str(verdict.worst) if verdict.worst else None,
            waited=str(self.wait.ended),
            why_never=self.wait.why,
            facts=self.judging.facts.as_json(),
            waivers=[{"id": waiver.id, **waiver.as_json()} for waiver in found.used],
            grants=[waiver.as_json() for waiver in self.grants],
            baseline=found.delta,
            remedies=found.remedies.as_json(),
        )


def _about(waivers: Sequence[Waiver], image: ImageRef, leaves: Sequence[Descriptor]) -> list[Waiver]:
    digests = [image.digest, *(leaf.digest for leaf in leaves)]
    return [waiver for waiver in waivers if waiver.covers_image(image.repository, digests)]


def _bases(release: Release, facts: ImageFacts, decision: Digest, now: datetime) -> Iterator[BaseImage]:
    """What others may be built on from now on: each platform with its own chain of layers."""
    for platform in facts.platforms:
        if platform.config and platform.config.diff_ids:
            yield BaseImage(
                image=release.image,
                stage=release.stage,
                chain_id=platform.config.chain_ids[-1],
                layers=len(platform.config.diff_ids),
                released_at=now,
                decision=decision,
                tags=tuple(sorted(release.tags)),
            )


def _children(image: ImageRef, scans: Sequence[PlatformScan]) -> tuple[Digest, ...]:
    """The platforms of an index; a single-platform image has none beside itself."""
    return tuple(scan.status.image for scan in scans if scan.status.image != image.digest)


def _route(verdict: Verdict, stage: Stage) -> tuple[Route, Outcome]:
    if verdict.outcome is VerdictOutcome.PASS:
        return Route.SIGN, Outcome.RELEASED
    if stage.mode is Mode.OBSERVE:
        return Route.PROMOTE, Outcome.RELEASED
    return Route.ANNOUNCE, Outcome.BLOCKED
