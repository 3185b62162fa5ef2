"""Await Scan: register the task token, then look at the scan once. Scan events and the reconciler look again later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from imagegate.errors import (
    AmbiguousDocumentError,
    ImageNotFoundError,
)
from imagegate.findings.scan import ScanProgress, WaitOutcome
from imagegate.oci.image import ImageRef
from imagegate.ports.ledger import Releases
from imagegate.ports.pending import ScanTokens
from imagegate.ports.risks import JudgedAgain
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason, WaitingScan
from imagegate.workflow.examination.contents import read_contents
from imagegate.workflow.examination.scan_wait import is_over, progress, why_never

if TYPE_CHECKING:
    from imagegate.ports.executions import Starter, Tasks
    from imagegate.ports.images import Images, Scans

# An image that passed is released in its stage, also while it waits for the approval of the next one.
_WENT_ON = frozenset({Outcome.RELEASED, Outcome.HELD})


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitScan:
    """Waits without polling: this look or a later scan event finds the results, in any order."""

    images: Images
    scans: Scans
    ledger: ScanTokens
    tasks: Tasks

    def register(self, release: ReleaseId, token: str, now: datetime) -> WaitOutcome | None:
        """Return how the wait ended, or None if a later event has to complete the token."""
        try:
            digests = tuple(leaf.digest for leaf in read_contents(self.images, release.image).leaves)
        except (ImageNotFoundError, AmbiguousDocumentError):
            # The judge reads the image again, and reports that it was deleted or cannot be read.
            return self._wake(token, WaitOutcome.READY)
        waiting = [
            WaitingScan(ImageRef(release.image.repository, digest), release, token, digests, now)
            for digest in digests
        ]
        for scan in waiting:
            self.ledger.keep_token(scan)
        return self._look(waiting, token)

    def _look(self, waiting: list[WaitingScan], token: str) -> WaitOutcome | None:
        """Look once. Whether a result counts is for the judge to say, who looks again later if it does not yet."""
        states = [progress(self.scans, scan.image) for scan in waiting]
        if ScanProgress.NOT_STARTED not in states:
            is_ready = ScanProgress.RUNNING not in states
            return self._end(waiting, token, WaitOutcome.READY) if is_ready else None
        if all(is_over(self.scans, scan.image) for scan in waiting):
            return self._end(waiting, token, WaitOutcome.READY)
        never = why_never(self.scans, [scan.image for scan in waiting])
        return self._end(waiting, token, never.ended, never.why) if never else None

    def _end(self, waiting: list[WaitingScan], token: str, waited: WaitOutcome, why: str = "") -> WaitOutcome:
        self._wake(token, waited, why)
        for scan in waiting:
            self.ledger.forget_token(scan)
        return waited

    def _wake(self, token: str, waited: WaitOutcome, why: str = "") -> WaitOutcome:
        self.tasks.wake(token, {"waited": str(waited), "why": why})
        return waited


class ScanLedger(Releases, ScanTokens, JudgedAgain, Protocol):
    """The parts of the ledger that `ScanCompleted` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanCompleted:
    """Completes the tokens of releases whose platforms are all scanned. The event says only when to look."""

    scans: Scans
    ledger: ScanLedger
    tasks: Tasks
    starter: Starter

    def on_scan(self, image: ImageRef, judge_by: datetime) -> int:
        """Return the number of waiting releases that were woken. `judge_by`: when a released image is judged again."""
        waiting = self.ledger.tokens_of(image)
        if not waiting:
            latest = self._offer_late_scan(image)
            if latest is not None and latest.outcome in _WENT_ON:
                self.ledger.judge_by(image, judge_by)
        return sum(self.wake_if_complete(scan, image) for scan in waiting)

    def wake_if_complete(self, scan: WaitingScan, ended: ImageRef | None = None) -> bool:
        """Wake a release if all its platforms are scanned. `ended`: the platform whose scan ended by its event.

        The judge looks at that one, so that a false event costs no more than a look of the judge.
        """
        images = [ImageRef(scan.image.repository, digest) for digest in scan.platforms]
        if not all(image == ended or is_over(self.scans, image) for image in images):
            return False
        if not self.tasks.wake(scan.token, {"waited": str(WaitOutcome.READY), "why": ""}):
            return self._too_late(scan)
        self.ledger.forget_token(scan)
        return True

    def _too_late(self, scan: WaitingScan) -> bool:
        """Forget a token that was not taken, unless its release is open: then the reconciler looks again."""
        latest = self.ledger.latest(scan.release.image)
        if latest is None or not latest.is_open:
            self._offer_late_scan(scan.release.image)
            self.ledger.forget_token(scan)
        return False

    def _offer_late_scan(self, image: ImageRef) -> Release | None:
        """Request another attempt if the last one timed out, and return that. `start_release` checks it."""
        latest = self.ledger.latest(image)
        if latest is not None and latest.timed_out:
            self.starter.request(image, sorted(latest.tags), StartReason.LATE_SCAN)
        return latest
