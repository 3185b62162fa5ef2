"""Break-glass: in an emergency, one image may run and go on to its next stage although its gate did not pass it.

Rules: it is about one digest, it expires, and it never leads to a signature: an image that ran by it can always be
distinguished from an image that passed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Self

from imagegate.canonical_json import canonical_json, parse_timestamp, timestamp
from imagegate.errors import RejectedInputError
from imagegate.oci.image import Digest, ImageRef

LONGEST = timedelta(days=7)
# The end is announced this long before, if the break-glass lasts longer than twice that.
ENDING = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """A break-glass that counts until `expires`. `platforms`: of an index, because its platforms are what runs."""

    repositories: str  # a name, or a glob: `shop-*`
    digest: Digest
    reason: str
    expires: datetime
    granted_at: datetime
    granted_by: str  # ARN
    platforms: tuple[Digest, ...] = ()
    withdrawn_at: datetime | None = None

    @property
    def id(self) -> str:
        """A short name: `b-`, then twelve hex digits of the hash of the contents."""
        contents = {k: v for k, v in self.as_json().items() if k != "withdrawnAt"}
        return "b-" + hashlib.sha256(canonical_json(contents)).hexdigest()[:12]

    @property
    def where(self) -> str:
        """`shop-*@sha256:0123456789ab`."""
        return f"{self.repositories}@{self.digest.short}"

    @property
    def ends_at(self) -> datetime:
        return min(self.expires, self.withdrawn_at or self.expires)

    def covers(self, image: ImageRef) -> bool:
        """Return True if it is about this image, or about an index that has this image as a platform."""
        is_there = fnmatchcase(image.repository, self.repositories)
        return is_there and image.digest in (self.digest, *self.platforms)

    def counts(self, now: datetime) -> bool:
        return self.granted_at <= now < self.ends_at

    def is_ending(self, now: datetime) -> bool:
        is_long = self.expires - self.granted_at > 2 * ENDING
        return is_long and self.counts(now) and self.ends_at - now <= ENDING

    def fault(self) -> str | None:
        """Return why it cannot be granted, or None if it can."""
        if self.expires <= self.granted_at:
            return "would be over already"
        if self.expires - self.granted_at > LONGEST:
            return f"lasts longer than {LONGEST.days} days: mend the image, or waive what blocks it"
        return None

    def __str__(self) -> str:
        return f"break-glass until {self.ends_at:%Y-%m-%d %H:%M} UTC by {self.granted_by}: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        withdrawn = {"withdrawnAt": timestamp(self.withdrawn_at)} if self.withdrawn_at else {}
        return {
            "repositories": self.repositories,
            "digest": str(self.digest),
            "platforms": [str(platform) for platform in self.platforms],
            "reason": self.reason,
            "expires": timestamp(self.expires),
            "grantedAt": timestamp(self.granted_at),
            "grantedBy": self.granted_by,
            **withdrawn,
        }

    @classmethod
    def from_json(cls, raw: Any) -> Self:
        """Read the output of `as_json`. Raises `RejectedInputError` for anything else."""
        try:
            withdrawn = raw.get("withdrawnAt")
            return cls(
                repositories=raw["repositories"],
                digest=Digest.parse(raw["digest"]),
                platforms=tuple(map(Digest.parse, raw["platforms"])),
                reason=raw["reason"],
                expires=parse_timestamp(raw["expires"]),
                granted_at=parse_timestamp(raw["grantedAt"]),
                granted_by=raw["grantedBy"],
                withdrawn_at=parse_timestamp(withdrawn) if withdrawn else None,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RejectedInputError(f"not a break-glass: {error!r}") from error


def active_break_glass(
    granted: Iterable[BreakGlass], image: ImageRef, now: datetime, since: datetime | None = None
) -> BreakGlass | None:
    """Return the break-glass that lets the image through now, or None; the one that ends last if there are several.

    `since`: the time at which the image's signature was revoked; what was granted before then does not count.
    """
    active = [one for one in granted if one.covers(image) and one.counts(now)]
    later = [one for one in active if since is None or one.granted_at > since]
    return max(later, key=lambda one: one.ends_at, default=None)
