"""Audit the settings of repositories, and of the registry, against the policy and its baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagegate.audit.access import ACCESS_LOOKS
from imagegate.audit.checks import CATALOGUE, AuditCheck, AuditSubject
from imagegate.audit.finding import AuditedResource, ResourceKind
from imagegate.audit.registry_settings import RegistrySettings, check_registry
from imagegate.audit.report import AuditPart, part_of
from imagegate.audit.settings import (
    SETTINGS_LOOKS,
    RepositoryExpectations,
    RepositoryPart,
    RepositorySettings,
    check_settings,
)
from imagegate.errors import ImageGateError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Collection

    from imagegate.baseline.plan import FoundRepository
    from imagegate.baseline.repository_policy import GateRegistry
    from imagegate.baseline.section import RegistryBaseline
    from imagegate.policy.policy import Policy, Stage
    from imagegate.ports.audit import AuditedSettings
    from imagegate.ports.cleanup import StoredImages

_LOOKS = {**SETTINGS_LOOKS, **ACCESS_LOOKS}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """Audits the settings of one repository after the other, and those of the registry."""

    settings: AuditedSettings
    images: StoredImages
    policy: Policy
    baseline: RegistryBaseline
    registry: GateRegistry

    @property
    def checks(self) -> tuple[AuditCheck, ...]:
        return tuple(CATALOGUE[name] for name in _LOOKS)

    @property
    def registry_checks(self) -> tuple[AuditCheck, ...]:
        return tuple(check for check in CATALOGUE.values() if check.subject is AuditSubject.REGISTRY)

    def audit(self, repository: str) -> AuditPart:
        """Return the results. Raises what the registry raises if nothing is known about the repository."""
        read = self.settings.read_repository(repository)
        if read is None:
            return part_of((), made=self.checks)  # it was deleted meanwhile
        stage = self.policy.stage_of(repository)
        tags, unread = self._image_tags(read.found)
        settings = RepositorySettings(
            resource=_resource(read.found, stage),
            found=read.found,
            frequency=read.frequency,
            image_tags=tags,
            unread={**read.unread, **unread},
            owner=self.policy.owner_of(repository),
        )
        terms = self.baseline.terms_of(repository, stage.name if stage else None)
        expected = RepositoryExpectations(registry=self.registry, stage=stage, terms=terms)
        return part_of(check_settings(settings, expected, _LOOKS), made=self.checks)

    def _image_tags(
        self, found: FoundRepository
    ) -> tuple[Collection[frozenset[str]], dict[RepositoryPart, str]]:
        """Return the tags of each image, read only if a lifecycle rule goes by tags; or why they cannot be read."""
        rules = (found.lifecycle or {}).get("rules", ())
        if not any(rule.get("selection", {}).get("tagStatus") == "tagged" for rule in rules):
            return (), {}
        try:
            return [one.tags for one in self.images.stored(found.name)], {}
        except RetryableError:
            raise
        except ImageGateError as error:
            return (), {RepositoryPart.IMAGES: str(error)}

    def audit_registry(self) -> AuditPart:
        """Return the results for the settings of the registry."""
        local = [stage for stage in self.policy.stages.values() if stage.remote is None]
        globs = {stage.name: stage.repositories.repository_of("*") for stage in local}
        patterns, terms = self.baseline.patterns_of_registry(globs), self.baseline.registry
        has_templates = any(one.create_on_push for one in patterns.values())
        read = self.settings.read_registry(
            has_cache=bool(terms.cache),
            has_templates=has_templates,
            has_signing=bool(terms.signing),
            account_settings=terms.account,
        )
        settings = RegistrySettings(
            registry=self.registry,
            found=read.found,
            terms=terms,
            patterns=patterns,
            scanner=self.policy.scanner,
            unread=read.unread,
        )
        return part_of(check_registry(settings), made=self.registry_checks)


def _resource(found: FoundRepository, stage: Stage | None) -> AuditedResource:
    return AuditedResource(
        ResourceKind.REPOSITORY, found.arn, found.name, stage=stage.name if stage else None
    )
