"""Examine: read everything that a verdict on one image rests on, and let the domain decide. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from imagegate.domain.errors import FindingsChangedError, RecordNotFoundError
from imagegate.domain.facts import ImageFacts
from imagegate.domain.finding import Finding
from imagegate.domain.image import Descriptor, ImageRef
from imagegate.domain.judging import Baseline, Judged, Judging, Reading, Versions
from imagegate.domain.policy import Policy, Stage
from imagegate.domain.release import Facts, Release
from imagegate.domain.remedy import Rebuild
from imagegate.domain.scan import Readiness, ScanStatus, Waited
from imagegate.domain.waiver import Waiver
from imagegate.ports import Grants, Images, Intelligence, Ledger, Records, Registry, Scans, Signer
from imagegate.steps.details import Details
from imagegate.steps.facts import ReadFacts
from imagegate.steps.platforms import platforms
from imagegate.steps.stored_findings import places_of

# A scan that is run again while its pages are read gives pages of two scans: read once more.
_READS = 3


@dataclass(frozen=True, slots=True)
class Wait:
    """How the wait for the scan ended."""

    ended: Waited = Waited.READY
    why: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, and what it rests on."""

    facts: ImageFacts
    found: Judged
    grants: Sequence[Waiver]
    wait: Wait
    application: str
    now: datetime


@dataclass(frozen=True, slots=True)
class ExamineImage:
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

    def run(
        self, policy: Policy, stage: Stage, release: Release, here: Facts, wait: Wait, now: datetime
    ) -> Examined | None:
        """`here`: what ECR says of the image. None: its scan is not over (any more), and was said to be."""
        leaves = platforms(self.images, release.image)
        heads = [self.scans.status(ImageRef(release.image.repository, leaf.digest)) for leaf in leaves]
        if wait.ended is Waited.READY and not all(head.is_final for head in heads):
            return None
        application = policy.origin_of(release.image.repository)
        grants = _about(self.grants.waivers(), release.image, leaves)
        reader = ReadFacts(self.images, self.ledger, self.registry, self.signer)
        facts = reader.run(policy, stage, release, here, leaves, now)
        judging = Judging(
            policy,
            stage,
            facts,
            now,
            grants=grants,
            clocks=self.ledger.clocks(application) if policy.timed else {},
            baseline=self._baseline(policy, stage, release.image),
            versions=self.versions,
        )
        for leaf, head in zip(leaves, heads, strict=True):
            judging.accept(self._read(judging, leaf, head))
        found = judging.decide(wait.ended, wait.why, lambda: self._rebuild(facts))
        return Examined(facts, found, grants, wait, application, now)

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
        details = Details(self.intelligence, reading.weigher, image)
        return details.added(self.scans.findings(image))

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


def _about(waivers: Sequence[Waiver], image: ImageRef, leaves: Sequence[Descriptor]) -> list[Waiver]:
    digests = [image.digest, *(leaf.digest for leaf in leaves)]
    return [waiver for waiver in waivers if waiver.covers_image(image.repository, digests)]
