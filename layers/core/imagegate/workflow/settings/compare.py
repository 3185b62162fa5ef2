"""Compares settings with the baseline, one repository after the other, and changes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imagegate.baseline.plan import FoundRepository, SettingsPlan, plan_repository
from imagegate.baseline.registry import REGISTRY, plan_registry
from imagegate.baseline.terms import RepositoryTerms, SettingsDocument, merge_all
from imagegate.errors import ImageNotFoundError, RejectedInputError

if TYPE_CHECKING:
    from imagegate.baseline.registry import FoundRegistry
    from imagegate.baseline.repository_policy import GateRegistry
    from imagegate.baseline.section import RegistryBaseline
    from imagegate.baseline.terms import RegistryTerms
    from imagegate.policy.policy import Policy
    from imagegate.ports.settings import ChangeableSettings

AT_ONCE = 100  # Amazon ECR API reference, DescribeRepositories.repositoryNames


class SettingsChangedError(RejectedInputError):
    """Somebody has changed a repository since it was planned."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Plans for the repositories of a policy and for the registry. There is no state: ECR says what there is.

    `key_of` returns the ARN of the key of an alias. Without it, an alias is not compared with the key of a repository.
    """

    policy: Policy
    baseline: RegistryBaseline
    registry: GateRegistry
    settings: ChangeableSettings
    key_of: Callable[[str], str] | None = None

    def covered(self) -> list[str]:
        """Return the repositories that the baseline says something about, in the order of their names."""
        return sorted(name for name in self.settings.names() if self._terms(name) is not None)

    def described(self, names: Sequence[str]) -> Iterator[tuple[str, FoundRepository | None]]:
        """Yield repositories as one call for every 100 describes them, or None for one that is not there."""
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            found = self.settings.described(some)
            yield from ((name, found.get(name)) for name in some)

    def plan(self, subject: str) -> SettingsPlan | None:
        """Return the plan of a repository or of REGISTRY, or None if the baseline says nothing about it."""
        if subject == REGISTRY:
            return self._plan_registry()
        if self.terms_of(subject) is None:
            return None
        return self.plan_described(subject, self.settings.described([subject]).get(subject))

    def plan_described(self, name: str, described: FoundRepository | None) -> SettingsPlan | None:
        """Return the plan of a repository that is described already. Only what the baseline names is read."""
        terms = self.terms_of(name)
        if terms is None:
            return None
        found = described and self.settings.completed(described, terms.documents)
        return plan_repository(name, terms, found, self.registry)

    def apply(self, plan: SettingsPlan) -> SettingsPlan | None:
        """Change what the plan says, and return the plan that is left.

        It is planned again first. Raises `SettingsChangedError` if the new plan has a change that this one had not.
        """
        current = self.plan(plan.subject)
        if current is None or not current.changes:
            return current
        if any(change not in plan.changes for change in current.changes):
            raise SettingsChangedError("somebody has changed it since it was planned: plan again")
        for change in current.changes:
            self.settings.send(change)
        return self.plan(plan.subject)

    def create(self, name: str, like: str) -> None:
        """Create a repository at the baseline; it takes what the baseline does not name from the repository `like`.

        ECR mounts blobs only between repositories with equal encryption. Raises `ImageNotFoundError` if `like` is gone.
        """
        model = self.settings.described([like]).get(like)
        if model is None:
            raise ImageNotFoundError(f"{like}: there is no such repository")
        tags = self.settings.completed(model, (SettingsDocument.TAGS,)).tags
        # Nobody but AWS may set its own tags.
        kept = {key: value for key, value in tags.items() if not key.startswith("aws:")}
        source = RepositoryTerms(model.tag_mutability, True, encryption=model.encryption, tags=kept)
        terms = merge_all([source, self.terms_of(name) or RepositoryTerms()])
        for change in plan_repository(name, terms, None, self.registry).changes:
            self.settings.send(change)

    def terms_of(self, name: str) -> RepositoryTerms | None:
        """Return the terms of a repository, or None if the baseline says nothing about it.

        Raises `MissingKeyError` if its key is an alias that does not exist.
        """
        terms = self._terms(name)
        return terms and self._with_key(terms)

    def _with_key(self, terms: RepositoryTerms) -> RepositoryTerms:
        encryption = terms.encryption
        if self.key_of is None or not encryption or not encryption.key or not encryption.names_an_alias:
            return terms
        return replace(terms, encryption=replace(encryption, key=self.key_of(encryption.key)))

    def _of_template(self, terms: RepositoryTerms) -> RepositoryTerms:
        """Return the terms of a template, which has the ARN of its key: without it no template is compared."""
        if not terms.create_on_push or terms.encryption is None or not terms.encryption.names_an_alias:
            return terms
        return self._with_key(terms) if self.key_of else replace(terms, create_on_push=None)

    def _terms(self, name: str) -> RepositoryTerms | None:
        stage = self.policy.stage_of(name)
        return self.baseline.terms_of(name, stage.name if stage else None)

    def _plan_registry(self) -> SettingsPlan:
        return plan_registry(*self.registry_terms(), self.registry)

    def registry_terms(self) -> tuple[RegistryTerms, Mapping[str, RepositoryTerms], FoundRegistry]:
        """Return the terms of the registry, those of names with `*`, and what the registry has now."""
        local = [stage for stage in self.policy.stages.values() if stage.remote is None]
        globs: Mapping[str, str] = {stage.name: stage.repositories.repository_of("*") for stage in local}
        named = self.baseline.patterns_of_registry(globs)
        patterns = {glob: self._of_template(terms) for glob, terms in named.items()}
        terms = self.baseline.registry
        has_templates = any(one.create_on_push for one in patterns.values())
        found = self.settings.registry(
            has_cache=bool(terms.cache),
            has_templates=has_templates,
            has_signing=bool(terms.signing),
            account_settings=terms.account,
        )
        return terms, patterns, found
