"""The repository policy of a baseline: who may pull and push from elsewhere, and that only the gate pushes.

Sources: Amazon ECR user guide, "Repository policies"; AWS Lambda developer guide, "Create a function using a container
image". A Deny counts whatever anybody else allows; the permission to change the policy itself is beyond it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagegate.baseline.statements import OWN, Statement, foreign, grants, narrowing, principals_of

if TYPE_CHECKING:
    from imagegate.baseline.terms import Access

PULL = ("ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage", "ecr:BatchCheckLayerAvailability")
PUSH = ("ecr:PutImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload")
# Actions with which a statement of somebody else lets more in than the baseline says.
_ALTER = (
    "ecr:SetRepositoryPolicy",
    "ecr:DeleteRepositoryPolicy",
    "ecr:BatchDeleteImage",
    "ecr:DeleteRepository",
)
LONGEST = 10_240  # characters; Amazon ECR service quotas


@dataclass(frozen=True, slots=True)
class GateRegistry:
    """The registry of a baseline, and the roles of the gate that push into its repositories."""

    account: str
    region: str
    partition: str = "aws"
    gate_roles: tuple[str, ...] = ()  # ARNs

    @property
    def name(self) -> str:
        return f"{self.account} {self.region}"


def own_statements(access: Access, registry: GateRegistry) -> list[dict[str, Any]]:
    """Return the statements of the baseline. `GateRegistry` says where, and who pushes for the gate."""
    root = f"arn:{registry.partition}:iam::%s:root"
    accounts = {
        "Read": (access.read_accounts, PULL),
        "Write": (access.write_accounts, PULL + PUSH),
    }
    statements = [
        allow(name, {"AWS": [root % one for one in listed]}, actions)
        for name, (listed, actions) in accounts.items()
        if listed
    ]
    if access.roles:
        statements.append(allow("Roles", {"AWS": list(access.roles)}, PULL))
    if access.organization:
        condition = {"StringEquals": {"aws:PrincipalOrgID": access.organization}}
        statements.append(allow("Organization", "*", PULL, condition))
    if access.lambda_pull:
        statements.append(_lambda_statement(access, registry))
    if access.only_promotion:
        statements.append(_push_denial(access, registry))
    return statements


def allow(
    name: str, principal: Any, actions: Sequence[str], condition: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a statement of the baseline that allows these actions. `principal` is as in a policy."""
    statement: dict[str, Any] = {"Sid": f"{OWN}{name}", "Effect": "Allow", "Principal": principal}
    return statement | {"Action": list(actions)} | ({"Condition": dict(condition)} if condition else {})


def _lambda_statement(access: Access, registry: GateRegistry) -> dict[str, Any]:
    accounts = sorted({registry.account, *(access.read_accounts or ())})
    functions = [
        f"arn:{registry.partition}:lambda:{registry.region}:{account}:function:*" for account in accounts
    ]
    principal = {"Service": "lambda.amazonaws.com"}
    return allow("Lambda", principal, PULL[:2], {"ArnLike": {"aws:sourceArn": functions}})


def _push_denial(access: Access, registry: GateRegistry) -> dict[str, Any]:
    """Return the statement that refuses each push but those of the gate. Replication has an action of its own."""
    exceptions = [*registry.gate_roles, *(access.push_exceptions or ())]
    return {
        "Sid": f"{OWN}OnlyPromotion",
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(PUSH),
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": sorted(exceptions)}},
    }


def lets_more_in(document: Mapping[str, Any] | None, access: Access) -> Iterator[str]:
    """Yield a sentence for each statement of somebody else that lets more in than the baseline."""
    for number, statement in enumerate(foreign(document), 1):
        name = statement.get("Sid") or f"number {number}"
        actions = grants(statement, _forbidden(access))
        if actions:
            yield f"statement {name} lets {_people(statement)} {_names(actions)}"
        elif "*" in principals_of(statement) and not narrowing(statement) and grants(statement, PULL):
            yield f"statement {name} lets everybody with an AWS account pull"


def _forbidden(access: Access) -> tuple[str, ...]:
    # Where only the gate pushes, the Deny stops the pushes of all others.
    return _ALTER if access.only_promotion else (*PUSH[:1], *_ALTER)


def _people(statement: Statement) -> str:
    return ", ".join(principals_of(statement)).replace("*", "everybody")


def _names(actions: Iterable[str]) -> str:
    return ", ".join(one.removeprefix("ecr:") for one in actions)
