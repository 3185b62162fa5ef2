"""The whole baseline as a CloudFormation template.

Source: CloudFormation template reference, "Amazon ECR". Everything is retained when the stack goes: to delete a setting
of the registry would clear it for everybody. Settings of the account have no type there.
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

Properties = dict[str, Any]
# Quotas of CloudFormation.
MOST_RESOURCES = 500
_MOST_OUTPUTS = 200


def cloudformation_template(baseline: WholeBaseline) -> dict[str, Any]:
    """Return the template. Settings that CloudFormation lacks are in its metadata, as the calls that set them."""
    repositories = {resource_id("Repository", one.name): one for one in baseline.repositories}
    resources = {name: _resource("Repository", _repository(one)) for name, one in repositories.items()}
    resources |= {name: resource for change in baseline.changes for name, resource in _of_registry(change)}
    calls = [
        f"aws ecr put-account-setting --name {one['name']} --value {one['value']}"
        for one in _settings(baseline)
    ]
    metadata = {"Metadata": {"imagegate": {"NotInCloudFormation": calls}}} if calls else {}
    outputs = {
        f"{name}Uri": {"Value": {"Fn::GetAtt": [name, "RepositoryUri"]}}
        for name in list(repositories)[:_MOST_OUTPUTS]
    }
    described = f"The baseline of the registry {baseline.registry.name}, by imagegate"
    parts = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": described,
        **metadata,
        "Resources": resources,
    }
    return parts | ({"Outputs": outputs} if outputs else {})


def _settings(baseline: WholeBaseline) -> Iterator[Mapping[str, Any]]:
    return (one.request for one in baseline.changes if one.operation == "put_account_setting")


def resource_id(kind: str, name: str) -> str:
    """Return an id of letters and digits that no other name of this kind has."""
    words = "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", name))
    return f"{kind}{words}{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _resource(kind: str, properties: Properties) -> dict[str, Any]:
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    return {"Type": f"AWS::ECR::{kind}", **kept, "Properties": properties}


def _repository(repository: WholeRepository) -> Properties:
    properties: Properties = _renamed(repository.creation)
    if repository.lifecycle is not None:
        properties["LifecyclePolicy"] = {"LifecyclePolicyText": json.dumps(repository.lifecycle)}
    if repository.policy is not None:
        properties["RepositoryPolicyText"] = repository.policy
    return properties


def _of_registry(change: Change) -> Iterator[tuple[str, dict[str, Any]]]:
    request = change.request
    if make := _TYPES.get(change.operation):
        kind, id_of, properties = make
        yield resource_id(kind, id_of(request)), _resource(kind, properties(request))


def _policy(request: Mapping[str, Any]) -> Properties:
    return {"PolicyText": json.loads(request["policyText"])}


def _signing(request: Mapping[str, Any]) -> Properties:
    properties: Properties = _renamed(request["signingConfiguration"])
    return properties


def _one(_request: Mapping[str, Any]) -> str:
    return ""


def _prefix(request: Mapping[str, Any]) -> str:
    return str(request.get("prefix") or request["ecrRepositoryPrefix"])


def _renamed(value: Any) -> Any:
    """Return a request of ECR with the names of CloudFormation, which begin with a capital."""
    if isinstance(value, list | tuple):
        return [_renamed(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    renamed = {key[0].upper() + key[1:]: _renamed(one) for key, one in value.items()}
    if filters := renamed.pop("ImageTagMutabilityExclusionFilters", None):
        renamed["ImageTagMutabilityExclusionFilters"] = [
            {f"ImageTagMutabilityExclusion{key}": one for key, one in _named(each)} for each in filters
        ]
    return renamed


def _named(exclusion: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield "FilterType", exclusion["FilterType"]
    yield "FilterValue", exclusion["Filter"]


Make = tuple[str, Callable[[Mapping[str, Any]], str], Callable[[Mapping[str, Any]], Properties]]
_TEMPLATE: Make = ("RepositoryCreationTemplate", _prefix, _renamed)
# By the operation of ECR: the type of CloudFormation, the name of the resource, its properties.
_TYPES: dict[str, Make] = {
    "put_registry_scanning_configuration": ("RegistryScanningConfiguration", _one, _renamed),
    "put_replication_configuration": ("ReplicationConfiguration", _one, _renamed),
    "put_registry_policy": ("RegistryPolicy", _one, _policy),
    "put_signing_configuration": ("SigningConfiguration", _one, _signing),
    "create_pull_through_cache_rule": ("PullThroughCacheRule", _prefix, _renamed),
    "create_repository_creation_template": _TEMPLATE,
    "update_repository_creation_template": _TEMPLATE,
}
