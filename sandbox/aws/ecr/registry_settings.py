"""Settings of the registry that moto lacks: pull-through rules, creation templates, and several replication rules.

Source: the service model. Rules and templates are kept, and have no effect. Previews of lifecycle policies are left
out.
"""

from __future__ import annotations

import json
from typing import Any

from moto.core.responses import ActionResult

from sandbox.aws.ecr.layers import LayerOperations
from sandbox.registry.errors import EcrError
from sandbox.registry.store import store
from sandbox.settings import ACCOUNT


class RegistrySettingsOperations(LayerOperations):
    """Operations on the settings of the registry, one method each."""

    def describe_pull_through_cache_rules(self) -> ActionResult:
        prefixes = self._get_param("ecrRepositoryPrefixes") or list(store().cache_rules)
        return ActionResult({"pullThroughCacheRules": [_cache_rule(prefix) for prefix in prefixes]})

    def create_pull_through_cache_rule(self) -> ActionResult:
        prefix = self._get_param("ecrRepositoryPrefix")
        if prefix in store().cache_rules:
            message = f"Pull through cache rule with prefix '{prefix}' already exists"
            raise EcrError("PullThroughCacheRuleAlreadyExistsException", message)
        store().cache_rules[prefix] = self._body()
        return ActionResult(store().cache_rules[prefix])

    def update_pull_through_cache_rule(self) -> ActionResult:
        rule = _cache_rule(self._get_param("ecrRepositoryPrefix"))
        rule.update(self._body())
        return ActionResult(rule)

    def describe_repository_creation_templates(self) -> ActionResult:
        wanted = self._get_param("prefixes")
        templates = [
            template
            for prefix, template in store().creation_templates.items()
            if not wanted or prefix in wanted
        ]
        return ActionResult({"registryId": ACCOUNT, "repositoryCreationTemplates": templates})

    def create_repository_creation_template(self) -> ActionResult:
        prefix = self._get_param("prefix")
        if prefix in store().creation_templates:
            message = f"The repository creation template for prefix '{prefix}' already exists"
            raise EcrError("TemplateAlreadyExistsException", message)
        return self._put_template(prefix)

    def update_repository_creation_template(self) -> ActionResult:
        return self._put_template(self._kept_prefix())

    def delete_repository_creation_template(self) -> ActionResult:
        template = store().creation_templates.pop(self._kept_prefix())
        return ActionResult({"registryId": ACCOUNT, "repositoryCreationTemplate": template})

    def _kept_prefix(self) -> str:
        """Return the prefix of the request. Raises ECR's `TemplateNotFoundException` if it has no template."""
        prefix = str(self._get_param("prefix"))
        if prefix not in store().creation_templates:
            raise EcrError("TemplateNotFoundException", f"There is no template for prefix '{prefix}'")
        return prefix

    def _put_template(self, prefix: str) -> ActionResult:
        """Keep the whole template: an update that leaves a field out sets its default."""
        template = {"imageTagMutability": "MUTABLE", **self._body()}
        store().creation_templates[prefix] = template
        return ActionResult({"registryId": ACCOUNT, "repositoryCreationTemplate": template})

    def put_replication_configuration(self) -> ActionResult:
        """Keep several rules; moto takes one."""
        configuration = self._get_param("replicationConfiguration")
        here = {"region": store().settings.region, "registryId": ACCOUNT}
        if any(here == one for rule in configuration["rules"] for one in rule["destinations"]):
            message = "Replication destination cannot be the same as the source registry"
            raise EcrError("InvalidParameterException", message)
        store().backend.replication_config = configuration
        return ActionResult({"replicationConfiguration": configuration})

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.body)
        return body

    def get_lifecycle_policy_preview(self) -> ActionResult:
        repo = self._repository()
        raise EcrError(
            "LifecyclePolicyPreviewNotFoundException",
            f"Lifecycle policy preview does not exist for the repository with name '{repo.name}' "
            f"in the registry with id '{repo.registry_id}'",
        )


def _cache_rule(prefix: str) -> dict[str, Any]:
    if prefix not in store().cache_rules:
        message = f"Pull through cache rule with prefix '{prefix}' does not exist"
        raise EcrError("PullThroughCacheRuleNotFoundException", f"{message} in registry '{ACCOUNT}'")
    return store().cache_rules[prefix]
