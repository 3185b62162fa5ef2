"""Pushes and pulls that the sandbox permits: policies of repositories, tags, networks, and permissions boundaries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.iam.models import iam_backends

from sandbox.aws.iam import principals
from sandbox.aws.iam.policies import is_permitted
from sandbox.registry.store import store
from sandbox.settings import ACCOUNT
from tests.contract.registry_sandbox import Repository, Sandbox, digest_of

PULL = {"Effect": "Allow", "Action": "ecr:BatchGetImage", "Resource": "*"}
OTHER = {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}
EVERYBODY: Any = "*"


@pytest.fixture
def repo(sandbox: Sandbox) -> Repository:
    return sandbox.repository(tags=[{"Key": "Environment", "Value": "development"}])


def pull(repo: Repository, key: dict[str, str]) -> int:
    digest = repo.image("1.0")
    return Repository(repo.sandbox, repo.name, key).call("GET", f"manifests/{digest}").status


def set_policy(repo: Repository, effect: str, principal: Any, **more: Any) -> None:
    statement = {"Effect": effect, "Principal": principal, "Action": "ecr:BatchGetImage", **more}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    repo.sandbox.client("ecr").set_repository_policy(repositoryName=repo.name, policyText=text)


def arn_of(key: dict[str, str]) -> str:
    found = principals.principal_arn(key["aws_access_key_id"])
    assert found
    return found


def test_a_repository_policy_lets_in_whom_it_names(repo: Repository) -> None:
    named, other = repo.sandbox.user(OTHER), repo.sandbox.user(OTHER)
    set_policy(repo, "Allow", {"AWS": [arn_of(named)]})
    assert (pull(repo, named), pull(repo, other)) == (200, 403)


@pytest.mark.parametrize("account", [ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"])
def test_an_allow_for_the_account_leaves_it_to_iam_and_a_denial_is_for_everybody_in_it(
    repo: Repository, account: str
) -> None:
    set_policy(repo, "Allow", {"AWS": account})
    assert pull(repo, repo.sandbox.user(OTHER)) == 403
    set_policy(repo, "Deny", {"AWS": account})
    assert pull(repo, repo.sandbox.user(PULL)) == 403


def test_a_denial_with_exceptions_keeps_out_everybody_else(repo: Repository) -> None:
    excepted = repo.sandbox.user(PULL)
    condition = {"ArnNotLike": {"aws:PrincipalArn": [arn_of(excepted)]}}
    set_policy(repo, "Deny", EVERYBODY, Condition=condition)
    assert (pull(repo, excepted), pull(repo, repo.sandbox.user(PULL))) == (200, 403)


@pytest.mark.parametrize("service", ["ecr", "aws"])
@pytest.mark.parametrize(("value", "status"), [("development", 200), ("production", 403)])
def test_tags_of_a_repository_are_conditions(repo: Repository, service: str, value: str, status: int) -> None:
    condition = {"StringEquals": {f"{service}:ResourceTag/Environment": value}}
    assert pull(repo, repo.sandbox.user({**PULL, "Condition": condition})) == status


@pytest.mark.parametrize(
    ("operator", "network", "is_met"),
    [
        ("IpAddress", "127.0.0.0/8", True),
        ("IpAddress", "10.0.0.0/8", False),
        ("NotIpAddress", "10.0.0.0/8", True),
        ("NotIpAddress", "127.0.0.1/32", False),
    ],
)
def test_addresses_are_compared_with_networks(operator: str, network: str, is_met: bool) -> None:
    statement = {**PULL, "Condition": {operator: {"aws:SourceIp": [network]}}}
    context = {"aws:SourceIp": "127.0.0.1"}
    assert is_permitted([statement], "ecr:BatchGetImage", "*", context) is is_met


@pytest.mark.parametrize(
    ("bounds", "status"),
    [
        ([PULL], 200),
        ([{**PULL, "Action": "ecr:PutImage"}], 403),
        ([PULL, {**PULL, "Effect": "Deny"}], 403),
    ],
    ids=["allows", "does not allow", "denies"],
)
def test_a_role_may_only_do_what_its_boundary_allows_too(
    repo: Repository, bounds: list[dict[str, Any]], status: int
) -> None:
    backend = iam_backends[ACCOUNT]["aws"]
    name = digest_of(repr((repo.name, bounds)).encode())[7:20]
    text = json.dumps({"Version": "2012-10-17", "Statement": bounds})
    boundary = backend.create_policy(None, "/", text, name, [])
    role = backend.create_role(name, "{}", "/", boundary.arn, None, [], 3600)
    backend.put_role_policy(name, "p", json.dumps({"Version": "2012-10-17", "Statement": [PULL]}))
    credentials = principals.role_credentials(role.arn, "test")
    token = store().issue_token(credentials["aws_access_key_id"])
    assert pull(repo, {"aws_access_key_id": "AWS", "aws_secret_access_key": token}) == status
