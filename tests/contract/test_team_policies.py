"""`imagegate baseline iam`: each policy is one that IAM understands, and binds a team to its tag, TLS and networks."""

from __future__ import annotations

import itertools
import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from policy_sentry.querying.actions import (
    get_action_data,
    get_actions_for_service,
    get_actions_with_access_level,
)

from imagegate.baseline.repository_policy import PUSH
from imagegate.baseline.teams import Team
from sandbox.aws.iam.policies import is_permitted
from tests.component.baselines import GATE_ROLE, Shop, gate
from tests.component.cli_gate import CliGate

__all__ = ["gate"]

ARN = "arn:aws:ecr:eu-central-1:123456789012:repository/shop-dev"
# Global condition keys (IAM user guide, "AWS global condition context keys"); policy_sentry has those of services.
GLOBAL = {
    "aws:MultiFactorAuthPresent",
    "aws:SecureTransport",
    "aws:SourceIp",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:ViaAWSService",
}
# Lambda's reference has them; policy_sentry's copy is older.
OF_LAMBDA = {"lambda:FunctionUrlAuthType", "lambda:InvokedViaFunctionUrl"}
EVERY_OPTION = (
    *("--environment", "development", "--from", "10.0.0.0/8", "--from", "192.0.2.0/24"),
    *("--vpc", "vpc-0a1b2c3d", "--vpc-endpoint", "vpce-0a1b2c3d", "--mfa"),
)
LONGEST = 6_144  # characters of a managed policy without white space; IAM and AWS STS quotas


@pytest.fixture
def shop(gate: CliGate) -> Shop:
    """Return a shop without a registry: a policy of a team is printed without one."""
    gate.outputs["PushRoles"] = GATE_ROLE
    return Shop(gate, None)


def statements_of(shop: Shop, team: str, *options: str) -> list[dict[str, Any]]:
    stages = () if team == "boundary" else ("--stage", "dev", "--stage", "staging")
    printed = shop.gate.call("baseline", "iam", team, *stages, *options)
    assert len(json.dumps(printed.json, separators=(",", ":"))) <= LONGEST
    statements: list[dict[str, Any]] = printed.json["Statement"]
    return statements


@pytest.mark.parametrize("team", [*(team.value for team in Team), "boundary"])
def test_a_linter_knows_every_action_with_its_resource_and_its_conditions(shop: Shop, team: str) -> None:
    shop.says(stages={"dev": {"create_on_push": True}})
    statements = statements_of(shop, team, *(() if team == "boundary" else EVERY_OPTION))
    assert len({one["Sid"] for one in statements}) == len(statements)
    for one in statements:
        for action in one.get("Action", ()):
            if action != "*":
                _check_action(action, one)
        for pattern in one.get("NotAction", ()):
            service, name = pattern.split(":")
            known = get_actions_for_service(service)
            assert any(fnmatchcase(action, f"{service}:{name}") for action in known), pattern


def _check_action(action: str, statement: dict[str, Any]) -> None:
    service, name = action.split(":")
    known = get_action_data(service, name)
    assert known, action
    takes_none = all(data["resource_arn_format"] == "*" for data in known[service])
    if statement["Effect"] == "Allow":  # a Deny may be wider
        assert takes_none == (statement["Resource"] == "*"), action
    keys = {key.partition("/")[0] for data in known[service] for key in data["condition_keys"]}
    given = {key.partition("/")[0] for part in statement.get("Condition", {}).values() for key in part}
    assert given <= keys | GLOBAL | OF_LAMBDA, (action, given - keys)


@pytest.mark.parametrize("team", [team.value for team in Team])
def test_a_team_is_bound_to_the_tag_and_to_tls(shop: Shop, team: str) -> None:
    shop.says()
    statements = statements_of(shop, team, "--environment", "development")
    right = {"ecr:ResourceTag/Environment": "development", "aws:SecureTransport": "true"}
    for context, is_allowed in (
        (right, True),
        (right | {"ecr:ResourceTag/Environment": "production"}, False),
        (right | {"aws:SecureTransport": "false"}, False),
    ):
        assert is_permitted(statements, "ecr:DescribeImages", ARN, context) is is_allowed
    for action in ("ecr:SetRepositoryPolicy", "ecr:DeleteRepository", "ecr:BatchDeleteImage"):
        assert not is_permitted(statements, action, ARN, right)


PLACES = {"aws:SourceIp": "192.0.2.7", "aws:SourceVpc": "vpc-0a1b2c3d", "aws:SourceVpce": "vpce-0a1b2c3d"}
ELSEWHERE = {
    "aws:SourceIp": "198.51.100.7",
    "aws:SourceVpc": "vpc-ffffffff",
    "aws:SourceVpce": "vpce-ffffffff",
}


@pytest.mark.parametrize("here", list(itertools.product([True, False, None], repeat=3)))
def test_one_of_the_named_places_is_enough_and_no_other_is(shop: Shop, here: tuple[bool | None, ...]) -> None:
    """A request has each key, right or wrong, or does not have it."""
    shop.says()
    statements = statements_of(shop, "ci", *EVERY_OPTION[2:-1])
    context = {
        key: (PLACES if is_right else ELSEWHERE)[key]
        for key, is_right in zip(PLACES, here, strict=True)
        if is_right is not None
    }
    context |= {"aws:SecureTransport": "true", "aws:ViaAWSService": "false"}
    assert is_permitted(statements, "ecr:PutImage", ARN, context) is any(here)
    by_service = context | {"aws:ViaAWSService": "true"}
    assert is_permitted(statements, "ecr:PutImage", ARN, by_service)


