"""Wait for the replicas of a promoted image: until all exist, one failed, or the time is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imagegate.policy.replication import Replication, describe_failures, unfinished_regions
from imagegate.policy.rules import Attention

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.ports.images import Images
    from imagegate.ports.ledger import RecordedReleases
    from imagegate.release.release import Release

PAUSE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitReplicas:
    images: Images
    ledger: RecordedReleases

    def run(self, release: Release, image: ImageRef, wanted: Replication, now: datetime) -> datetime | str:
        """Return the time of the next look, or a note for people: empty if all replicas exist, else with an alert."""
        since = release.replicating_since
        if since is None:
            since = now
            self.ledger.record(release.id, replicating_since=now)
        replicas = self.images.replicas(image)
        waits = unfinished_regions(wanted, replicas)
        if waits and now < since + wanted.timeout:
            return now.replace(microsecond=0) + PAUSE
        notes = describe_failures(wanted, replicas)
        if waits:
            minutes = int(wanted.timeout.total_seconds() // 60)
            notes.append(f"not replicated to {', '.join(waits)} within {minutes} min")
        if notes:
            self.ledger.record(release.id, attention=str(Attention.ALERT))
        return "; ".join(notes)
