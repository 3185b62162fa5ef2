"""The operations of ECR's managed signing in its JSON API; moto lacks them."""

from __future__ import annotations

import re
from typing import Any

from moto.core.responses import ActionResult

from sandbox.aws.ecr import managed_signing
from sandbox.aws.ecr.layers import LayerOperations
from sandbox.registry import index
from sandbox.registry.errors import EcrError
from sandbox.settings import ACCOUNT

MAX_RULES = 10
_PROFILE = re.compile(r"arn:aws(-[a-z]+)*:signer:[a-z0-9-]+:[0-9]{12}:/signing-profiles/[a-zA-Z0-9_]{2,}")
_FILTER = re.compile(r"(?:[a-z0-9*]+(?:[._-][a-z0-9*]+)*/)*[a-z0-9*]+(?:[._-][a-z0-9*]+)*")


class SigningOperations(LayerOperations):
    """Operations of managed signing, one method each."""

    def put_signing_configuration(self) -> ActionResult:
        configuration = self._get_param("signingConfiguration")
        _check(configuration["rules"])
        managed_signing.state().configuration = configuration
        return ActionResult({"signingConfiguration": configuration})

    def get_signing_configuration(self) -> ActionResult:
        return ActionResult({"registryId": ACCOUNT, "signingConfiguration": _configuration()})

    def delete_signing_configuration(self) -> ActionResult:
        gone = _configuration()
        managed_signing.state().configuration = None
        return ActionResult({"registryId": ACCOUNT, "signingConfiguration": gone})

    def describe_image_signing_status(self) -> ActionResult:
        repo, wanted = self._repository(), self._get_param("imageId")
        image = index.find(repo, digest=wanted.get("imageDigest"), tag=wanted.get("imageTag"))
        if image is None:
            raise EcrError("ImageNotFoundException", f"The image {wanted} does not exist in '{repo.name}'")
        statuses = managed_signing.state().statuses.get((repo.name, image.image_digest), [])
        return ActionResult(
            {
                "repositoryName": repo.name,
                "registryId": repo.registry_id,
                "imageId": wanted | {"imageDigest": image.image_digest},
                "signingStatuses": statuses,
            }
        )


def _configuration() -> dict[str, Any]:
    configuration = managed_signing.state().configuration
    if configuration is None:
        raise EcrError("SigningConfigurationNotFoundException", "The registry has no signing configuration")
    return configuration


def _check(rules: list[dict[str, Any]]) -> None:
    if len(rules) > MAX_RULES:
        raise index.invalid("rules", f"Member must have length less than or equal to {MAX_RULES}")
    for rule in rules:
        if not _PROFILE.fullmatch(rule["signingProfileArn"]):
            raise index.invalid("signingProfileArn", f"Member must satisfy: {_PROFILE.pattern}")
        for one in rule.get("repositoryFilters") or []:
            if one["filterType"] != "WILDCARD_MATCH" or not _FILTER.fullmatch(one["filter"]):
                raise index.invalid("filter", f"Member must satisfy: {_FILTER.pattern}")
