"""The settings of repositories and of the registry in Amazon ECR, as the baseline reads and changes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from imagegate.aws.clients import client, translated
from imagegate.baseline.plan import Change, FoundRepository
from imagegate.baseline.registry import FoundRegistry
from imagegate.baseline.terms import Encryption, TagMutability

# Codes of ECR that mean that a setting was never made.
_ABSENT = frozenset(
    {
        "LifecyclePolicyNotFoundException",
        "RegistryPolicyNotFoundException",
        "RepositoryNotFoundException",
        "RepositoryPolicyNotFoundException",
        "SigningConfigurationNotFoundException",
    }
)


class EcrSettings:
    """Reads and changes settings of this account's registry in this Region."""

    def __init__(self) -> None:
        self._client: Any = client("ecr")

    def names(self) -> Iterator[str]:
        """Yield the name of every repository, page by page."""
        with translated({}, subject="the repositories"):
            for page in self._client.get_paginator("describe_repositories").paginate():
                yield from (one["repositoryName"] for one in page["repositories"])

    def repository(self, name: str) -> FoundRepository | None:
        """Return a repository as it is now, or None if there is none. Raises `ThrottledError`."""
        response = self.read("describe_repositories", repositoryNames=[name])
        if response is None:
            return None
        described = response["repositories"][0]
        lifecycle = self.read("get_lifecycle_policy", repositoryName=name)
        policy = self.read("get_repository_policy", repositoryName=name)
        tags = self.read("list_tags_for_resource", resourceArn=described["repositoryArn"]) or {}
        found = found_repository(described)
        return replace(
            found,
            lifecycle=json.loads(lifecycle["lifecyclePolicyText"]) if lifecycle else None,
            policy=json.loads(policy["policyText"]) if policy else None,
            tags={tag["Key"]: tag["Value"] for tag in tags.get("tags", ())},
            is_scanned_by_rule=not found.scan_on_push and self._is_scanned_by_rule(name),
        )

    def _is_scanned_by_rule(self, name: str) -> bool:
        response = self.read("batch_get_repository_scanning_configuration", repositoryNames=[name])
        return any(
            one.get("scanFrequency", "MANUAL") != "MANUAL" for one in response["scanningConfigurations"]
        )

    def registry(self, *, has_cache: bool, has_templates: bool) -> FoundRegistry:
        """Return the documents of the registry; caches and templates only if they are needed."""
        scanning = self.read("get_registry_scanning_configuration") or {}
        replication = self.read("describe_registry") or {}
        policy = self.read("get_registry_policy")
        return FoundRegistry(
            scanning.get("scanningConfiguration", {}),
            replication.get("replicationConfiguration", {}).get("rules", []),
            json.loads(policy["policyText"]) if policy else None,
            self.caches() if has_cache else {},
            self.templates() if has_templates else {},
        )

    def caches(self) -> dict[str, Mapping[str, Any]]:
        """Return the pull-through cache rules by the prefix of their repositories."""
        rules = self._listed("describe_pull_through_cache_rules", "pullThroughCacheRules")
        return {one["ecrRepositoryPrefix"]: one for one in rules}

    def templates(self) -> dict[str, Mapping[str, Any]]:
        """Return the creation templates by their prefix."""
        listed = self._listed("describe_repository_creation_templates", "repositoryCreationTemplates")
        return {one["prefix"]: one for one in listed}

    def _listed(self, operation: str, key: str) -> Iterator[Mapping[str, Any]]:
        with translated({}, subject=operation):
            for page in self._client.get_paginator(operation).paginate():
                yield from page[key]

    def read(self, operation: str, **request: Any) -> Any:
        """Return the answer of a reading call, or None if the setting was never made."""
        try:
            with translated({}, subject=operation):
                return getattr(self._client, operation)(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ABSENT:
                raise
            return None

    def send(self, change: Change) -> None:
        """Carry out a change. Raises `ThrottledError`; other errors of ECR propagate."""
        with translated({}, subject=f"{change.subject}: {change.setting}"):
            getattr(self._client, change.operation)(**change.request)


def found_repository(described: Mapping[str, Any]) -> FoundRepository:
    """Return a repository as DescribeRepositories has it, without the documents that have calls of their own."""
    return FoundRepository(
        described["repositoryName"],
        described["repositoryArn"],
        _mutability(described),
        bool(described.get("imageScanningConfiguration", {}).get("scanOnPush")),
        _encryption(described.get("encryptionConfiguration", {})),
    )


def _mutability(described: Mapping[str, Any]) -> TagMutability:
    filters: Iterable[Mapping[str, str]] = described.get("imageTagMutabilityExclusionFilters") or ()
    is_immutable = described["imageTagMutability"].startswith("IMMUTABLE")
    return TagMutability(is_immutable, tuple(one["filter"] for one in filters))


def _encryption(configuration: Mapping[str, str]) -> Encryption:
    return Encryption(configuration.get("encryptionType", "AES256"), configuration.get("kmsKey"))
