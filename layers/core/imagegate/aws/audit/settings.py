"""Settings of repositories and of the registry in Amazon ECR, for the audit: each part with its own fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from imagegate.audit.registry_settings import RegistryPart
from imagegate.audit.settings import RepositoryPart
from imagegate.aws.ecr.settings import EcrSettings, found_repository
from imagegate.baseline.registry import ENHANCED, FoundRegistry
from imagegate.baseline.terms import Frequency
from imagegate.errors import ImageGateError, RetryableError
from imagegate.ports.audit import ReadRegistry, ReadRepository
from imagegate.text import MESSAGE_LIMIT, one_line

Part = TypeVar("Part", RepositoryPart, RegistryPart)


class EcrAuditSettings(EcrSettings):
    """Reads the settings of this account's registry in this Region."""

    def read_repository(self, name: str) -> ReadRepository | None:
        """Return a repository, or None if it is gone."""
        response = self.read("describe_repositories", repositoryNames=[name])
        if response is None:
            return None
        settings, part = found_repository(response["repositories"][0]), RepositoryPart
        unread: dict[RepositoryPart, str] = {}
        named = {"repositoryName": name}
        settings = replace(
            settings,
            lifecycle=_tried(unread, part.LIFECYCLE, lambda: self._document("get_lifecycle_policy", **named)),
            policy=_tried(unread, part.POLICY, lambda: self._document("get_repository_policy", **named)),
            tags=_tried(unread, part.TAGS, lambda: self._tags(settings.arn)) or {},
        )
        frequency = _tried(unread, part.SCANNING, lambda: self._frequency(name))
        return ReadRepository(settings, frequency or Frequency.MANUAL, unread)

    def _document(self, operation: str, **request: Any) -> Any:
        """Return the policy in an answer, or None if there is none."""
        response = self.read(operation, **request)
        key = "lifecyclePolicyText" if "lifecycle" in operation else "policyText"
        return json.loads(response[key]) if response else None

    def _tags(self, arn: str) -> dict[str, str]:
        response = self.read("list_tags_for_resource", resourceArn=arn) or {}
        return {tag["Key"]: tag["Value"] for tag in response.get("tags", ())}

    @cached_property
    def _is_enhanced(self) -> bool:
        response = self.read("get_registry_scanning_configuration") or {}
        return bool(response.get("scanningConfiguration", {}).get("scanType") == ENHANCED)

    def _frequency(self, name: str) -> str:
        """Return how ECR scans the repository. Its own setting counts under basic scanning only."""
        response = self.read("batch_get_repository_scanning_configuration", repositoryNames=[name]) or {}
        if not response.get("scanningConfigurations"):
            raise ImageGateError(f"no scanning configuration: {response.get('failures', 'none is known')}")
        scanning = response["scanningConfigurations"][0]
        frequency = str(scanning.get("scanFrequency", Frequency.MANUAL))
        by_itself = frequency == Frequency.MANUAL and scanning.get("scanOnPush") and not self._is_enhanced
        return Frequency.ON_PUSH if by_itself else frequency

    def read_registry(
        self,
        *,
        has_cache: bool,
        has_templates: bool,
        has_signing: bool = False,
        account_settings: Iterable[str] = (),
    ) -> ReadRegistry:
        """Return the documents of the registry; caches and templates only if they are needed."""
        unread: dict[RegistryPart, str] = {}
        part = RegistryPart
        scanning = _tried(unread, part.SCANNING, lambda: self.read("get_registry_scanning_configuration"))
        described = _tried(unread, part.REPLICATION, lambda: self.read("describe_registry"))
        settings = FoundRegistry(
            (scanning or {}).get("scanningConfiguration", {}),
            (described or {}).get("replicationConfiguration", {}).get("rules", []),
            _tried(unread, part.POLICY, lambda: self._document("get_registry_policy")),
            _tried(unread, part.CACHE, self.caches if has_cache else dict) or {},
            _tried(unread, part.TEMPLATES, self.templates if has_templates else dict) or {},
            _tried(unread, part.SIGNING, self.signing_rules if has_signing else tuple) or (),
            _tried(unread, part.ACCOUNT, lambda: self.account_settings(account_settings)) or {},
        )
        return ReadRegistry(settings, unread)


def _tried(unread: dict[Part, str], part: Part, call: Callable[[], Any]) -> Any:
    """Return the answer, or None with the reason noted. Raises `RetryableError`: the caller tries all of it again."""
    try:
        return call()
    except RetryableError:
        raise
    except (ClientError, BotoCoreError, ImageGateError, ValueError) as error:
        unread[part] = one_line(str(error), MESSAGE_LIMIT)
        return None
