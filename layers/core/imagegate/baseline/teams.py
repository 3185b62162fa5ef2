"""IAM policies for the teams of a stage, with what each team needs and no more.

Source: Service Authorization Reference, "Amazon ECR". A policy allows by the names of repositories, or by their tag
`Environment`, which the presets set. Denials refuse every call without TLS, and those from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from imagegate.baseline.repository_policy import PULL, PUSH, GateRegistry
from imagegate.baseline.statements import VERSION

_LOOK = ("ecr:DescribeRepositories", "ecr:DescribeImages", "ecr:ListImages", "ecr:DescribeImageScanFindings")
_SETTINGS = (
    *("ecr:BatchGetRepositoryScanningConfiguration", "ecr:GetLifecyclePolicy", "ecr:GetRepositoryPolicy"),
    "ecr:ListTagsForResource",
)
# These take no repository as their resource.
_REGISTRY = (
    *("ecr:DescribePullThroughCacheRules", "ecr:DescribeRegistry", "ecr:DescribeRepositoryCreationTemplates"),
    *("ecr:GetRegistryPolicy", "ecr:GetRegistryScanningConfiguration", "ecr:GetSigningConfiguration"),
)


class Team(StrEnum):
    """The teams that work with the repositories of a stage."""

    DEVELOPER = "developer"
    CI = "ci"
    APPROVER = "approver"
    AUDITOR = "auditor"
    BREAK_GLASS = "break-glass"


_ACTIONS = {
    Team.DEVELOPER: (*PULL, *_LOOK),
    Team.CI: (*PULL, "ecr:DescribeImages", "ecr:DescribeImageScanFindings"),
    Team.APPROVER: _LOOK,
    Team.AUDITOR: (*_LOOK, *_SETTINGS),
    Team.BREAK_GLASS: (*PULL, *_LOOK),
}
_PUSHING = (Team.DEVELOPER, Team.CI)
# The alias of the function `decide` that each of these teams may call.
_POWERS = {Team.APPROVER: "approve", Team.BREAK_GLASS: "break-glass"}


@dataclass(frozen=True, slots=True)
class Origin:
    """The networks from which a team may call, any one of them, and whether it needs MFA. Nothing: from everywhere."""

    addresses: tuple[str, ...] = ()  # CIDR blocks
    vpcs: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()  # of VPCs
    needs_mfa: bool = False


@dataclass(frozen=True, slots=True)
class TeamScope:
    """The repositories of a team, as names with `*`, and the value that their tag Environment must have."""

    names: tuple[str, ...]
    pushed: tuple[str, ...] = ()  # those into which people push
    created: tuple[str, ...] = ()  # those that a first push creates
    environment: str | None = None
    origin: Origin = field(default_factory=Origin)


def team_policy(team: Team, scope: TeamScope, registry: GateRegistry, stack: str) -> dict[str, Any]:
    """Return the IAM policy of a team. `stack` is the name of the gate's stack."""
    statements = [*_on_repositories(team, scope, registry), *_elsewhere(team, registry, stack)]
    return {"Version": VERSION, "Statement": [*statements, *_denials(scope.origin)]}


def _on_repositories(team: Team, scope: TeamScope, registry: GateRegistry) -> Iterator[dict[str, Any]]:
    tag = {"StringEquals": {"ecr:ResourceTag/Environment": scope.environment}} if scope.environment else None
    names = _arns(scope.names, registry)
    yield _statement("WorkWithRepositories", _ACTIONS[team], names, tag)
    if team in _PUSHING and scope.pushed:
        yield _statement("Push", PUSH, _arns(scope.pushed, registry), tag)
    if team in _PUSHING and scope.created:
        # A repository has no tags before it is there.
        yield _statement("CreateByPush", ["ecr:CreateRepository"], _arns(scope.created, registry))


def _elsewhere(team: Team, registry: GateRegistry, stack: str) -> Iterator[dict[str, Any]]:
    if PULL[0] in _ACTIONS[team]:
        yield _statement("LogIn", ["ecr:GetAuthorizationToken"], "*")
    if team is Team.AUDITOR:
        yield _statement("ReadTheRegistry", _REGISTRY, "*")
    if power := _POWERS.get(team):
        function = f"arn:{registry.partition}:lambda:{registry.region}:{registry.account}:function"
        alias = f"{function}:{stack}-decide:{power}"
        signed = {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}
        yield _statement("CallTheUrl", ["lambda:InvokeFunctionUrl"], alias, signed)
        by_url = {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
        yield _statement("ButOnlyTheUrl", ["lambda:InvokeFunction"], alias, by_url)


def _denials(origin: Origin) -> Iterator[dict[str, Any]]:
    yield _denial("OnlyByTls", {"Bool": {"aws:SecureTransport": "false"}})
    named = {"aws:SourceVpc": origin.vpcs, "aws:SourceVpce": origin.endpoints}
    elsewhere = {key: list(values) for key, values in named.items() if values}
    if elsewhere or origin.addresses:
        conditions: dict[str, Any] = {"BoolIfExists": {"aws:ViaAWSService": "false"}}
        if origin.addresses:
            conditions["NotIpAddressIfExists"] = {"aws:SourceIp": list(origin.addresses)}
        if elsewhere:
            conditions["StringNotEqualsIfExists"] = elsewhere
        yield _denial("OnlyFromHere", conditions)
    if origin.needs_mfa:
        yield _denial("OnlyWithMfa", {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}})


