"""Why images have to stay, as the ledger and Inspector know it. An open question refuses the clean-up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from imagegate.deployment.rollback import announced_releases
from imagegate.errors import RejectedInputError
from imagegate.lifecycle.stored_image import named_subjects, people_tags
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Scanner
from imagegate.ports.ledger import IgnoredImages, ReleaseLists, Releases, Rollbacks
from imagegate.release.release import Outcome

if TYPE_CHECKING:
    from imagegate.cleanup.usage import UsedImages
    from imagegate.lifecycle.stored_image import StoredImage
    from imagegate.policy.policy import Policy, Stage
    from imagegate.ports.images import Scans, Usage
    from imagegate.release.release import Release
    from imagegate.workflow.cleanup.bases import BasesInUse
    from imagegate.workflow.cleanup.inventory import RepositoryInventory

_DAY, _IGNORED_LIFE = timedelta(days=1), timedelta(days=30)
_LONGEST_DECISION = timedelta(days=90)  # that a policy allows
_CACHED = 8  # repositories whose releases are remembered: those of one application
_SKEW = timedelta(minutes=5)


class CleanupRefusedError(RejectedInputError):
    """Nobody can tell what has to stay; the message says what is missing."""


class CleanupLedger(Releases, ReleaseLists, Rollbacks, IgnoredImages, Protocol):
    """The parts of the ledger that a clean-up uses."""


@dataclass(kw_only=True)
class Protection:
    """Finds the reasons for one run, in which each list is read once."""

    ledger: CleanupLedger
    scans: Scans
    usage: Usage
    policy: Policy
    used: UsedImages
    installed_at: datetime | None
    bases: BasesInUse
    _released: dict[str, list[Release]] = field(default_factory=dict)

    def check_world(self, now: datetime, server_time: datetime | None) -> None:
        """Raise `CleanupRefusedError` if the ledger is empty, the clock is off, or nobody says what Amazon EKS runs."""
        if server_time is None or abs(now - server_time) > _SKEW:
            raise CleanupRefusedError(
                f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, and AWS {server_time or 'nothing'}: set the clock"
            )
        if self.installed_at is None:
            raise CleanupRefusedError(
                "the ledger is empty: it has no installation, so nobody knows what is released; restore it, or wait"
                " until the gate has run"
            )
        if self.used.clusters and self.scanner is not Scanner.ENHANCED:
            raise CleanupRefusedError(
                f"nobody says what the cluster {self.used.clusters[0]} runs: enable enhanced scanning with"
                " continuous scans, which tells it"
            )

    @cached_property
    def scanner(self) -> Scanner:
        return self.scans.scanner()

    def check_repository(self, inventory: RepositoryInventory, now: datetime) -> None:
        """Raise `CleanupRefusedError` if a clock is off, or the ledger does not know the newest image."""
        for image in inventory.images:
            if max(image.last_used, image.pushed_at) > now + _SKEW:
                raise CleanupRefusedError(
                    f"{inventory.repository}: {image.digest.short} was pushed or pulled in the future: set this"
                    " machine's clock"
                )
        since = max(now - _IGNORED_LIFE, self.installed_at or now)
        parts = {child for image in inventory.images for child in image.children}
        pushed = [
            image
            for image in inventory.images
            if image.tags and since < image.pushed_at < now - _DAY and image.digest not in parts
        ]
        newest = max(
            (one for one in pushed if not named_subjects(one)), key=lambda one: one.pushed_at, default=None
        )
        if newest and not self._knows(ImageRef(inventory.repository, newest.digest)):
            raise CleanupRefusedError(
                f"{inventory.repository}: the ledger does not know {newest.digest.short}, pushed on"
                f" {newest.pushed_at:%Y-%m-%d}: it is older than the registry, or events were lost: imagegate doctor"
            )

    def _knows(self, image: ImageRef) -> bool:
        history = self.ledger.history(image)
        return bool(history.attempts or history.indexes) or self.ledger.ignored(image) is not None

    def of_repository(self, inventory: RepositoryInventory, stage: Stage) -> dict[Digest, list[str]]:
        """Return the reasons that need no request for each image: what runs, and what is released."""
        reasons = {**inventory.doubts}
        for digest, why in (
            *self.used.reasons(inventory.repository, inventory.images).items(),
            *self._release_reasons(inventory.repository, stage),
        ):
            reasons.setdefault(digest, []).extend(why)
        return reasons

    def of_image(self, repository: str, image: StoredImage, stage: Stage, now: datetime) -> list[str]:
        """Return the reasons of an image that would go otherwise: by strongly consistent reads, and by Inspector."""
        ref = ImageRef(repository, image.digest)
        reasons = [*self._attempt_reasons(ref, stage, now)]
        if stage.name in self.policy.base_stages and ref in self.bases.in_use():
            reasons.append("is the base of a release that stays")
        if self.scanner is Scanner.ENHANCED and (people_tags(image) or not image.subject):
            reasons += [f"was seen to run in {one.cluster}" for one in self.usage.clusters(ref)]
        if self.used.clusters and image.is_index:
            reasons.append("may run in Amazon EKS: Inspector does not say it for images of several platforms")
        return reasons

    def _attempt_reasons(self, image: ImageRef, stage: Stage, now: datetime) -> Iterator[str]:
        attempts = self.ledger.history(image).attempts
        for attempt in attempts:
            if attempt.is_open:
                yield (
                    "soaks"
                    if attempt.soaks_until
                    else f"is in a release that runs (attempt {attempt.attempt})"
                )
            elif attempt.closed_at and now - attempt.closed_at < _DAY:
                yield "was decided less than a day ago"
        if attempts and attempts[0].outcome is Outcome.HELD and now < self._decided_by(attempts[0], stage):
            yield "waits for an approval"

    def _decided_by(self, release: Release, stage: Stage) -> datetime:
        """Return when the time to approve it is over, by the policy that judged it: another may have given more."""
        closed_at = release.closed_at or release.started_at
        if release.policy != self.policy.digest:
            return closed_at + _LONGEST_DECISION
        following = self.policy.next_stage(stage)
        terms = following.approval if following else None
        return closed_at + (terms.expires if terms else _LONGEST_DECISION)

    def _release_reasons(self, repository: str, stage: Stage) -> Iterator[tuple[Digest, list[str]]]:
        for number, release in enumerate(self._releases(repository, stage)[: stage.cleanup.keep_releases]):
            rank = (
                "the current release"
                if number == 0
                else f"among the last {stage.cleanup.keep_releases} releases"
            )
            for digest in (release.image.digest, *release.platforms):
                yield digest, [f"is {rank} of {repository}"]
        for later, later_stage in self._later(repository, stage):
            for release in self._releases(later, later_stage)[:1]:
                yield release.image.digest, [f"is the current release of {later}"]

    def _releases(self, repository: str, stage: Stage) -> Sequence[Release]:
        if repository not in self._released:
            rollbacks = self.ledger.rollbacks(repository)
            announced = announced_releases(self.ledger.recent_of_repository(repository), rollbacks, stage)
            if len(self._released) > _CACHED:
                self._released.clear()  # memory stays flat, whatever the number of repositories
            self._released[repository] = announced
        return self._released[repository]

    def _later(self, repository: str, stage: Stage) -> Iterator[tuple[str, Stage]]:
        """Yield the repositories of this registry to which the images of this one go on, with their stages."""
        app = stage.repositories.app_of(repository) or ""
        following = self.policy.next_stage(stage)
        while following is not None and following.remote is None:
            yield following.repositories.repository_of(app), following
            following = self.policy.next_stage(following)
