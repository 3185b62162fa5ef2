"""The settings of repositories and of the registry in Amazon ECR, as the baseline reads and changes them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from imagegate.aws.clients import client, translated
from imagegate.baseline.plan import Change, FoundRepository
from imagegate.baseline.registry import FoundRegistry
from imagegate.baseline.terms import Encryption, SettingsDocument, TagMutability
from imagegate.errors import AccessRefusedError, ImageGateError

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
_DENIED: Mapping[str, type[ImageGateError]] = {"AccessDeniedException": AccessRefusedError}
# The most that DescribeRepositories lists at once (Amazon ECR API reference).
_LARGE_PAGES: Any = {"PageSize": 1000}


class EcrSettings:
    """Reads and changes settings of this account's registry in this Region."""

    def __init__(self) -> None:
        self._client: Any = client("ecr")

    def names(self) -> Iterator[str]:
        pages = self._client.get_paginator("describe_repositories").paginate(PaginationConfig=_LARGE_PAGES)
        with translated(_DENIED, subject="the repositories"):
            for page in pages:
                yield from (one["repositoryName"] for one in page["repositories"])

    def described(self, names: Sequence[str]) -> dict[str, FoundRepository]:
        """Describe repositories. ECR refuses a list with one that is gone: each is then described alone."""
        response = self.read("describe_repositories", repositoryNames=list(names))
        if response is None:
            if len(names) == 1:
                return {}
            return {name: found for one in names for name, found in self.described([one]).items()}
        return {one["repositoryName"]: found_repository(one) for one in response["repositories"]}

    def completed(self, found: FoundRepository, documents: Collection[SettingsDocument]) -> FoundRepository:
        name = {"repositoryName": found.name}
        if SettingsDocument.LIFECYCLE in documents:
            lifecycle = self.read("get_lifecycle_policy", **name)
            found = replace(found, lifecycle=lifecycle and json.loads(lifecycle["lifecyclePolicyText"]))
        if SettingsDocument.POLICY in documents:
            policy = self.read("get_repository_policy", **name)
            found = replace(found, policy=policy and json.loads(policy["policyText"]))
        if SettingsDocument.TAGS in documents:
            listed = self.read("list_tags_for_resource", resourceArn=found.arn) or {}
            found = replace(found, tags={tag["Key"]: tag["Value"] for tag in listed.get("tags", ())})
        if SettingsDocument.SCANNING_RULE in documents and not found.scan_on_push:
            found = replace(found, is_scanned_by_rule=self._is_scanned_by_rule(found.name))
        return found

    def _is_scanned_by_rule(self, name: str) -> bool:
        response = self.read("batch_get_repository_scanning_configuration", repositoryNames=[name])
        return any(
            one.get("scanFrequency", "MANUAL") != "MANUAL" for one in response["scanningConfigurations"]
        )

    def registry(
        self,
        *,
        has_cache: bool,
        has_templates: bool,
        has_signing: bool = False,
        account_settings: Iterable[str] = (),
    ) -> FoundRegistry:
        scanning = self.read("get_registry_scanning_configuration") or {}
        replication = self.read("describe_registry") or {}
        policy = self.read("get_registry_policy")
        return FoundRegistry(
            scanning.get("scanningConfiguration", {}),
            replication.get("replicationConfiguration", {}).get("rules", []),
            json.loads(policy["policyText"]) if policy else None,
            self.caches() if has_cache else {},
            self.templates() if has_templates else {},
            self.signing_rules() if has_signing else (),
            self.account_settings(account_settings),
        )

    def account_settings(self, names: Iterable[str]) -> dict[str, str]:
        """Return settings of the account by their names."""
        return {name: self.read("get_account_setting", name=name)["value"] for name in names}

    def signing_rules(self) -> Sequence[Mapping[str, Any]]:
        """Return the rules of managed signing."""
        response = self.read("get_signing_configuration") or {}
        rules: Sequence[Mapping[str, Any]] = response.get("signingConfiguration", {}).get("rules", ())
        return rules

    def caches(self) -> dict[str, Mapping[str, Any]]:
        """Return the pull-through cache rules by the prefix of their repositories."""
        rules = self._listed("describe_pull_through_cache_rules", "pullThroughCacheRules")
        return {one["ecrRepositoryPrefix"]: one for one in rules}

    def templates(self) -> dict[str, Mapping[str, Any]]:
        """Return the creation templates by their prefix."""
        listed = self._listed("describe_repository_creation_templates", "repositoryCreationTemplates")
        return {one["prefix"]: one for one in listed}

    def _listed(self, operation: str, key: str) -> Iterator[Mapping[str, Any]]:
        with translated(_DENIED, subject=operation):
            for page in self._client.get_paginator(operation).paginate():
                yield from page[key]

    def read(self, operation: str, **request: Any) -> Any:
        """Return the answer of a reading call, or None if the setting was never made."""
        try:
            with translated(_DENIED, subject=operation):
                return getattr(self._client, operation)(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ABSENT:
                raise
            return None

    def send(self, change: Change) -> None:
        with translated(_DENIED, subject=f"{change.subject}: {change.setting}"):
            try:
                getattr(self._client, change.operation)(**change.request)
            except ClientError as error:
                if error.response["Error"]["Code"] != "RepositoryAlreadyExistsException":
                    raise


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
