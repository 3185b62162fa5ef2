"""Tell once of a released image that is gone. ECR is asked; the event is only a wake-up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from imagegate.deployment.rollback import announced_releases
from imagegate.errors import ImageNotFoundError
from imagegate.notices.deletion_notice import image_deleted, notice
from imagegate.oci.image import ImageRef
from imagegate.policy.policy import Policy, Stage
from imagegate.ports.images import Images
from imagegate.ports.ledger import Notices, ReleaseLists, Releases, Rollbacks
from imagegate.ports.services import Notifications
from imagegate.release.release import Outcome, Release

# What passed is released in its stage, also while the next one holds it.
_RELEASED = frozenset({Outcome.RELEASED, Outcome.HELD})
# Releases of one repository that are looked at, newest first.
_LOOKED_AT = 200


class DeletionLedger(Releases, ReleaseLists, Rollbacks, Notices, Protocol):
    """The parts of the ledger that `TellOfDeletion` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TellOfDeletion:
    """Children of indexes and evidence are no releases of their own: of them nothing is told."""

    images: Images
    ledger: DeletionLedger
    notifications: Notifications
    policy: Policy

    def on_deleted(self, image: ImageRef, now: datetime) -> bool:
        """Whether people were told. An image that only lost a tag is still there."""
        stage = self.policy.stage_of(image.repository)
        if stage is None:
            return False
        attempts = self.ledger.history(image).attempts
        released = next((attempt for attempt in attempts if attempt.outcome in _RELEASED), None)
        return released is not None and self._tell(released, stage, now)

    def look(self, repository: str, now: datetime) -> bool:
        """Tell of a current image that is gone without an event, where nothing is promoted out of its stage."""
        stage = self.policy.stage_of(repository)
        if stage is None or stage.promotes_to is not None:
            return False
        current = self._current(repository, stage)
        return current is not None and self.on_deleted(current.image, now)

    def _tell(self, release: Release, stage: Stage, now: datetime) -> bool:
        told = notice(release)
        if self._is_there(release.image) or not self.ledger.claim(told, now):
            return False
        before = self.policy.before(release.image.repository)
        is_current = stage.promotes_to is None and self._is_current(release, stage)
        self.notifications.publish(image_deleted(release, stage, before, is_current=is_current))
        self.ledger.note(told)
        return True

    def _is_current(self, release: Release, stage: Stage) -> bool:
        current = self._current(release.image.repository, stage)
        return current is not None and current.image == release.image

    def _current(self, repository: str, stage: Stage) -> Release | None:
        """Deployers were told of it last."""
        found = self.ledger.recent_of_repository(repository, _LOOKED_AT)
        return next(iter(announced_releases(found, self.ledger.rollbacks(repository), stage)), None)

    def _is_there(self, image: ImageRef) -> bool:
        try:
            self.images.facts(image)
        except ImageNotFoundError:
            return False
        return True
