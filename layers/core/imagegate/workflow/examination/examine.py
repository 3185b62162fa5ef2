"""Examine: read everything that a verdict on one image is based on, and evaluate it. Nothing is written.

Rules: how the wait for a scan ended comes from the scanner and from the release's start, never from the caller.
Findings count only if they are complete: as many as the scan counts, and with the same scan before and after they are
read. If enhanced scanning finds nothing, a second look a minute later has to confirm it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from imagegate.errors import AmbiguousDocumentError, FindingsChangedError, RecordNotFoundError
from imagegate.findings.scan import SECOND_LOOK, Readiness, ScanStatus, WaitOutcome
from imagegate.gate.evaluation import Baseline, EvaluationResult, ImageEvaluation, PlatformScanReader
from imagegate.gate.facts import ImageFacts
from imagegate.gate.remediation import Rebuild
from imagegate.oci.image import Descriptor, ImageRef
from imagegate.ports.images import ScanReading
from imagegate.ports.ledger import Clocks, CurrentReleases
from imagegate.workflow.examination.contents import Contents, read_contents
from imagegate.workflow.examination.details import AddDetails
from imagegate.workflow.examination.facts import FactsLedger, ReadFacts
from imagegate.workflow.examination.looks import Looks, NotYet, Wait
from imagegate.workflow.examination.scan_wait import ScanImpossible, why_never
from imagegate.workflow.examination.stored_findings import places_of

if TYPE_CHECKING:
    from imagegate.findings.finding import Finding, Versions
    from imagegate.policy.policy import Policy, Stage
    from imagegate.policy.waiver import Waiver
    from imagegate.ports.grants import Grants
    from imagegate.ports.images import Images, Intelligence, Scans
    from imagegate.ports.records import Records
    from imagegate.ports.registry import Registry
    from imagegate.ports.signer import Signer
    from imagegate.release.release import EcrImage, Release

# If a scan runs again while its pages are read, they are of two scans, and are read again.
_MOST_READS = 3


@dataclass(frozen=True, slots=True)
class ExaminedImage:
    """The evaluation of an image, and what it is based on."""

    facts: ImageFacts
    subject: Descriptor | None  # the image itself; None if its manifest cannot be read
    found: EvaluationResult
    grants: Sequence[Waiver]
    wait: Wait
    application: str
    now: datetime


class ExaminationLedger(FactsLedger, Clocks, CurrentReleases, Protocol):
    """The parts of the ledger that `ExamineImage` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamineImage:
    """Examines images. `registry`, `signer` and `intelligence` are made only if a rule needs them."""

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
    why_never: Callable[[Scans, Sequence[ImageRef]], ScanImpossible | None] = why_never

    def run(
        self, policy: Policy, stage: Stage, release: Release, here: EcrImage, now: datetime
    ) -> ExaminedImage | NotYet:
        """Examine the image. `here` is what ECR knows about it.

        Raises `FindingsChangedError` if its findings change with every read.
        """
        wait, is_late = Wait(), now >= _waiting_since(release) + stage.scan_timeout * self.timeout_share
        looks = Looks(release, is_late, now, self.second_look)
        now = now.replace(
            microsecond=0
        )  # records have whole seconds, and a second judgement must be the same
        try:
            contents = read_contents(self.images, release.image)
            contents.check_evidence(self.registry)
            leaves = contents.leaves
            scans = [self._open(leaf, here, is_only=len(leaves) == 1) for leaf in leaves]
            statuses = [scan.status for scan in scans]
            if not all(status.is_final for status in statuses):
                ended = self._wait_end(release, leaves, is_late)
                if ended is None:
                    is_over = all(status.is_final or status.says_it_is_over for status in statuses)
                    return NotYet(_missing(leaves, statuses), is_over)
                wait = ended
            facts = self._facts(policy, stage, release, here, contents, now)
        except AmbiguousDocumentError as error:
            facts, leaves, scans = _ambiguous(release, here, error), (), []
        subject = None if facts.ambiguous else contents.manifest.descriptor
        scanned = tuple(zip(leaves, scans, strict=True))
        return self._evaluate(policy, stage, facts, subject, scanned, wait, looks, now)

    def _open(self, leaf: Descriptor, here: EcrImage, *, is_only: bool) -> ScanReading:
        """Return the scan; for one of several platforms, only its status: all first pages together are too large."""
        image = ImageRef(here.image.repository, leaf.digest)
        if is_only:
            return self.scans.read(image, here.pushed_at if image == here.image else None)
        return ScanReading(self.scans.status(image), iter(()))

    def _wait_end(self, release: Release, leaves: Sequence[Descriptor], is_late: bool) -> Wait | None:
        """Return how the wait ended, or None if a result can still come."""
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

    def _evaluate(
        self,
        policy: Policy,
        stage: Stage,
        facts: ImageFacts,
        subject: Descriptor | None,
        scanned: Sequence[tuple[Descriptor, ScanReading]],
        wait: Wait,
        looks: Looks,
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
        for leaf, scan in scanned:
            evaluation.accept_scan(looks.check(self._read(evaluation, leaf, scan), wait))
        if not_yet := looks.not_yet():
            return not_yet
        found = evaluation.decide(wait.ended, wait.why, lambda: self._rebuild(facts))
        return ExaminedImage(facts, subject, found, grants, wait, application, now)

    def _read(self, evaluation: ImageEvaluation, leaf: Descriptor, scan: ScanReading) -> PlatformScanReader:
        """Read all findings of one platform, and read them again if another scan ran meanwhile."""
        image = ImageRef(evaluation.facts.image.repository, leaf.digest)
        reader = evaluation.open_scan(scan.status, leaf.platform)
        if len(evaluation.facts.platforms) > 1 and reader.status.readiness is Readiness.READY:
            scan = self.scans.read(image)
            reader = evaluation.open_scan(scan.status, leaf.platform)
        for number in range(_MOST_READS):
            if reader.status.readiness is not Readiness.READY:
                break
            is_of_one_scan = self._read_findings(reader, scan.findings, image)
            after = scan.status if scan.is_one_answer else self.scans.status(image)
            reader.is_settled = is_of_one_scan and reader.is_complete and after == reader.status
            if reader.is_settled or number == _MOST_READS - 1:
                break
            scan = self.scans.read(image)
            reader = evaluation.open_scan(scan.status, leaf.platform)
        return reader

    def _read_findings(
        self, reader: PlatformScanReader, findings: Iterable[Finding], image: ImageRef
    ) -> bool:
        """Read all findings. Return False if they are of two scans."""
        details = AddDetails(self.intelligence, reader.evaluator, image)
        try:
            for finding in details.run(findings):
                reader.add(finding)
        except FindingsChangedError:
            return False
        return True

    def _baseline(self, policy: Policy, stage: Stage, image: ImageRef) -> Baseline | None:
        """Return the findings of the next stage's current image, or None if there are none to compare with."""
        target = policy.target_of(image.repository)
        if not stage.findings.no_worse_than_next or target is None:
            return None
        current = self.ledger.current_release(target)
        if current is None:
            return None
        try:
            places = places_of(self.records, current.decision)
        except RecordNotFoundError:
            return None
        origin = {"digest": str(current.image.digest), "decision": str(current.decision)}
        return Baseline(current.repository, places, origin)

    def _rebuild(self, facts: ImageFacts) -> Rebuild | None:
        """Return the rebuild on the latest release of the image's base, or None if there is no newer one."""
        base = next((platform.base for platform in facts.platforms if platform.base), None)
        newer = self.ledger.latest_base(base.image.repository) if base else None
        if base is None or newer is None or newer.image == base.image:
            return None
        try:
            gone = places_of(self.records, base.decision) - places_of(self.records, newer.decision)
        except RecordNotFoundError:
            return None
        return Rebuild(base, newer, gone)


def _waiting_since(release: Release) -> datetime:
    """Return when the wait for a scan began: at the start, at the last push, or at the end of the soak."""
    return max(time for time in (release.started_at, release.pushed_at, release.soaks_until) if time)


def _missing(leaves: Sequence[Descriptor], statuses: Sequence[ScanStatus]) -> str:
    """Return what is missing in the scans, by platform."""
    return "; ".join(
        (f"{leaf.platform}: " if leaf.platform else "") + "it lacks " + " and ".join(status.missing)
        for leaf, status in zip(leaves, statuses, strict=True)
        if not status.is_final
    )


def _ambiguous(release: Release, here: EcrImage, error: AmbiguousDocumentError) -> ImageFacts:
    return ImageFacts(release.image, release.tags & here.tags, ambiguous=str(error))


def _about(waivers: Sequence[Waiver], image: ImageRef, leaves: Sequence[Descriptor]) -> list[Waiver]:
    digests = [image.digest, *(leaf.digest for leaf in leaves)]
    return [waiver for waiver in waivers if waiver.covers_image(image.repository, digests)]
