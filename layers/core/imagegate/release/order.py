"""An order: a person's request for a release of one image. It is stored with their name, and serves one attempt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from imagegate.canonical_json import parse_timestamp
from imagegate.errors import RejectedInputError
from imagegate.oci.image import ImageRef
from imagegate.release.release import Release, StartReason

# Longer than Lambda retries the start of the ordered release.
ORDER_LIFETIME = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Order:
    image: ImageRef
    tags: frozenset[str]
    reason: StartReason  # OPERATOR or ADOPTED
    by: str  # ARN
    at: datetime

    def counts(self, latest: Release | None, now: datetime) -> bool:
        """Return True while the order is fresh, and no attempt began and ended since. `latest`: the latest attempt."""
        is_served = latest is not None and not latest.is_open and latest.started_at >= self.at
        return now - self.at <= ORDER_LIFETIME and not is_served

    def as_json(self) -> dict[str, Any]:
        return {
            "repository": self.image.repository,
            "digest": str(self.image.digest),
            "tags": sorted(self.tags),
            "reason": str(self.reason),
            "by": self.by,
            "at": self.at.isoformat(),
        }

    @classmethod
    def from_json(cls, raw: Any) -> Self:
        """Read the output of `as_json`. Raises `RejectedInputError` for anything else."""
        try:
            return cls(
                image=ImageRef.of(raw["repository"], raw["digest"]),
                tags=frozenset(map(str, raw["tags"])),
                reason=StartReason(raw["reason"]),
                by=raw["by"],
                at=parse_timestamp(raw["at"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RejectedInputError(f"not an order: {error!r}") from error


def newest_order(orders: Iterable[Order], reason: StartReason) -> Order | None:
    """Return the newest order with this reason, or None if there is none."""
    return max((one for one in orders if one.reason is reason), key=lambda one: one.at, default=None)
