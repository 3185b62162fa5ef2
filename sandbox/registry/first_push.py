"""Repositories that a first push creates, by a creation template of the registry.

Source: Amazon ECR user guide, "Repository creation templates". Unverified: the pusher needs ecr:CreateRepository.
"""

from __future__ import annotations

from typing import Any

from sandbox.registry.errors import RegistryError
from sandbox.registry.store import hooks, store

_ROOT = "ROOT"  # the template of the names that no other template covers


def create_by_template(name: str, caller: str) -> None:
    """Create the repository if a template for pushes covers its name; `caller` is the access key of the pusher."""
    with store().lock:
        template = _template_for(name)
        if template is None or name in store().backend.repositories:
            return
        _check_permissions(name, template, caller)
        _create(name, template)


def _template_for(name: str) -> dict[str, Any] | None:
    """Return the template with the longest prefix of the name; each prefix ends with a `/`."""
    templates = {
        prefix.removesuffix("/") + "/": template
        for prefix, template in store().creation_templates.items()
        if "CREATE_ON_PUSH" in template.get("appliedFor", ())
    }
    covering = [prefix for prefix in templates if name.startswith(prefix)]
    return templates.get(max(covering, key=len, default=f"{_ROOT}/"))


def _check_permissions(name: str, template: dict[str, Any], caller: str) -> None:
    settings = store().settings
    arn = f"arn:aws:ecr:{settings.region}:{settings.account}:repository/{name}"
    _check(hooks().is_allowed(caller, "ecr:CreateRepository", arn), "The pusher", "ecr:CreateRepository", arn)
    encryption = template.get("encryptionConfiguration") or {}
    needs_role = bool(template.get("resourceTags")) or encryption.get("encryptionType", "AES256") != "AES256"
    role = template.get("customRoleArn", "")
    for action in ("ecr:CreateRepository", "ecr:TagResource") if needs_role else ():
        _check(hooks().may_role(role, action, arn), f"The template's role {role}", action, arn)


def _check(is_allowed: bool, who: str, action: str, arn: str) -> None:
    if not is_allowed:
        message = f"{who} is not authorized to perform: {action} on resource: {arn}"
        raise RegistryError(403, "DENIED", message)


def _create(name: str, template: dict[str, Any]) -> None:
    backend = store().backend
    backend.create_repository(
        name,
        None,
        template.get("encryptionConfiguration"),
        None,
        template["imageTagMutability"],
        template.get("resourceTags") or [],
        template.get("imageTagMutabilityExclusionFilters"),
    )
    if policy := template.get("repositoryPolicy"):
        backend.set_repository_policy(store().settings.account, name, policy)
    if lifecycle := template.get("lifecyclePolicy"):
        backend.put_lifecycle_policy(store().settings.account, name, lifecycle)