# With these, somebody would let images in past the gate, or take the gate's settings away.
_SETTING = (
    *("ecr:SetRepositoryPolicy", "ecr:DeleteRepositoryPolicy", "ecr:PutImageTagMutability"),
    *("ecr:PutLifecyclePolicy", "ecr:DeleteLifecyclePolicy", "ecr:PutImageScanningConfiguration"),
    *("ecr:PutRegistryPolicy", "ecr:DeleteRegistryPolicy", "ecr:PutReplicationConfiguration"),
    *("ecr:PutRegistryScanningConfiguration", "ecr:PutSigningConfiguration", "ecr:PutAccountSetting"),
    *("ecr:DeleteSigningConfiguration", "ecr:CreateRepositoryCreationTemplate"),
    *("ecr:UpdateRepositoryCreationTemplate", "ecr:DeleteRepositoryCreationTemplate"),
    *("ecr:CreatePullThroughCacheRule", "ecr:UpdatePullThroughCacheRule", "ecr:DeletePullThroughCacheRule"),
)
_EDIT = (
    "iam:CreatePolicyVersion",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:SetDefaultPolicyVersion",
)
_WITH_BOUNDARY = (
    *("iam:CreateRole", "iam:CreateUser", "iam:PutRolePermissionsBoundary", "iam:PutUserPermissionsBoundary"),
    *("iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:PutRolePolicy", "iam:PutUserPolicy"),
)
_REMOVE = ("ecr:BatchDeleteImage", "ecr:DeleteRepository", "ecr:UpdateImageStorageClass")
# With these, somebody becomes a user or a role that has no boundary.
_BECOME_OTHERS = (
    *("iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary", "iam:UpdateAssumeRolePolicy"),
    *("iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile"),
)
# The URL of `decide` asks for both calls of Lambda; the functions look for themselves, whoever calls.
_LOOK_AT_THE_GATE = (
    *("lambda:Get*", "lambda:List*", "lambda:InvokeFunction", "lambda:InvokeFunctionUrl"),
    *("dynamodb:BatchGetItem", "dynamodb:Describe*", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"),
    *("s3:GetObject*", "s3:GetBucket*", "s3:ListBucket*", "iam:Get*", "iam:List*", "iam:Simulate*"),
    *("cloudformation:Describe*", "cloudformation:Get*", "cloudformation:List*"),
    *("signer:Get*", "signer:List*"),
)


def boundary_policy(later: Iterable[str], registry: GateRegistry, stack: str) -> dict[str, Any]:
    """Return a permissions boundary for roles that teams make themselves: nothing goes past the gate.

    `later`: names with `*` of the repositories into which only the gate pushes. The policy has to be named
    `STACK-boundary`: its own ARN is in it, so that whoever has it can neither drop nor change it.
    """
    own = f"arn:{registry.partition}:iam::{registry.account}:policy/{stack}-boundary"
    without = {"StringNotEquals": {"iam:PermissionsBoundary": own}}
    look = {"Sid": "NotTheGateItself", "Effect": "Deny", "NotAction": list(_LOOK_AT_THE_GATE)}
    statements = [
        _statement("WhatOtherPoliciesAllow", ["*"], "*"),
        _denial("NotPastTheGate", None, (*PUSH, *_REMOVE), _arns(later, registry)),
        _denial("NotTheSettings", None, _SETTING),
        look | {"Resource": _parts_of_the_gate(registry, stack)},
        _denial("OnlyWithinThisBoundary", without, _WITH_BOUNDARY),
        _denial("NotWithoutIt", None, _BECOME_OTHERS),
        _denial("NotAnotherBoundary", None, _EDIT, own),
    ]
    return {"Version": VERSION, "Statement": statements}


def _parts_of_the_gate(registry: GateRegistry, stack: str) -> list[str]:
    """Return the ARNs of what decides and signs: CloudFormation begins the names of these with that of the stack."""
    here, account = f"{registry.region}:{registry.account}", registry.account
    parts = (
        *(f"iam::{account}:role/{stack}-*", f"lambda:{here}:function:{stack}-*"),
        *(f"dynamodb:{here}:table/{stack}-*", f"s3:::{stack.lower()}-*"),
        *(f"cloudformation:{here}:stack/{stack}/*", f"signer:{here}:/signing-profiles/{stack}__*"),
    )
    return [f"arn:{registry.partition}:{part}" for part in parts]


def _arns(names: Iterable[str], registry: GateRegistry) -> list[str]:
    prefix = f"arn:{registry.partition}:ecr:{registry.region}:{registry.account}:repository/"
    return sorted(prefix + name for name in names)


def _denial(sid: str, condition: Any, actions: Iterable[str] = ("*",), resource: Any = "*") -> dict[str, Any]:
    return {**_statement(sid, actions, resource, condition), "Effect": "Deny"}


def _statement(sid: str, actions: Iterable[str], resource: Any, condition: Any = None) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})
