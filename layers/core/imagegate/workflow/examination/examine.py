"""Examine: read everything that a verdict on one image rests on, and let the domain decide. Writes nothing.

How the wait for a scan ended is found out here, from the scanner and from the release's own clock: no caller tells it.
Findings count when they are whole: as many as the scan counts, and the scan says the same before and after they are
read. Where enhanced scanning finds nothing, the same has to be seen once more a minute later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from imagegate.canonical_json import timestamp
from imagegate.errors import AmbiguousDocumentError, FindingsChangedError, RecordNotFoundError
from imagegate.findings.finding import Finding, Versions
from imagegate.findings.scan import SECOND_LOOK, Readiness, ScanStatus, WaitOutcome
from imagegate.gate.evaluation import Baseline, EvaluationResult, ImageEvaluation, PlatformScanReader
from imagegate.gate.facts import ImageFacts
from imagegate.gate.remediation import Rebuild
from imagegate.oci.image import Descriptor, Digest, ImageRef
from imagegate.policy.policy import Policy, Stage
from imagegate.policy.waiver import Waiver
from imagegate.ports.grants import Grants
from imagegate.ports.images import Images, Intelligence, Scans
from imagegate.ports.ledger import Clocks, CurrentReleases
from imagegate.ports.records import Records
from imagegate.ports.registry import Registry
from imagegate.ports.signer import Signer
from imagegate.release.release import EcrImage, Release
from imagegate.workflow.examination.contents import Contents, read_contents
from imagegate.workflow.examination.details import Details
from imagegate.workflow.examination.facts import FactsLedger, ReadFacts
from imagegate.workflow.examination.scan_wait import Never, why_never
from imagegate.workflow.examination.stored_findings import places_of

# A scan that is run again while its pages are read gives pages of two scans: read once more.
_READS = 3


@dataclass(frozen=True, slots=True)
class Wait:
    """How the wait for the scan ended."""

    ended: WaitOutcome = WaitOutcome.READY
    why: str = ""


@dataclass(frozen=True, slots=True)
class ExaminedImage:
    """What was found, and what it rests on."""

    facts: ImageFacts
    found: EvaluationResult
    grants: Sequence[Waiver]
    wait: Wait
    application: str
    now: datetime


@dataclass(frozen=True, slots=True)
class NotYet:
    """Too early to judge, and why."""

    why: str
    is_over: bool = False  # the scan says that it is done, and another look in a while will tell
    clean_since: Mapping[Digest, datetime] = field(default_factory=dict)  # what a second look has to confirm


class ExaminationLedger(FactsLedger, Clocks, CurrentReleases, Protocol):
    """The parts of the ledger that `ExamineImage` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamineImage:
    """`registry`, `signer` and `intelligence` are made only where a rule asks for what they know."""

    images: Images
    scans: Scans
    ledger: ExaminationLedger
    records: Records
    grants: Grants
    registry: Callable[[], Registry]
    signer: Callable[[], Signer]
    intelligence: Callable[[], Intelligence]
    versions: Versions
    second_look: timedelta = SECOND_LOOK
    timeout_share: float = 1  # of each stage's `scan.timeout`
    why_never: Callable[[Scans, Sequence[ImageRef]], Never | None] = why_never

    def run(
        self, policy: Policy, stage: Stage, release: Release, here: EcrImage, now: datetime
    ) -> ExaminedImage | NotYet:
        """Examine the image. `here`: what ECR says of it.

        Raises `FindingsChangedError` when its scan never comes to rest.
        """
        wait, is_late = Wait(), now >= _waits_since(release) + stage.scan_timeout * self.timeout_share
        looks = _Looks(release, is_late, now, self.second_look)
        now = now.replace(microsecond=0)  # records keep whole seconds; judged again, they must say the same
        try:
            contents = read_contents(self.images, release.image)
            contents.check_evidence(self.registry)
            leaves = contents.leaves
            heads = [self.scans.status(ImageRef(release.image.repository, leaf.digest)) for leaf in leaves]
            if not all(head.is_final for head in heads):
                ended = self._ended(release, leaves, is_late)
                if ended is None:
                    return NotYet(_missing(leaves, heads))
                wait = ended
            facts = self._facts(policy, stage, release, here, contents, now)
        except AmbiguousDocumentError as error:
            facts, leaves, heads = _ambiguous(release, here, error), (), []
        return self._decided(policy, stage, facts, tuple(zip(leaves, heads, strict=True)), wait, looks, now)

    def _ended(self, release: Release, leaves: Sequence[Descriptor], is_late: bool) -> Wait | None:
        """None: a result can still come."""
        images = [ImageRef(release.image.repository, leaf.digest) for leaf in leaves]
        never = self.why_never(self.scans, images)
        if never is not None:
            return Wait(never.ended, never.why)
        return Wait(WaitOutcome.TIMED_OUT) if is_late else None

    def _facts(
        self,
        policy: Policy,
        stage: Stage,
        release: Release,
        here: EcrImage,
        contents: Contents,
        now: datetime,
    ) -> ImageFacts:
        reader = ReadFacts(images=self.images, ledger=self.ledger, registry=self.registry, signer=self.signer)
        return reader.run(policy, stage, release, here, contents, now)

    def _decided(
        self,
        policy: Policy,
        stage: Stage,
        facts: ImageFacts,
        scanned: Sequence[tuple[Descriptor, ScanStatus]],
        wait: Wait,
        looks: _Looks,
        now: datetime,
    ) -> ExaminedImage | NotYet:
        image = facts.image
        application = policy.origin_of(image.repository)
        grants = _about(self.grants.waivers(), image, [leaf for leaf, _ in scanned])
        evaluation = ImageEvaluation(
            policy,
            stage,
            facts,
            now,
            grants=grants,
            clocks=self.ledger.clocks(application) if policy.timed else {},
            baseline=self._baseline(policy, stage, image),
            versions=self.versions,
        )
        for leaf, head in scanned:
            evaluation.accept_scan(looks.checked(self._read(evaluation, leaf, head), wait))
        if not_yet := looks.not_yet():
            return not_yet
        found = evaluation.decide(wait.ended, wait.why, lambda: self._rebuild(facts))
        return ExaminedImage(facts, found, grants, wait, application, now)

    def _read(self, evaluation: ImageEvaluation, leaf: Descriptor, head: ScanStatus) -> PlatformScanReader:
        """Once more when the scan was run again meanwhile, or by another scanner: its pages are of two scans then."""
        image = ImageRef(evaluation.facts.image.repository, leaf.digest)
        reader = evaluation.open_scan(head, leaf.platform)
        for number in range(_READS):
            if reader.status.readiness is not Readiness.READY:
                break
            is_of_one_scan = self._fill(reader, image)
            after = self.scans.status(image)
            reader.is_settled = is_of_one_scan and reader.is_complete and after == reader.status
            if reader.is_settled or number == _READS - 1:
                break
            reader = evaluation.open_scan(after, leaf.platform)
        return reader

    def _fill(self, reader: PlatformScanReader, image: ImageRef) -> bool:
        """Read all findings; False: they are of two scans."""
        try:
            for finding in self._detailed(reader, image):
                reader.add(finding)
        except FindingsChangedError:
            return False
        return True

    def _detailed(self, reader: PlatformScanReader, image: ImageRef) -> Iterator[Finding]:
        details = Details(self.intelligence, reader.evaluator, image)
        return details.added(self.scans.findings(image, reader.status.basis))

    def _baseline(self, policy: Policy, stage: Stage, image: ImageRef) -> Baseline | None:
        """None also where its findings were not kept: then everything counts."""
        target = policy.target_of(image.repository)
        if not stage.findings.no_worse_than_next or target is None:
            return None
        standing = self.ledger.current_release(target)
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


