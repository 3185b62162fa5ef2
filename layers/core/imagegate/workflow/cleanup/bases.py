"""Base images of the releases that stay: their decisions say what they are built on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from imagegate.gate.decision_record import Decision
from imagegate.oci.image import ImageRef
from imagegate.policy.rules import is_on
from imagegate.ports.ledger import ReleaseLists

if TYPE_CHECKING:
    from imagegate.policy.policy import Policy, Stage
    from imagegate.ports.records import StoredRecords
    from imagegate.release.release import Release


class BasesLedger(ReleaseLists, Protocol):
    """The part of the ledger that `BasesInUse` uses."""


@dataclass(kw_only=True)
class BasesInUse:
    """Finds the bases once for a run, and only if an image in a stage of base images would go."""

    ledger: BasesLedger
    records: StoredRecords
    policy: Policy
    repositories: Callable[[], Iterable[str]]
    _found: Set[ImageRef] | None = field(default=None)

    def in_use(self) -> Set[ImageRef]:
        """Return the bases of the newest decided attempts of all repositories whose gates look at bases."""
        if self._found is None:
            self._found = frozenset(self._find())
        return self._found

    def _find(self) -> Iterator[ImageRef]:
        for repository in self.repositories():
            stage = self.policy.stage_of(repository)
            if stage is not None and is_on(stage.image.base_images):
                for release in self._kept(repository, stage):
                    yield from _bases(self._facts(release))

    def _kept(self, repository: str, stage: Stage) -> Iterator[Release]:
        """Yield twice as many attempts as releases stay: some of them were not released."""
        decided = (one for one in self.ledger.recent_of_repository(repository) if one.decision)
        return islice(decided, 2 * stage.cleanup.keep_releases)

    def _facts(self, release: Release) -> Any:
        if release.decision is None:
            return None
        return Decision.decode(self.records.decision(release.decision)).facts


def _bases(facts: Any) -> Iterator[ImageRef]:
    """Yield the bases in the facts of a decision: of the image, or of each platform of an index."""
    if isinstance(facts, list):
        for one in facts:
            yield from _bases(one)
    if isinstance(facts, dict):
        base = facts.get("base")
        if isinstance(base, dict):
            yield ImageRef.of(base["repository"], base["digest"])
        for value in facts.values():
            yield from _bases(value)
