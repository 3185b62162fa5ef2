"""Await Scan: register the token, then look once. Whoever comes later, event or reconciler, looks again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from imagegate.domain.errors import ImageGateError, ImageNotFoundError, RejectedInputError
from imagegate.domain.image import ImageRef
from imagegate.domain.release import ReleaseId, StartReason, WaitingScan
from imagegate.domain.scan import Readiness, Scanning, Waited
from imagegate.ports import Images, Ledger, Scans, Starter, Tasks


@dataclass(frozen=True, slots=True)
class AwaitScan:
    """Never polls. Either this look or a later scan event finds the results, in whatever order they come."""

    images: Images
    scans: Scans
    ledger: Ledger
    tasks: Tasks

    def register(self, release: ReleaseId, token: str, now: datetime) -> Waited | None:
        """Returns how the wait ended at once, or None: somebody has to wake the token."""
        try:
            platforms = tuple(platform.digest for platform in self.images.manifest(release.image).runnable)
        except ImageNotFoundError:
            # The judge looks again and says that the image was withdrawn.
            return self._wake(token, Waited.READY)
        waiting = [
            WaitingScan(ImageRef(release.image.repository, digest), release, token, platforms, now)
            for digest in platforms
        ]
        for scan in waiting:
            self.ledger.wait(scan)
        return self._look(waiting, token)

    def _look(self, waiting: list[WaitingScan], token: str) -> Waited | None:
        if all(is_over(self.scans, scan.image) for scan in waiting):
            return self._end(waiting, token, Waited.READY)
        for scan in waiting:
            never = bring_about(self.scans, scan.image)
            if never:
                return self._end(waiting, token, Waited.NEVER, never)
        return None

    def _end(self, waiting: list[WaitingScan], token: str, waited: Waited, why: str = "") -> Waited:
        self._wake(token, waited, why)
        for scan in waiting:
            self.ledger.forget(scan)
        return waited

    def _wake(self, token: str, waited: Waited, why: str = "") -> Waited:
        self.tasks.wake(token, {"waited": str(waited), "why": why})
        return waited


@dataclass(frozen=True, slots=True)
class ScanCompleted:
    """A scan event is only a wake-up: find the tokens, read all platforms again, complete what has everything."""

    scans: Scans
    ledger: Ledger
    tasks: Tasks
    starter: Starter

    def on_scan(self, image: ImageRef) -> int:
        """Returns how many waiting releases were woken."""
        waiting = self.ledger.waiting(image)
        if not waiting:
            self._offer_late_scan(image)
        return sum(self.wake_if_complete(scan) for scan in waiting)

    def wake_if_complete(self, scan: WaitingScan) -> bool:
        platforms = [ImageRef(scan.image.repository, digest) for digest in scan.platforms]
        if not all(is_over(self.scans, platform) for platform in platforms):
            return False
        self.tasks.wake(scan.token, {"waited": str(Waited.READY), "why": ""})
        # The token may be one that nobody waits for any more.
        self._offer_late_scan(scan.release.image)
        self.ledger.forget(scan)
        return True

    def _offer_late_scan(self, image: ImageRef) -> None:
        """A release that gave up waiting deserves another attempt; whether it did is for `start_release`."""
        latest = self.ledger.latest(image)
        if latest is not None and latest.timed_out:
            self.starter.request(image, sorted(latest.tags), StartReason.LATE_SCAN)


class ReconcileError(ImageGateError):
    """Some waiting releases could not be looked at; the others were."""


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Finds what no event announced: events of ECR are best effort."""

    completed: ScanCompleted

    def run(self) -> int:
        """Returns how many waiting releases were woken. One that cannot be looked at does not hide the others."""
        woken, faults = 0, []
        for scan in list(self.completed.ledger.all_waiting()):
            try:
                woken += self._look(scan)
            except ImageGateError as error:
                faults.append(f"{scan.release}: {error}")
        if faults:
            raise ReconcileError("; ".join(faults))
        return woken

    def _look(self, scan: WaitingScan) -> bool:
        if self.completed.wake_if_complete(scan):
            return True
        release = self.completed.ledger.latest(scan.release.image)
        if release is not None and release.is_open:
            self._start_scan(scan.image)
        return False

    def _start_scan(self, image: ImageRef) -> None:
        """Also where scans come by themselves: this one may have been lost, or never begun."""
        scans = self.completed.scans
        if scans.status(image).readiness is Readiness.NOT_STARTED:
            try:
                scans.start(image)
            except RejectedInputError:
                return  # the time-out of the release says so


def is_over(scans: Scans, image: ImageRef) -> bool:
    """No result will come any more. Of a deleted image the judge says that it was withdrawn."""
    try:
        return scans.status(image).is_final
    except ImageNotFoundError:
        return True


def bring_about(scans: Scans, image: ImageRef) -> str:
    """Start a scan that would not come by itself. Returns why it can never come, or nothing."""
    try:
        if scans.status(image).readiness is not Readiness.NOT_STARTED:
            return ""
        scanning = scans.scanning(image.repository)
        if scanning is Scanning.NEVER:
            return (
                f"{image.repository} matches no filter of the registry's enhanced scanning configuration: "
                "its images are never scanned. Add a filter, then release again"
            )
        if scanning is Scanning.ON_REQUEST:
            scans.start(image)
    except RejectedInputError as error:
        return str(error)
    return ""
