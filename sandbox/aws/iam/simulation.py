"""IAM's SimulatePrincipalPolicy, which moto lacks: decides by the identity's policies and its permissions boundary.

As in AWS, policies of resources do not count unless the caller sends one; the sandbox reads none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.access_control import AssumedRoleAccessKey, IAMPolicy, IAMUserAccessKey
from moto.iam.exceptions import NoSuchEntity
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse

from sandbox.aws.iam.policies import Context, Statement, applying_statements, statements_of
from sandbox.aws.iam.principals import boundary_of
from sandbox.settings import ACCOUNT, Settings

_OPERATION = "simulate_principal_policy"
_ANY = "*"
_STRICTER = (
    "allowed",
    "implicitDeny",
    "explicitDeny",
)  # which of several decisions AWS gives as one is not documented


def _simulate(self: IamResponse) -> ActionResult:
    identity = self._get_param("PolicySourceArn")
    statements, boundary = _identity_statements(identity), boundary_of(identity)
    context: dict[str, Any] = {"aws:PrincipalArn": identity, "aws:PrincipalAccount": ACCOUNT}
    for entry in self._get_param("ContextEntries", []):
        values = entry["ContextKeyValues"]
        context[entry["ContextKeyName"]] = values[0] if len(values) == 1 else values
    resources = self._get_param("ResourceArns", [_ANY])
    results = [
        _result(action, {one: _decide(statements, boundary, action, one, context) for one in resources})
        for action in self._get_param("ActionNames")
    ]
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def _result(action: str, decisions: Mapping[str, str]) -> dict[str, Any]:
    """Return the result of an action. Only the results of its resources have their names, as in AWS."""
    specific = [
        {"EvalResourceName": resource, "EvalResourceDecision": decision, "MissingContextValues": []}
        for resource, decision in decisions.items()
        if resource != _ANY
    ]
    return {
        "EvalActionName": action,
        "EvalResourceName": f"arn:${{Partition}}:{action.partition(':')[0]}:${{Resource}}"
        if specific
        else _ANY,
        "EvalDecision": max(decisions.values(), key=_STRICTER.index),
        "MatchedStatements": [],
        "MissingContextValues": [],
        "ResourceSpecificResults": specific,
    }


def _decide(
    statements: Iterable[Statement],
    boundary: Iterable[Statement] | None,
    action: str,
    resource: str,
    context: Context,
) -> str:
    allowing = applying_statements(statements, action, resource, context)
    bounds = None if boundary is None else applying_statements(boundary, action, resource, context)
    if "Deny" in {one["Effect"] for one in (*allowing, *(bounds or ()))}:
        return "explicitDeny"
    return "allowed" if allowing and bounds != [] else "implicitDeny"


def _identity_statements(arn: str) -> list[Statement]:
    """Return the statements of a user, with those of its groups, or of a role. Raises IAM's NoSuchEntity."""
    backend, (kind, _, path) = iam_backends[ACCOUNT]["aws"], arn.rpartition(":")[2].partition("/")
    name = path.rpartition("/")[2]
    key: Any
    if kind == "user":
        backend.get_user(name)
        key = object.__new__(IAMUserAccessKey)  # it reads policies by the name of the user alone
        key._owner_user_name = name
    elif kind == "role":
        backend.get_role(name)
        key = object.__new__(AssumedRoleAccessKey)
        key._owner_role_name = name
    else:
        raise NoSuchEntity(f"{arn} is no user and no role")
    key.account_id, key.partition = ACCOUNT, "aws"
    documents = [IAMPolicy(policy)._policy_json for policy in key.collect_policies()]
    return [statement for document in documents for statement in statements_of(document)]


def install(_settings: Settings) -> None:
    setattr(IamResponse, _OPERATION, _simulate)


def stop() -> None:
    delattr(IamResponse, _OPERATION)
