"""The template's policies against IAM's own reference, as policy_sentry has collected it.

An action that IAM does not know, a resource that an action does not take and a condition key that it does not have
are silent in IAM: nothing matches, and AWS refuses the call. No statement needs an exception from these rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest
from policy_sentry.querying.actions import get_action_data, get_actions_for_service

from tools.translated import REGION, translated

TEMPLATE = translated()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
HERE = f"{REGION}:123456789012"
# What a reference to a resource of this type is, with the resource's logical name.
ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{HERE}:table/%s",
    "AWS::IAM::Role": "arn:aws:iam::123456789012:role/%s",
    "AWS::KMS::Key": f"arn:aws:kms:{HERE}:key/%s",
    "AWS::Lambda::Alias": f"arn:aws:lambda:{HERE}:function:%s:live",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{HERE}:log-group:%s:*",
    "AWS::S3::Bucket": "arn:aws:s3:::%s",
    "AWS::SNS::Topic": f"arn:aws:sns:{HERE}:%s",
    "AWS::SQS::Queue": f"arn:aws:sqs:{HERE}:%s",
    "AWS::StepFunctions::StateMachine": f"arn:aws:states:{HERE}:stateMachine:%s",
}
PARAMETERS = {
    "PromotionRoles": "arn:aws:iam::210987654321:role/promotion",
    "RepositoryKeys": f"arn:aws:kms:{HERE}:key/1",
    "RepositoryPrefix": "shop-",
    "CanaryRepository": "shop-canary",
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "imagegate",
}
# Policies of a resource name it by `*`, or themselves by their ARN.
ATTACHED = {"AWS::KMS::Key": "KeyPolicy"}
DOCUMENTED = {"AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::IAM::Policy"}
# IAM user guide, "AWS global condition context keys".
GLOBAL = {
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
}


@dataclass(frozen=True, slots=True)
class Permission:
    owner: str
    statement: Mapping[str, Any]
    is_attached: bool

    @property
    def name(self) -> str:
        return f"{self.owner}.{self.statement['Sid']}"

    def actions(self) -> Iterator[str]:
        """Yield the actions, wildcards written out."""
        for pattern in as_list(self.statement["Action"]):
            known = get_actions_for_service(pattern.partition(":")[0])
            named = [one for one in known if fnmatchcase(one.lower(), pattern.lower())]
            assert named, f"{self.name}: IAM has no action {pattern}"
            yield from named

    def resources(self) -> list[str]:
        return [one for item in as_list(self.statement["Resource"]) for one in as_list(rendered(item))]

    def condition_keys(self) -> set[str]:
        return {key for keys in self.statement.get("Condition", {}).values() for key in keys}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def rendered(value: Any) -> Any:
    """Return a resource of a statement as CloudFormation resolves it."""
    match value:
        case {"Ref": name} if name in PARAMETERS:
            return PARAMETERS[name]
        case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
            return ARNS[RESOURCES[name]["Type"]] % name
        case {"Fn::Sub": str() as pattern}:
            return substituted(pattern, {})
        case {"Fn::Sub": [pattern, names]}:
            return substituted(pattern, names)
        case {"Fn::Split": [separator, text]}:
            return rendered(text).split(separator)
        case {"Fn::Join": [separator, {"Fn::Split": [old, text]}]}:
            return rendered(text).replace(old, separator)
    return value


def substituted(pattern: str, names: Mapping[str, Any]) -> str:
    def fill(part: re.Match[str]) -> str:
        name, _, attribute = part[1].partition(".")
        if part[1] in names:
            return str(rendered(names[part[1]]))
        return name if attribute == "Name" else str(rendered({"Ref": name}))

    return re.sub(r"\$\{([^}]+)\}", fill, pattern)


def permissions() -> Iterator[Permission]:
    for name, resource in RESOURCES.items():
        properties, kind = resource.get("Properties", {}), resource["Type"]
        documents = (
            [one["PolicyDocument"] for one in properties.get("Policies", [])] if kind.endswith("Role") else []
        )
        if kind in DOCUMENTED:
            documents = [properties["PolicyDocument"]]
        if kind in ATTACHED:
            documents = [properties[ATTACHED[kind]]]
        for document in documents:
            yield from (Permission(name, one, kind in ATTACHED) for one in document["Statement"])


@cache
def rows(action: str) -> list[dict[str, Any]]:
    """Return what IAM's reference says of an action: a row for each type of resource that it takes."""
    service, _, operation = action.partition(":")
    found: list[dict[str, Any]] = get_action_data(service, operation)[service]
    return found


def takes(row: Mapping[str, Any], resource: str) -> bool:
    form = str(row["resource_arn_format"])
    if form == "*" or resource == "*":
        return form == resource == "*"
    return overlap(re.sub(r"\$\{[^}]+\}", "*", form), resource)


@cache
def overlap(one: str, other: str) -> bool:
    """Return whether something is named by both patterns, in which `*` is any text."""
    if one.startswith("*"):
        return overlap(one[1:], other) or (other != "" and overlap(one, other[1:]))
    if other.startswith("*"):
        return overlap(other, one)
    if not one or not other:
        return one == other
    return one[0] == other[0] and overlap(one[1:], other[1:])


ALL = {one.name: one for one in permissions()}


def test_every_statement_of_the_template_is_looked_at() -> None:
    trust = {one["Sid"] for role in RESOURCES.values() for one in trusting(role)}
    assert (
        set(re.findall(r"'Sid': '(\w+)'", str(RESOURCES)))
        == {one.statement["Sid"] for one in ALL.values()} | trust
    )
    assert len(ALL) > 150


def trusting(resource: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the statements that say who may take a role: no reference has them."""
    found: list[Mapping[str, Any]] = (
        resource.get("Properties", {}).get("AssumeRolePolicyDocument", {}).get("Statement", [])
    )
    return found


@pytest.mark.parametrize("name", ALL)
def test_iam_knows_action_resource_and_condition(name: str) -> None:
    permission = ALL[name]
    for action in permission.actions():
        if permission.is_attached or "*" in str(permission.statement["Action"]):
            continue
        named = [row for row in rows(action) if any(takes(row, one) for one in permission.resources())]
        assert named, f"{action} does not take {permission.resources()}"
    for key in permission.condition_keys() - GLOBAL:
        for action in permission.actions():
            known = {one for row in rows(action) for one in row["condition_keys"]}
            assert key in known, f"{action} has no condition key {key}"


@pytest.mark.parametrize(
    "name", [one for one, it in ALL.items() if it.resources() == ["*"] and not it.is_attached]
)
def test_a_star_is_there_only_where_the_service_takes_nothing_else(name: str) -> None:
    narrower = {
        action
        for action in ALL[name].actions()
        if any(row["resource_arn_format"] != "*" for row in rows(action))
    }
    assert not narrower
