"""The identities of the account, as IAM lists them, and what they may do, as IAM simulates it.

It loads no library of AWS: the command line imports it before it knows what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SIMULATIONS_A_SECOND = 5.0
_LINKED = "/aws-service-role/"  # roles that only a service of AWS can take


@dataclass(frozen=True, slots=True)
class SimulatedDecision:
    """A decision of IAM about one action and one resource. `missing`: the context keys that it had no value of."""

    action: str
    resource: str
    is_allowed: bool
    missing: tuple[str, ...] = ()


def read_identities(iam: Any, after_page: Callable[[], None] = lambda: None) -> Iterator[str]:
    """Yield the ARNs of users and roles, without the roles that only a service of AWS can use."""
    for operation, key in (("list_users", "Users"), ("list_roles", "Roles")):
        for page in iam.get_paginator(operation).paginate():
            yield from (one["Arn"] for one in page[key] if not one["Path"].startswith(_LINKED))
            after_page()


def simulate_actions(
    iam: Any,
    identity: str,
    actions: Sequence[str],
    resources: Sequence[str],
    context: Sequence[Mapping[str, Any]] = (),
) -> Iterator[SimulatedDecision]:
    """Yield whether the identity may do each with each resource (IAM API reference, SimulatePrincipalPolicy).

    The name in a result as a whole is the template of an ARN. Only the results of each resource name that.
    """
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=identity,
        ActionNames=list(actions),
        ResourceArns=list(resources),
        ContextEntries=list(context),
    )
    for page in pages:
        for result in page["EvaluationResults"]:
            for one in result.get("ResourceSpecificResults") or _for_each(result, resources):
                yield SimulatedDecision(
                    result["EvalActionName"],
                    one["EvalResourceName"],
                    one["EvalResourceDecision"] == "allowed",
                    tuple(one.get("MissingContextValues", ())),
                )


def _for_each(result: Mapping[str, Any], resources: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield a result without those of its resources as one for each of them."""
    for resource in resources:
        yield {**result, "EvalResourceName": resource, "EvalResourceDecision": result["EvalDecision"]}
