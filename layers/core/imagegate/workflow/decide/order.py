"""Order: a person releases an image by hand, also once more, or adopts one from before the installation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from imagegate.errors import RecordNotFoundError, RejectedInputError
from imagegate.release.order import Order

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.policy.policy import Policy
    from imagegate.ports.executions import Starter
    from imagegate.ports.grants import WritableGrants
    from imagegate.ports.images import Images
    from imagegate.ports.ledger import Releases
    from imagegate.release.release import StartReason


class OrderRefusedError(RejectedInputError):
    """The image cannot be released by hand. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRelease:
    grants: WritableGrants
    ledger: Releases
    images: Images
    starter: Starter
    policy: Policy

    def run(self, image: ImageRef, tags: Iterable[str], reason: StartReason, by: str, now: datetime) -> Order:
        """Record who ordered the release, then request it. Raises `OrderRefusedError` or `RecordNotFoundError`."""
        if self.policy.stage_of(image.repository) is None:
            raise RecordNotFoundError(f"{image.repository}: no stage of the policy has this repository")
        order = Order(image, frozenset(tags), reason, by, now)
        if missing := order.tags - self.images.facts(image).tags:
            raise OrderRefusedError(f"{image}: does not have the tag {', '.join(sorted(missing))}")
        latest = self.ledger.latest(image)
        if latest is not None and latest.revoked:
            raise OrderRefusedError(f"{image}: its signature was {latest.revoked}; push another image")
        self.grants.order(order)
        self.starter.request(image, sorted(order.tags), reason)
        return order
