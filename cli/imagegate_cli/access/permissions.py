"""Permissions in a repository: by the policies of IAM, as IAM simulates them, and by the repository's policy.

A simulation reads the identity's policies, its groups' and its permissions boundary. It does not know
everything that AWS checks at a call; `CANNOT_TELL` names the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from imagegate.aws.audit.identities import SIMULATIONS_A_SECOND, read_identities, simulate_actions
from imagegate.grants.power import Power
from imagegate_cli.faults import NotFoundError
from imagegate_cli.request_pace import RequestPace

if TYPE_CHECKING:
    from imagegate_cli.stack import Stack

# The call without which it cannot be done. Log-in and layers need more.
ACTIONS: Mapping[str, str] = {
    "push": "ecr:PutImage",
    "pull": "ecr:BatchGetImage",
    "delete": "ecr:BatchDeleteImage",
    "sign": "signer:SignPayload",
    "approve": "lambda:InvokeFunctionUrl",
}
CANNOT_TELL = (
    "who may assume a role, and session policies",
    "conditions of service control policies, and resource control policies",
    "values of context keys at the call: a listed condition may refuse it",
    "policies of VPC endpoints",
)
PER_SECOND = SIMULATIONS_A_SECOND
_URL = [
    {
        "ContextKeyName": "lambda:FunctionUrlAuthType",
        "ContextKeyValues": ["AWS_IAM"],
        "ContextKeyType": "string",
    }
]


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission, or its denial. `unknown`: what decides it beside that, or "" if nothing does."""

    who: str
    by: str
    is_allowed: bool = True
    unknown: str = ""

    @property
    def row(self) -> tuple[str, ...]:
        return ("may" if self.is_allowed else "may not", self.who, self.by, self.unknown or "-")

    def as_json(self) -> dict[str, Any]:
        return {
            "who": self.who,
            "by": self.by,
            "allowed": self.is_allowed,
            "depends_on": self.unknown or None,
        }


def find_permissions(
    stack: Stack,
    clients: Callable[[str], Any],
    verb: str,
    repository: str,
    pace: RequestPace,
    seen: Callable[[], None],
) -> Iterator[Permission]:
    """Yield what the repository's policy says, then each user and role that IAM allows it.

    Raises `NotFoundError` if there is no such repository, or if it has no stage and the verb needs one.
    """
    action, resource = ACTIONS[verb], _resource(stack, verb, repository)
    if action.startswith("ecr:"):
        yield from _by_repository_policy(clients("ecr"), action, repository)
    iam = clients("iam")
    for arn in read_identities(iam, pace.wait):
        pace.wait()
        decisions = list(simulate_actions(iam, arn, [action], [resource], _URL if verb == "approve" else ()))
        seen()
        for one in decisions:
            if one.is_allowed:
                yield Permission(arn, "IAM", unknown=", ".join(one.missing))


def _resource(stack: Stack, verb: str, repository: str) -> str:
    if verb == "approve":
        return stack.decider(Power.APPROVE)
    if verb == "sign":
        stage = stack.policy.stage_of(repository)
        if stage is None:
            raise NotFoundError(f"no stage of the deployed policy has the repository {repository}")
        return stack.signing_profiles[stage.name]
    partition = stack.arn.split(":")[1]
    return f"arn:{partition}:ecr:{stack.region}:{stack.account}:repository/{repository}"


def _by_repository_policy(ecr: Any, action: str, repository: str) -> Iterator[Permission]:
    try:
        text = ecr.get_repository_policy(repositoryName=repository)["policyText"]
    except ecr.exceptions.RepositoryPolicyNotFoundException:
        return
    except ecr.exceptions.RepositoryNotFoundException:
        raise NotFoundError(f"there is no repository {repository}") from None
    for statement in _list(json.loads(text).get("Statement")):
        if _is_about(statement, action):
            condition = json.dumps(statement["Condition"]) if statement.get("Condition") else ""
            for who in _principals(statement):
                yield Permission(who, "repository policy", statement.get("Effect") == "Allow", condition)


def _is_about(statement: Any, action: str) -> bool:
    if "NotAction" in statement:
        return not _names(statement["NotAction"], action)
    return _names(statement.get("Action"), action)


def _names(patterns: Any, action: str) -> bool:
    return any(fnmatchcase(action.lower(), str(one).lower()) for one in _list(patterns))


def _principals(statement: Any) -> Iterator[str]:
    if "NotPrincipal" in statement:
        yield f"all but {json.dumps(statement['NotPrincipal'])}"
        return
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        for kind, names in principal.items():
            yield from (name if kind == "AWS" else f"{kind} {name}" for name in map(str, _list(names)))
    else:
        yield str(principal)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