@pytest.mark.parametrize(("mfa", "is_allowed"), [("true", True), ("false", False)])
def test_mfa_is_asked_for(shop: Shop, mfa: str, *, is_allowed: bool) -> None:
    shop.says()
    statements = statements_of(shop, "break-glass", "--mfa")
    context = {"aws:SecureTransport": "true", "aws:MultiFactorAuthPresent": mfa}
    assert is_permitted(statements, "ecr:DescribeImages", ARN, context) is is_allowed


def test_who_pushes_and_who_creates_follows_the_baseline(shop: Shop) -> None:
    shop.says(
        stages={"dev": {"preset": "development", "create_on_push": True}, "staging": {"preset": "staging"}}
    )
    by_sid = {one["Sid"]: one for one in statements_of(shop, "developer")}
    names = {sid: [arn.rpartition("/")[2] for arn in by_sid[sid]["Resource"]] for sid in list(by_sid)[:3]}
    assert names == {
        "WorkWithRepositories": ["*-dev", "*-staging"],
        "Push": ["*-dev"],
        "CreateByPush": ["*-dev"],
    }


HERE = "eu-central-1:123456789012"
GATE = {
    "iam": "arn:aws:iam::123456789012:role/imagegate-SignImageRole-1A2B",
    "sts": "arn:aws:iam::123456789012:role/imagegate-SignImageRole-1A2B",
    "lambda": f"arn:aws:lambda:{HERE}:function:imagegate-SignImageFunction-1A2B",
    "dynamodb": f"arn:aws:dynamodb:{HERE}:table/imagegate-GrantsTable-1A2B",
    "s3": "arn:aws:s3:::imagegate-recordsbucket-1a2b/decisions/x",
    "cloudformation": f"arn:aws:cloudformation:{HERE}:stack/imagegate/1a2b",
    "signer": f"arn:aws:signer:{HERE}:/signing-profiles/imagegate__dev",
}
CHANGES = ("Write", "Permissions management", "Tagging")
CALLS = {"lambda:InvokeFunction", "lambda:InvokeFunctionUrl", "iam:GetDelegatedAccessToken"}


def changes_of(service: str) -> set[str]:
    """Return all actions of a service that change something, as AWS documents them."""
    return {one for level in CHANGES for one in get_actions_with_access_level(service, level)}


@pytest.mark.parametrize("service", GATE)
def test_within_the_boundary_nobody_changes_the_gate_itself(shop: Shop, service: str) -> None:
    """Code, roles, grants, records and profiles of the gate: whoever changes these needs no push past it."""
    shop.says()
    statements = statements_of(shop, "boundary")
    context = {
        "aws:SecureTransport": "true",
        "iam:PermissionsBoundary": "arn:aws:iam::123456789012:policy/imagegate-boundary",
    }
    left = {one for one in changes_of(service) if is_permitted(statements, one, GATE[service], context)}
    assert left <= CALLS
    others = GATE[service].replace("imagegate", "shop")
    assert is_permitted(statements, "lambda:UpdateFunctionCode", others, context)


def test_within_the_boundary_the_gate_can_be_looked_at(shop: Shop) -> None:
    shop.says()
    boundary = statements_of(shop, "boundary")
    power = json.loads((Path(__file__).parents[2] / "docs/powers/read.json").read_text())
    listed = [statement["Action"] for statement in power["Statement"]]
    actions = {one for some in listed for one in ([some] if isinstance(some, str) else some)}
    in_sight = {one for one in actions if one.partition(":")[0] in GATE}
    assert len(in_sight) > 5
    refused = {one for one in in_sight if not is_permitted(boundary, one, GATE[one.partition(":")[0]], {})}
    assert refused == set()


@pytest.mark.parametrize("team", [team.value for team in Team])
def test_a_team_changes_nothing_but_what_its_name_says(shop: Shop, team: str) -> None:
    """A team changes nothing but by pushes into its first stage, or by the call of its power."""
    shop.says(
        stages={"dev": {"preset": "development", "create_on_push": True}, "staging": {"preset": "staging"}}
    )
    statements = statements_of(shop, team)
    repository = ARN.removesuffix("shop-dev")
    decide = f"arn:aws:lambda:{HERE}:function:imagegate-decide"
    places = [
        *GATE.values(),
        f"{repository}shop-dev",
        f"{repository}shop-staging",
        f"{repository}shop-production",
    ]
    places += [f"{decide}:{power}" for power in ("approve", "waive", "revoke", "break-glass", "by-link")] + [
        decide,
        "*",
    ]
    context = {
        "aws:SecureTransport": "true",
        "lambda:InvokedViaFunctionUrl": "true",
        "lambda:FunctionUrlAuthType": "AWS_IAM",
    }
    allowed = {
        (one, place.rpartition(":")[2])
        for service in (*GATE, "ecr", "states", "kms", "sns", "sqs")
        for one in changes_of(service)
        for place in places
        if is_permitted(statements, one, place, context)
    }
    pushes = {(one, "repository/shop-dev") for one in (*PUSH, "ecr:CreateRepository")}
    url = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")
    expected = {
        "developer": pushes,
        "ci": pushes,
        "approver": {(one, "approve") for one in url},
        "auditor": set(),
        "break-glass": {(one, "break-glass") for one in url},
    }
    assert allowed == expected[team]


def test_a_team_without_a_stage_is_a_usage_error_and_an_unknown_stage_is_named(shop: Shop) -> None:
    shop.says()
    assert shop.gate.call("baseline", "iam", "ci").code == 2
    assert "there is no stage prod" in shop.gate.call("baseline", "iam", "ci", "--stage", "prod").err
