"""Replication statuses of the sandbox's ECR: by the registry's rules, with the result that the quirk sets."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from imagegate.policy.replication import ReplicaStatus
from tests.contract.registry_sandbox import Sandbox

DIGEST = f"sha256:{'a' * 64}"
THERE = {"region": "eu-west-1", "registryId": "123456789012"}


def statuses(ecr: Any, name: str) -> list[dict[str, str]]:
    answer = ecr.describe_image_replication_status(repositoryName=name, imageId={"imageDigest": DIGEST})
    found: list[dict[str, str]] = answer["replicationStatuses"]
    return found


@pytest.mark.parametrize("status", ReplicaStatus)
def test_a_repository_that_a_rule_matches_has_its_destinations(
    sandbox: Sandbox, status: ReplicaStatus
) -> None:
    ecr, repo = sandbox.client("ecr"), sandbox.repository()
    begins = {"filter": repo.name, "filterType": "PREFIX_MATCH"}
    rules = [{"destinations": [THERE], "repositoryFilters": [begins]}]
    ecr.put_replication_configuration(replicationConfiguration={"rules": rules})
    sandbox.settings.quirks.replica_status = str(status)
    [one] = statuses(ecr, repo.name)
    assert (one["region"], one["registryId"], one["status"]) == ("eu-west-1", "123456789012", status)
    assert ("failureCode" in one) is (status is ReplicaStatus.FAILED)
    assert statuses(ecr, sandbox.repository().name) == []


def test_a_repository_that_is_not_there_is_said(sandbox: Sandbox) -> None:
    with pytest.raises(ClientError, match="RepositoryNotFoundException"):
        statuses(sandbox.client("ecr"), "never-made")
