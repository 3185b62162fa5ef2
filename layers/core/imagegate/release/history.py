"""What has become of one digest, over all of its attempts."""

from __future__ import annotations

from dataclasses import dataclass

from imagegate.oci.image import Digest
from imagegate.release.release import Release


@dataclass(frozen=True, slots=True)
class History:
    """All that the ledger says of one digest, read at once."""

    attempts: tuple[Release, ...] = ()  # newest first
    indexes: tuple[Digest, ...] = ()  # that were released with this digest as one of their platforms
