"""Announce once that a released image was deleted. The event says only when to look; ECR decides."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from imagegate.deployment.rollback import current_release
from imagegate.errors import ImageNotFoundError
from imagegate.notices.deletion_notice import image_deleted, notice
from imagegate.ports.ledger import ReleaseLists, Releases, Rollbacks
from imagegate.ports.pending import Notices
from imagegate.release.release import Outcome, Release

if TYPE_CHECKING:
    from imagegate.oci.image import Digest, ImageRef
    from imagegate.policy.policy import Policy, Stage
    from imagegate.ports.images import Images
    from imagegate.ports.services import Notifications

# An image that passed is released in its stage, also while it waits for the approval of the next one.
_RELEASED = frozenset({Outcome.RELEASED, Outcome.HELD})


class DeletionLedger(Releases, ReleaseLists, Rollbacks, Notices, Protocol):
    """The parts of the ledger that `AnnounceDeletion` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceDeletion:
    """Announces deletions. Children of indexes and evidence have no release, so they are not announced."""

    images: Images
    ledger: DeletionLedger
    notifications: Notifications
    policy: Policy

    def on_deleted(self, image: ImageRef, now: datetime) -> bool:
        """Announce the deletion, and return True if a message was sent. An image that only lost a tag still exists."""
        stage = self.policy.stage_of(image.repository)
        if stage is None:
            return False
        attempts = self.ledger.history(image).attempts
        released = next((attempt for attempt in attempts if attempt.outcome in _RELEASED), None)
        return released is not None and self._announce(released, stage, now)

    def look(self, repository: str, now: datetime, there: Container[Digest]) -> bool:
        """Announce a current image that was deleted without an event, if its stage is the last one.

        `there`: images that ECR has just listed.
        """
        stage = self.policy.stage_of(repository)
        if stage is None or stage.promotes_to is not None:
            return False
        current = self._current(repository, stage)
        if current is None or current.image.digest in there:
            return False
        return self.on_deleted(current.image, now)

    def _announce(self, release: Release, stage: Stage, now: datetime) -> bool:
        name = notice(release)
        if self._is_there(release.image) or not self.ledger.claim(name, now):
            return False
        before = self.policy.repositories_before(release.image.repository)
        is_current = stage.promotes_to is None and self._is_current(release, stage)
        self.notifications.publish(image_deleted(release, stage, before, is_current=is_current))
        self.ledger.note(name)
        return True

    def _is_current(self, release: Release, stage: Stage) -> bool:
        current = self._current(release.image.repository, stage)
        return current is not None and current.image == release.image

    def _current(self, repository: str, stage: Stage) -> Release | None:
        """Return the release that was announced to deployers last, or None."""
        rollbacks = self.ledger.rollbacks(repository)
        return current_release(self.ledger.recent_of_repository(repository), rollbacks, stage)

    def _is_there(self, image: ImageRef) -> bool:
        try:
            self.images.facts(image)
        except ImageNotFoundError:
            return False
        return True
