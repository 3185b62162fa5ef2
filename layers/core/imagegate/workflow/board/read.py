"""Reads the board from the ledger, the grants and the records. It writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imagegate.board.board import Board
from imagegate.board.vulnerabilities import VulnerabilityIndex
from imagegate.workflow.board.application import BoardLedger, BoardReading, ReadApplication

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.policy.policy import Policy
    from imagegate.ports.grants import Grants
    from imagegate.ports.records import LaterFindings

# The applications without an attempt in this time are on the board if an image of theirs is in use.
_RECENT = timedelta(days=90)


# Calls a function for each item, perhaps many at a time, and returns the results in order.
Each = Callable[[Callable[[str], "ReadApplication"], Sequence[str]], Iterable["ReadApplication"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBoard:
    """Reads the board. `each` calls a function for all applications."""

    stack: str
    ledger: BoardLedger
    records: LaterFindings
    grants: Grants
    policy: Policy
    each: Each = map

    def run(self, now: datetime) -> Board:
        """Return the board as it is now."""
        queue = {due.image: due for due in self.ledger.images_in_use()}
        repositories = self._repositories(queue, now)
        reading = BoardReading(
            ledger=self.ledger,
            records=self.records,
            grants=self.grants,
            policy=self.policy,
            now=now,
            queue=queue,
            risks={risk.image: risk for risk in self.ledger.risks()},
            glass=[one for one in self.grants.broken_glass() if one.counts(now)],
            repositories=repositories,
        )
        read = list(self.each(reading.application, sorted(repositories)))
        known = VulnerabilityIndex()
        for one in read:
            known.add(one.places, one.refused)
        return Board(
            stack=self.stack,
            made_at=now,
            policy=self.policy.digest,
            stages=[stage.name for stage in self.policy.stages.values() if stage.remote is None],
            last_stages=frozenset(
                name for name, stage in self.policy.stages.items() if stage.promotes_to is None
            ),
            applications=[one.application for one in read],
            vulnerabilities=known.gravest(),
            known_vulnerabilities=len(known),
        )

    def _repositories(self, queue: Iterable[ImageRef], now: datetime) -> dict[str, dict[str, str]]:
        """Return the repository of each application at each stage, by the names of both."""
        seen_in = {image.repository for image in queue}
        seen_in |= {one.image.repository for one in self.ledger.recent(now - _RECENT, now)}
        found: dict[str, dict[str, str]] = {}
        for repository in sorted(seen_in):
            following: str | None = repository
            while following is not None and (stage := self.policy.stage_of(following)) is not None:
                name = stage.repositories.app_of(following) or following
                stages = found.setdefault(name, {})
                if stage.name in stages:
                    break
                stages[stage.name] = following
                following = self.policy.target_of(following)
        return found
