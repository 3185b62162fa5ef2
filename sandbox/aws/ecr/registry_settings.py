"""Operations of ECR that moto lacks and that a registry without such settings answers: none are configured.

Source: the service model. Creating a pull-through rule or a template, and previews of lifecycle policies, are left out.
"""

from __future__ import annotations

from moto.core.responses import ActionResult

from sandbox.aws.ecr.layers import LayerOperations
from sandbox.registry.errors import EcrError
from sandbox.settings import ACCOUNT


class RegistrySettingsOperations(LayerOperations):
    """Listings of settings that this registry never has, one method each."""

    def describe_pull_through_cache_rules(self) -> ActionResult:
        if prefixes := self._get_param("ecrRepositoryPrefixes"):
            message = f"Pull through cache rule with prefix '{prefixes[0]}' does not exist"
            raise EcrError("PullThroughCacheRuleNotFoundException", f"{message} in registry '{ACCOUNT}'")
        return ActionResult({"pullThroughCacheRules": []})

    def describe_repository_creation_templates(self) -> ActionResult:
        return ActionResult({"registryId": ACCOUNT, "repositoryCreationTemplates": []})

    def get_lifecycle_policy_preview(self) -> ActionResult:
        repo = self._repository()
        raise EcrError(
            "LifecyclePolicyPreviewNotFoundException",
            f"Lifecycle policy preview does not exist for the repository with name '{repo.name}' "
            f"in the registry with id '{repo.registry_id}'",
        )
