"""A push into a repository that does not exist: the sandbox makes it by a creation template, or refuses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from moto.iam.models import iam_backends

from sandbox.registry.store import store
from sandbox.settings import ACCOUNT
from tests.contract.registry_sandbox import Repository, Sandbox

PUSH = {
    "Effect": "Allow",
    "Action": [
        *("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"),
    ],
    "Resource": "*",
}
CREATE = {"Effect": "Allow", "Action": "ecr:CreateRepository", "Resource": "*"}
TAGS = [{"Key": "Environment", "Value": "development"}]


@pytest.fixture
def templates(sandbox: Sandbox) -> Iterator[Any]:
    """Return a function that creates a template; forget the templates and the repositories afterwards."""
    ecr = sandbox.client("ecr")

    def create(prefix: str, *applied: str, **fields: Any) -> None:
        ecr.create_repository_creation_template(
            prefix=prefix, appliedFor=applied or ["CREATE_ON_PUSH"], **fields
        )

    yield create
    store().creation_templates.clear()
    for one in ecr.describe_repositories()["repositories"]:
        ecr.delete_repository(repositoryName=one["repositoryName"], force=True)


def start(sandbox: Sandbox, name: str, *statements: dict[str, Any]) -> int:
    """Begin a push as a user with these statements; return the status."""
    key = sandbox.user(*(statements or (PUSH, CREATE)))
    return Repository(sandbox, name, key).call("POST", "blobs/uploads/").status


def role(sandbox: Sandbox, *actions: str) -> str:
    backend = iam_backends[ACCOUNT]["aws"]
    name = f"templates-{uuid.uuid4().hex[:8]}"
    made = backend.create_role(name, "{}", "/", None, None, [], 3600)
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    backend.put_role_policy(name, "p", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    return str(made.arn)


def described(sandbox: Sandbox, name: str) -> dict[str, Any]:
    [found] = sandbox.client("ecr").describe_repositories(repositoryNames=[name])["repositories"]
    return dict(found)


def test_a_first_push_makes_the_repository_with_the_settings_of_its_template(
    sandbox: Sandbox, templates: Any
) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**PUSH, "Principal": "*"}]})
    lifecycle = json.dumps(
        {
            "rules": [
                {
                    "rulePriority": 1,
                    "selection": {
                        "tagStatus": "untagged",
                        "countType": "imageCountMoreThan",
                        "countNumber": 5,
                    },
                    "action": {"type": "expire"},
                }
            ]
        }
    )
    templates(
        "dev",
        imageTagMutability="IMMUTABLE",
        encryptionConfiguration={"encryptionType": "KMS"},
        resourceTags=TAGS,
        repositoryPolicy=policy,
        lifecyclePolicy=lifecycle,
        customRoleArn=role(sandbox, "ecr:CreateRepository", "ecr:TagResource"),
    )
    Repository(sandbox, "dev/shop", sandbox.user(PUSH, CREATE)).image("1.0")
    made = described(sandbox, "dev/shop")
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["encryptionConfiguration"]["encryptionType"] == "KMS"
    ecr = sandbox.client("ecr")
    assert ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"] == TAGS
    assert ecr.get_repository_policy(repositoryName="dev/shop")["policyText"] == policy
    assert ecr.get_lifecycle_policy(repositoryName="dev/shop")["lifecyclePolicyText"] == lifecycle


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("dev/shop", "MUTABLE"),
        ("dev/tools/shop", "IMMUTABLE"),
        ("develop/shop", "IMMUTABLE_WITH_EXCLUSION"),
        ("shop", "IMMUTABLE_WITH_EXCLUSION"),
    ],
)
def test_the_longest_prefix_with_its_slash_wins_and_root_has_the_rest(
    sandbox: Sandbox, templates: Any, name: str, mode: str
) -> None:
    latest = [{"filterType": "WILDCARD", "filter": "latest"}]
    templates(
        "ROOT",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=latest,
    )
    templates("dev", imageTagMutability="MUTABLE")
    templates("dev/tools/", imageTagMutability="IMMUTABLE")
    assert start(sandbox, name) == 202
    assert described(sandbox, name)["imageTagMutability"] == mode


def test_a_template_for_other_purposes_makes_nothing(sandbox: Sandbox, templates: Any) -> None:
    templates("dev", "REPLICATION", "PULL_THROUGH_CACHE")
    assert start(sandbox, "dev/shop") == 404


@pytest.mark.parametrize("path", ["manifests/1.0", "tags/list"])
def test_a_pull_makes_nothing(sandbox: Sandbox, templates: Any, path: str) -> None:
    templates("dev")
    assert Repository(sandbox, "dev/shop").call("GET", path).status == 404
    assert sandbox.client("ecr").describe_repositories()["repositories"] == []


@pytest.mark.parametrize("statements", [[PUSH], [CREATE]], ids=["no creation", "no push"])
def test_the_pusher_needs_both_permissions(
    sandbox: Sandbox, templates: Any, statements: list[dict[str, Any]]
) -> None:
    templates("dev")
    assert start(sandbox, "dev/shop", *statements) == 403


@pytest.mark.parametrize(
    "settings", [{"resourceTags": TAGS}, {"encryptionConfiguration": {"encryptionType": "KMS"}}]
)
@pytest.mark.parametrize("actions", [(), ("ecr:CreateRepository",)])
def test_tags_and_kms_need_a_role_that_may_create_and_tag(
    sandbox: Sandbox, templates: Any, settings: dict[str, Any], actions: tuple[str, ...]
) -> None:
    templates("dev", **settings, **({"customRoleArn": role(sandbox, *actions)} if actions else {}))
    assert start(sandbox, "dev/shop") == 403
    assert sandbox.client("ecr").describe_repositories()["repositories"] == []
