"""Images in use: the current release of each repository, and all that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from imagegate.deployment.rollback import current_release
from imagegate.errors import AccessRefusedError
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Policy, Scanner
from imagegate.ports.ledger import ReleaseLists, Rollbacks
from imagegate.ports.risks import RunningTasks

if TYPE_CHECKING:
    from imagegate.ports.images import Scans, Usage
    from imagegate.ports.risks import RunningImages
    from imagegate.release.release import Release
    from imagegate.release.revocation import RunsIn


_ALL_CLUSTERS = "all clusters of Amazon ECS"


class CurrentLedger(ReleaseLists, Rollbacks, Protocol):
    """The parts of the ledger that `ImagesInUse` uses."""


@dataclass(kw_only=True)
class ImagesInUse:
    """Finds what is in use, and remembers it for one run."""

    ledger: CurrentLedger
    running: RunningImages
    usage: Usage
    scans: Scans
    policy: Policy
    faults: dict[str, str] = field(default_factory=dict)  # what could not be read, and why
    _current: dict[str, Release | None] = field(default_factory=dict)
    _tasks: RunningTasks | None = None

    @cached_property
    def scanner(self) -> Scanner:
        return self.scans.scanner()

    def current(self, repository: str) -> Release | None:
        """Return the release that was announced to deployers last, or None."""
        if repository not in self._current:
            self._current[repository] = self._find_current(repository)
        return self._current[repository]

    def is_current(self, image: ImageRef) -> bool:
        current = self.current(image.repository)
        return current is not None and current.image == image

    def runs(
        self, image: ImageRef, platforms: Sequence[Digest] = (), before: Sequence[RunsIn] = ()
    ) -> list[RunsIn]:
        """Return where the image or one of its platforms runs: by Amazon ECS, and by Inspector if that scans.

        `before`: where it ran at its last judgement. This counts for the clusters that cannot be read now.
        """
        images = [image, *(ImageRef(image.repository, digest) for digest in platforms)]
        runs = [one for each in images for one in self.all_running().get(each, ())]
        unread = self._read_tasks().unread
        runs += [one for one in before if one.cluster in unread or _ALL_CLUSTERS in unread]
        if self.scanner is not Scanner.ENHANCED:
            return runs
        known = {one.cluster for one in runs}
        try:
            clusters = [one for each in images for one in self.usage.clusters(each)]
        except AccessRefusedError as error:
            self.faults["where images run, by Inspector"] = str(error)
            return runs
        return runs + [one for one in clusters if one.units and one.cluster not in known]

    def all_running(self) -> Mapping[ImageRef, Sequence[RunsIn]]:
        """Return where each image runs, by the clusters of Amazon ECS that can be read."""
        return self._read_tasks().runs

    def _read_tasks(self) -> RunningTasks:
        if self._tasks is None:
            try:
                self._tasks = self.running.running()
            except Exception as fault:  # noqa: BLE001 - images are still judged, and the fault is reported
                self._tasks = RunningTasks({}, {_ALL_CLUSTERS: f"{type(fault).__name__}: {fault}"})
            self.faults |= {f"the tasks of {cluster}": why for cluster, why in self._tasks.unread.items()}
        return self._tasks

    def _find_current(self, repository: str) -> Release | None:
        stage = self.policy.stage_of(repository)
        if stage is None:
            return None
        rollbacks = self.ledger.rollbacks(repository)
        return current_release(self.ledger.recent_of_repository(repository), rollbacks, stage)