@dataclass
class _Looks:
    """What this look at the findings saw that is not at rest yet."""

    release: Release
    is_late: bool  # nobody waits any longer
    now: datetime
    pause: timedelta
    begun_again: list[PlatformScanReader] = field(default_factory=list)
    changing: list[PlatformScanReader] = field(default_factory=list)
    clean_since: dict[Digest, datetime] = field(default_factory=dict)

    def checked(self, reader: PlatformScanReader, wait: Wait) -> PlatformScanReader:
        status = reader.status
        if wait.ended is WaitOutcome.READY and not status.is_final:
            self.begun_again.append(reader)
        elif status.readiness is Readiness.READY and not reader.is_settled:
            self.changing.append(reader)
        elif since := status.first_seen_clean(self.release.clean_since.get(status.image), self.now):
            self.clean_since[status.image] = since
            reader.status = replace(status, clean_since=timestamp(since))
        return reader

    def not_yet(self) -> NotYet | None:
        """None: what was read counts; late, also what is still incomplete: it never passes."""
        if self.begun_again:
            return NotYet("its scan has begun again")
        if self.changing and not self.is_late:
            return NotYet("the list of findings is not whole yet", is_over=True, clean_since=self.clean_since)
        if any(reader.is_complete for reader in self.changing):
            raise FindingsChangedError(
                f"{self.release.image}: its scan changes whenever its findings are read"
            )
        if any(self.now - since < self.pause for since in self.clean_since.values()):
            why = "nothing is found so far, which a second look has to confirm"
            return NotYet(why, is_over=True, clean_since=self.clean_since)
        return None


def _waits_since(release: Release) -> datetime:
    """Return when the wait for a scan began last, as the ledger knows it: by a start, a push, or the end of a soak."""
    return max(time for time in (release.started_at, release.pushed_at, release.soaks_until) if time)


def _missing(leaves: Sequence[Descriptor], heads: Sequence[ScanStatus]) -> str:
    """What the scans lack, of each platform."""
    return "; ".join(
        (f"{leaf.platform}: " if leaf.platform else "") + "it lacks " + " and ".join(head.missing)
        for leaf, head in zip(leaves, heads, strict=True)
        if not head.is_final
    )


def _ambiguous(release: Release, here: EcrImage, error: AmbiguousDocumentError) -> ImageFacts:
    return ImageFacts(release.image, release.tags & here.tags, ambiguous=str(error))


def _about(waivers: Sequence[Waiver], image: ImageRef, leaves: Sequence[Descriptor]) -> list[Waiver]:
    digests = [image.digest, *(leaf.digest for leaf in leaves)]
    return [waiver for waiver in waivers if waiver.covers_image(image.repository, digests)]
