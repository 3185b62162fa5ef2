"""How an image came into its repository: what the ledger proves, never what somebody says.

Rules: a promotion claims each tag before it pushes it, and only for what may leave its stage; it is noted on the
release afterwards. What was revoked since came by nothing. A platform came with its index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from imagegate.gate.facts import CameBy
from imagegate.oci.image import ImageRef
from imagegate.policy.policy import Policy
from imagegate.ports.ledger import Releases, TagHolders
from imagegate.release.release import History, StartReason


class EntryLedger(Releases, TagHolders, Protocol):
    """The parts of the ledger that `ReadEntry` uses."""


@dataclass(frozen=True, slots=True)
class ReadEntry:
    ledger: EntryLedger

    def run(self, policy: Policy, image: ImageRef, tags: Iterable[str]) -> CameBy:
        """`tags`: the ones that point to the image now."""
        if self._was_promoted(policy, image, tags):
            return CameBy.PROMOTION
        # `start_release` adopts only what was there before the installation.
        here = self.ledger.history(image)
        if any(attempt.reason is StartReason.ADOPTED for attempt in here.attempts):
            return CameBy.ADOPTION
        return CameBy.PUSH

    def _was_promoted(self, policy: Policy, image: ImageRef, tags: Iterable[str]) -> bool:
        before = list(self._before(policy, image))
        if any(history.attempts[0].revoked for history in before if history.attempts):
            return False
        noted = (attempt.promotion for history in before for attempt in history.attempts)
        if any(
            one is not None and (one.repository, one.digest) == (image.repository, image.digest)
            for one in noted
        ):
            return True
        if any(self.ledger.holder(image.repository, tag) == image.digest for tag in tags):
            return True
        indexes = {index for history in before for index in history.indexes}
        return any(self._was_promoted(policy, ImageRef(image.repository, index), ()) for index in indexes)

    def _before(self, policy: Policy, image: ImageRef) -> Iterator[History]:
        for repository in policy.before(image.repository):
            yield self.ledger.history(ImageRef(repository, image.digest))
