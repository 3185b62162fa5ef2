"""IAM policies for the teams of a stage, with what each team needs and no more.

Source: Service Authorization Reference, "Amazon ECR". A policy allows by the names of repositories, or by their tag
`Environment`, which the presets set. A Deny refuses every call without TLS.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from imagegate.baseline.repository_policy import PULL, PUSH, GateRegistry

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
    Team.DEVELOPER: (*PULL, *PUSH, *_LOOK),
    Team.CI: (*PULL, *PUSH, "ecr:DescribeImages", "ecr:DescribeImageScanFindings"),
    Team.APPROVER: _LOOK,
    Team.AUDITOR: (*_LOOK, *_SETTINGS),
    Team.BREAK_GLASS: (*PULL, *_LOOK),
}
# The alias of the function `decide` that each of these teams may call.
_POWERS = {Team.APPROVER: "approve", Team.BREAK_GLASS: "break-glass"}


def team_policy(
    team: Team, globs: Iterable[str], registry: GateRegistry, stack: str, environment: str | None = None
) -> dict[str, Any]:
    """Return the IAM policy. `globs`: names of repositories with `*`; `environment`: the tag that these must have."""
    repository = f"arn:{registry.partition}:ecr:{registry.region}:{registry.account}:repository/"
    by_tag = {"StringEquals": {"ecr:ResourceTag/Environment": environment}} if environment else None
    statements = [
        _statement(
            "WorkWithRepositories", _ACTIONS[team], sorted(repository + glob for glob in globs), by_tag
        )
    ]
    if PULL[0] in _ACTIONS[team]:
        statements.append(_statement("LogIn", ["ecr:GetAuthorizationToken"], "*"))
    if team is Team.AUDITOR:
        statements.append(_statement("ReadTheRegistry", _REGISTRY, "*"))
    if power := _POWERS.get(team):
        function = f"arn:{registry.partition}:lambda:{registry.region}:{registry.account}:function"
        alias = f"{function}:{stack}-decide:{power}"
        signed = {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}
        statements.append(_statement("CallTheUrl", ["lambda:InvokeFunctionUrl"], alias, signed))
        by_url = {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
        statements.append(_statement("ButOnlyTheUrl", ["lambda:InvokeFunction"], alias, by_url))
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    denial = {"Sid": "OnlyByTls", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": insecure}
    return {"Version": "2012-10-17", "Statement": [*statements, denial]}


def _statement(sid: str, actions: Iterable[str], resource: Any, condition: Any = None) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})
