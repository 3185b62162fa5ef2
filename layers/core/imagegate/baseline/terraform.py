"""The whole baseline as a configuration of Terraform, in its JSON syntax.

Source: documentation of the provider hashicorp/aws, 6.50 and later. Existing resources are imported by `import` blocks,
so that `terraform plan` shows the differences alone; nothing may be destroyed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagegate.baseline.plan import Change
    from imagegate.baseline.whole import WholeBaseline, WholeRepository

Arguments = dict[str, Any]
PROVIDER = ">= 6.50"
# Lists of ECR whose blocks have another name in Terraform.
_BLOCKS = {
    "rules": "rule",
    "destinations": "destination",
    "repositoryFilters": "repository_filter",
    "imageTagMutabilityExclusionFilters": "image_tag_mutability_exclusion_filter",
}


def terraform_configuration(baseline: WholeBaseline) -> dict[str, Any]:
    """Return the configuration, for a file whose name ends with `.tf.json`."""
    resources: dict[str, dict[str, Arguments]] = {}
    imports: list[dict[str, str]] = []
    for kind, name, arguments, import_id in _resources(baseline):
        resources.setdefault(kind, {})[name] = {**arguments, "lifecycle": {"prevent_destroy": True}}
        if import_id is not None:
            imports.append({"to": f"{kind}.{name}", "id": import_id})
    urls = {
        one.name: f"${{aws_ecr_repository.{label(one.name)}.repository_url}}" for one in baseline.repositories
    }
    aws = {"source": "hashicorp/aws", "version": PROVIDER}
    return {
        "terraform": {"required_version": ">= 1.5", "required_providers": {"aws": aws}},
        **({"import": imports} if imports else {}),
        "resource": resources,
        **({"output": {"repository_urls": {"value": urls}}} if urls else {}),
    }


Resource = tuple[str, str, Arguments, str | None]  # type, label, arguments, id to import by


def _resources(baseline: WholeBaseline) -> Iterator[Resource]:
    for repository in baseline.repositories:
        yield from _of_repository(repository)
    for change in baseline.changes:
        if make := _TYPES.get(change.operation):
            kind, label_of, arguments = make
            yield kind, label_of(change), _literal(arguments(change.request)), _import_id(change, baseline)


def _of_repository(repository: WholeRepository) -> Iterator[Resource]:
    name, found = repository.name, repository.found
    request = dict(repository.creation)
    tags = {one["Key"]: one["Value"] for one in request.pop("tags", ())}
    arguments = _renamed(request) | {"name": name} | ({"tags": tags} if tags else {})
    del arguments["repository_name"]
    yield "aws_ecr_repository", label(name), _literal(arguments), name if found else None
    reference = {"repository": f"${{aws_ecr_repository.{label(name)}.name}}"}
    documents = {
        "aws_ecr_lifecycle_policy": (repository.lifecycle, found and found.lifecycle),
        "aws_ecr_repository_policy": (repository.policy, found and found.policy),
    }
    for kind, (document, present) in documents.items():
        if document is not None:
            policy = _literal({"policy": json.dumps(document)})
            yield kind, label(name), policy | reference, name if present else None


def _import_id(change: Change, baseline: WholeBaseline) -> str | None:
    """Return the id by which Terraform imports a setting of the registry, or None if there is none yet."""
    found, request = baseline.found, change.request
    if found is None:
        return None
    prefix = request.get("prefix") or request.get("ecrRepositoryPrefix")
    if prefix is not None:
        return prefix if prefix in found.templates or prefix in found.cache else None
    if change.operation == "put_account_setting":
        return str(request["name"])
    present = {
        "put_registry_scanning_configuration": True,
        "put_replication_configuration": bool(found.replication),
        "put_registry_policy": found.policy is not None,
        "put_signing_configuration": bool(found.signing),
    }
    return baseline.registry.account if present[change.operation] else None


def label(name: str) -> str:
    """Return a label that no other name has."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "all"
    unique = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"r_{words}_{unique}"


def _literal(value: Any) -> Any:
    """Return a value whose texts Terraform takes as they are: a policy may have variables of its own."""
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, list):
        return [_literal(one) for one in value]
    return {key: _literal(one) for key, one in value.items()} if isinstance(value, dict) else value


def _renamed(value: Any) -> Any:
    """Return a request of ECR with the names of Terraform; an object becomes a block, which is a list."""
    if isinstance(value, list | tuple):
        return [_renamed(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {
        _BLOCKS.get(key) or re.sub(r"(?<!^)([A-Z])", r"_\1", key).lower(): (
            [_renamed(one)] if isinstance(one, Mapping) else _renamed(one)
        )
        for key, one in value.items()
    }


def _policy(request: Mapping[str, Any]) -> Arguments:
    return {"policy": request["policyText"]}


def _template(request: Mapping[str, Any]) -> Arguments:
    rest = {key: value for key, value in request.items() if key != "resourceTags"}
    tags = {one["Key"]: one["Value"] for one in request.get("resourceTags", ())}
    arguments: Arguments = _renamed(rest)
    return arguments | ({"resource_tags": tags} if tags else {})


def _signing(request: Mapping[str, Any]) -> Arguments:
    arguments: Arguments = _renamed(request["signingConfiguration"])
    return arguments


def _one(_change: Change) -> str:
    return "registry"


def _by_prefix(change: Change) -> str:
    return label(str(change.request.get("prefix") or change.request["ecrRepositoryPrefix"]))


def _by_name(change: Change) -> str:
    return str(change.request["name"]).lower()


Make = tuple[str, Callable[["Change"], str], Callable[[Mapping[str, Any]], Arguments]]
_OF_TEMPLATES: Make = ("aws_ecr_repository_creation_template", _by_prefix, _template)
# By the operation of ECR: the type of Terraform, the label of the resource, its arguments.
_TYPES: dict[str, Make] = {
    "put_registry_scanning_configuration": ("aws_ecr_registry_scanning_configuration", _one, _renamed),
    "put_replication_configuration": ("aws_ecr_replication_configuration", _one, _renamed),
    "put_registry_policy": ("aws_ecr_registry_policy", _one, _policy),
    "put_signing_configuration": ("aws_ecr_signing_configuration", _one, _signing),
    "put_account_setting": ("aws_ecr_account_setting", _by_name, dict),
    "create_pull_through_cache_rule": ("aws_ecr_pull_through_cache_rule", _by_prefix, _renamed),
    "create_repository_creation_template": _OF_TEMPLATES,
    "update_repository_creation_template": _OF_TEMPLATES,
}
