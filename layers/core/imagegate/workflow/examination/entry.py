"""Read the way by which an image came into its repository. Only the ledger proves it.

Rules: a promotion claims each tag before it pushes the tag, and only for an image that may leave its stage. The ledger
has the promotion afterwards. A revoked image does not count as promoted. A platform comes with its index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from imagegate.gate.facts import CameBy
from imagegate.oci.image import ImageRef
from imagegate.ports.ledger import Releases, TagHolders
from imagegate.release.release import History, Release, StartReason

if TYPE_CHECKING:
    from imagegate.policy.policy import Policy


class EntryLedger(Releases, TagHolders, Protocol):
    """The parts of the ledger that `ReadEntry` uses."""


@dataclass(frozen=True, slots=True)
class ReadEntry:
    ledger: EntryLedger

    def run(self, policy: Policy, release: Release, tags: Iterable[str]) -> CameBy:
        """Return how the image of the release came. `tags` are those that point to it now."""
        image = release.image
        if policy.repositories_before(image.repository) and self._was_promoted(policy, image, tags):
            return CameBy.PROMOTION
        # `start_release` adopts only images from before the installation.
        attempts = (release,) if release.attempt == 1 else self.ledger.history(image).attempts
        if any(attempt.reason is StartReason.ADOPTED for attempt in attempts):
            return CameBy.ADOPTION
        return CameBy.PUSH

    def _was_promoted(self, policy: Policy, image: ImageRef, tags: Iterable[str]) -> bool:
        before = list(self._before(policy, image))
        if any(history.attempts[0].revoked for history in before if history.attempts):
            return False
        promotions = (attempt.promotion for history in before for attempt in history.attempts)
        if any(
            one is not None and (one.repository, one.digest) == (image.repository, image.digest)
            for one in promotions
        ):
            return True
        if any(self.ledger.holder(image.repository, tag) == image.digest for tag in tags):
            return True
        indexes = {index for history in before for index in history.indexes}
        return any(self._was_promoted(policy, ImageRef(image.repository, index), ()) for index in indexes)

    def _before(self, policy: Policy, image: ImageRef) -> Iterator[History]:
        for repository in policy.repositories_before(image.repository):
            yield self.ledger.history(ImageRef(repository, image.digest))
