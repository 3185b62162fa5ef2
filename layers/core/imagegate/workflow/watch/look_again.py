"""Look Again: judge one image in use as its gate would today. Only clocks and findings are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from imagegate.canonical_json import parse_timestamp
from imagegate.errors import ImageNotFoundError, RejectedInputError
from imagegate.findings.scan import Readiness
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Policy, Scanner, Stage
from imagegate.ports.ledger import Clocks, Releases
from imagegate.ports.risks import Vulnerabilities
from imagegate.release.release import Outcome, Release
from imagegate.risk.assess import assess
from imagegate.risk.risk import Assessment, DueImage, Judgement, NewerRelease, Risk, RiskFinding, RiskState
from imagegate.workflow.examination.contents import read_contents
from imagegate.workflow.examination.examine import ExaminedImage, ExamineImage
from imagegate.workflow.examination.stored_findings import places_of

if TYPE_CHECKING:
    from imagegate.findings.finding import Place
    from imagegate.ports.images import Images, Scans
    from imagegate.ports.records import LaterFindings
    from imagegate.workflow.watch.images_in_use import ImagesInUse

# Amazon ECR user guide, "Basic scanning": one scan of an image in 24 hours.
_ONE_SCAN_PER = timedelta(hours=24)
# An image that nobody could judge for so long counts as not watched.
_LONGEST_SILENCE = timedelta(days=2)
_WENT_ON = frozenset({Outcome.RELEASED, Outcome.HELD})


@dataclass(frozen=True, slots=True)
class LookedAgain:
    """The result for an image that is in use. `risk` is None if it is fine, or if nobody can tell for now."""

    judgement: Judgement
    risk: Risk | None = None


@dataclass(frozen=True, slots=True)
class NotInUse:
    """The result for an image that need not be judged any more. `why`: the end of a sentence that begins with it."""

    why: str
    indexes: tuple[
        ImageRef, ...
    ] = ()  # that were released with it as one of their platforms: they are judged
    is_replaced: bool = False


class LookLedger(Releases, Clocks, Vulnerabilities, Protocol):
    """The parts of the ledger that `LookAgain` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAgain:
    examine: ExamineImage
    images: Images
    scans: Scans
    ledger: LookLedger
    records: LaterFindings
    policy: Policy

    def run(
        self, due: DueImage, before: Risk | None, in_use: ImagesInUse, now: datetime
    ) -> LookedAgain | NotInUse:
        """Judge the image. `before`: its risk until now."""
        history, stage = self.ledger.history(due.image), self.policy.stage_of(due.image.repository)
        release = next((one for one in history.attempts if one.outcome in _WENT_ON), None)
        if release is None or stage is None or release.revoked:
            indexes = tuple(ImageRef(due.image.repository, digest) for digest in history.indexes)
            return NotInUse("is not released any more", indexes)
        runs = tuple(in_use.runs(due.image, release.platforms, due.runs))
        is_current = in_use.is_current(due.image)
        if not runs and not is_current:
            current = in_use.current(due.image.repository)
            why = (
                f"is not in use any more: {current.image.name(current.tags)} took its place"
                if current
                else "is gone"
            )
            return NotInUse(why, is_replaced=current is not None)
        last = due.last or Judgement(now, RiskState.UNKNOWN, now)
        last = replace(last, runs=runs, signature_ends=_end_of_signature(history.attempts, release))
        if in_use.scanner is Scanner.BASIC and self._starts_scan(due, now):
            return LookedAgain(replace(last, at=now, state=RiskState.UNKNOWN, scan_started_at=now))
        try:
            return self._judge(release, stage, last, before, in_use, now, is_current=is_current)
        except ImageNotFoundError:
            return NotInUse("was deleted")

    def _starts_scan(self, due: DueImage, now: datetime) -> bool:
        """Start the daily scan of each platform if none is recent, and return whether one was started."""
        started = due.last.scan_started_at if due.last else None
        if started is not None and now < started + _ONE_SCAN_PER:
            return False
        old = [leaf for leaf in self._leaves(due.image) if self._is_old(leaf, now)]
        for leaf in old:
            try:
                self.scans.start(leaf)
            except RejectedInputError:
                continue  # the judgement says that its scan is missing or old
        return bool(old)

    def _leaves(self, image: ImageRef) -> list[ImageRef]:
        leaves = read_contents(self.images, image).leaves
        return [ImageRef(image.repository, leaf.digest) for leaf in leaves]

    def _is_old(self, image: ImageRef, now: datetime) -> bool:
        status = self.scans.status(image)
        if status.readiness is not Readiness.READY or status.completed_at is None:
            return False
        return now - parse_timestamp(status.completed_at) >= _ONE_SCAN_PER

    def _judge(
        self,
        release: Release,
        stage: Stage,
        last: Judgement,
        before: Risk | None,
        in_use: ImagesInUse,
        now: datetime,
        *,
        is_current: bool,
    ) -> LookedAgain:
        here = self.images.facts(release.image)
        examined = self.examine.run(self.policy, stage, release, here, now)
        if not isinstance(examined, ExaminedImage):
            return LookedAgain(replace(last, at=now, state=RiskState.UNKNOWN))
        if examined.found.started_clocks:
            self.ledger.keep_clocks(examined.application, examined.found.started_clocks)
        self.ledger.note_vulnerabilities(examined.application, examined.found.vulnerabilities)
        answer = _not_silent(assess(examined.found, examined.wait.ended, self._known(release)), last, now)
        answered = last.answered_at if answer.state is RiskState.UNKNOWN else now
        findings = self._keep_findings(examined, last.findings)
        judgement = replace(last, at=now, state=answer.state, answered_at=answered, findings=findings)
        if answer.state in (RiskState.FINE, RiskState.UNKNOWN):
            return LookedAgain(judgement)
        is_same = before is not None and before.state is answer.state
        risk = Risk(
            image=release.image,
            stage=stage.name,
            tags=tuple(sorted(release.tags)),
            state=answer.state,
            since=before.since if before and is_same else now,
            looked_at=now,
            policy=self.policy.digest,
            findings=answer.findings,
            why=answer.why,
            remedies=answer.remedies,
            runs=last.runs,
            newer=tuple(self._newer(release, answer.findings, in_use)),
            is_current=is_current,
            fixable_since=_fixable_since(answer.findings, before, now),
        )
        return LookedAgain(judgement, risk)

    def _known(self, release: Release) -> frozenset[Place]:
        """Return the findings with which the image went on without passing; none if it passed."""
        if release.verdict == VerdictOutcome.PASS or release.decision is None:
            return frozenset()
        return places_of(self.records, release.decision)

    def _keep_findings(self, examined: ExaminedImage, known: Sequence[Digest]) -> tuple[Digest, ...]:
        """Store the findings of each platform that has some, unless the last judgement stored the same."""
        packed = [content for content in examined.found.packed_findings if content]
        digests = tuple(Digest.of(content) for content in packed)
        return digests if digests == tuple(known) else tuple(map(self.records.put_later_findings, packed))

    def _newer(
        self, release: Release, findings: Sequence[RiskFinding], in_use: ImagesInUse
    ) -> Iterator[NewerRelease]:
        """Yield later releases of the application, up to this stage, that have none of these findings."""
        bad = {one.place for one in findings}
        for repository in self.policy.way_to(release.image.repository) if findings else ():
            current = in_use.current(repository)
            if current is None or current.decision is None or current.image.digest == release.image.digest:
                continue
            is_later = current.started_at > release.started_at
            if is_later and not bad & places_of(self.records, current.decision):
                is_held = current.outcome is Outcome.HELD
                yield NewerRelease(current.image, tuple(sorted(current.tags)), is_held)


def _fixable_since(findings: Sequence[RiskFinding], before: Risk | None, now: datetime) -> datetime | None:
    """Return since when a fix is known for all of the findings, as far as somebody has looked."""
    if not findings or not all(one.fixed for one in findings):
        return None
    return before.fixable_since if before and before.fixable_since else now


def _end_of_signature(attempts: Sequence[Release], release: Release) -> datetime | None:
    """Return when the release's signature expires, by the attempt that made it."""
    ends = (one.signature_ends for one in attempts if one.signature == release.signature)
    return next(filter(None, ends), None)


def _not_silent(answer: Assessment, last: Judgement, now: datetime) -> Assessment:
    """Return the answer, or "not watched" if there was none for too long."""
    if answer.state is not RiskState.UNKNOWN or now - last.answered_at < _LONGEST_SILENCE:
        return answer
    return Assessment(RiskState.NOT_WATCHED, why=answer.why)
