"""The section `baseline` of a policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from imagegate.baseline.terms import RegistryTerms, RepositoryTerms, merge_all


class DriftReaction(StrEnum):
    """The reactions to a setting that somebody changes."""

    REPORT = "report"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class RegistryBaseline:
    """The section `baseline` of a policy. `stages` and `patterns`: their terms, with presets merged in."""

    stages: Mapping[str, RepositoryTerms] = field(default_factory=dict)
    patterns: Mapping[str, RepositoryTerms] = field(default_factory=dict)  # names with *, in the file's order
    registry: RegistryTerms = field(default_factory=RegistryTerms)
    drift: DriftReaction = DriftReaction.REPORT

    @property
    def is_empty(self) -> bool:
        """True if the policy has no baseline."""
        return self == RegistryBaseline(drift=self.drift)

    def terms_of(self, repository: str, stage: str | None) -> RepositoryTerms | None:
        """Return the terms of a repository in a stage, or None if the baseline says nothing about it."""
        layers = list(self._layers(repository, stage))
        return merge_all(layers) if layers else None

    def _layers(self, repository: str, stage: str | None) -> Iterator[RepositoryTerms]:
        if stage is not None and stage in self.stages:
            yield self.stages[stage]
        yield from (terms for glob, terms in self.patterns.items() if fnmatchcase(repository, glob))

    def patterns_of_registry(self, stages: Mapping[str, str]) -> dict[str, RepositoryTerms]:
        """Return the names with `*` that rules and templates of the registry are about, and the settings of each.

        `stages`: the names with `*` of each stage's repositories.
        """
        of_stages = {stages[name]: terms for name, terms in self.stages.items() if name in stages}
        others = [glob for glob, one in self.patterns.items() if one.scanning or one.create_on_push]
        return of_stages | {glob: self._merged(glob, stages) for glob in others}

    def _merged(self, glob: str, stages: Mapping[str, str]) -> RepositoryTerms:
        """Return the terms of a pattern, with those of the stage that all its names belong to."""
        stage = next((name for name, names in stages.items() if fnmatchcase(glob, names)), None)
        return merge_all(list(self._layers(glob, stage)))
