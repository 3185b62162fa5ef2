"""A failed first deployment, a removal and a deployment after it: what stays by CloudFormation's rules.

AWS CloudFormation reference, "DeletionPolicy attribute": `Retain` keeps a resource also when the creation of its stack
is rolled back, `RetainExceptOnCreate` only when the stack is deleted, and anything else goes in both cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from tools.translated import translated

TEMPLATE = translated()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
PAGE = (Path(__file__).parents[2] / "docs/how-to/change-the-stack.md").read_text()
# A version goes with its function, whatever its own policy says. Layers cost nothing.
FREE = {"AWS::Lambda::Version", "AWS::Lambda::LayerVersion"}
# Nothing but their content costs anything.
FREE_WHILE_EMPTY = {"AWS::S3::Bucket"}
# As the page names what stays.
WORDS = {
    "AWS::DynamoDB::Table": "tables",
    "AWS::KMS::Key": "KMS keys",
    "AWS::S3::Bucket": "records bucket",
    "AWS::Lambda::LayerVersion": "Layers",
}


def kept(*policies: str) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in RESOURCES.items() if one.get("DeletionPolicy") in policies}


STAYING = kept("Retain", "RetainExceptOnCreate")
KEPT = {name: one for name, one in STAYING.items() if one["Type"] not in FREE}


def references(value: Any) -> Iterator[str]:
    """Yield the names of all parameters and resources that a property needs, whichever branch is taken."""
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key == "Ref":
                yield one
            elif key == "Fn::GetAtt":
                yield one[0] if isinstance(one, list) else one.partition(".")[0]
            elif key == "Fn::Sub":
                text, names = one if isinstance(one, list) else (one, {})
                yield from (name for name in re.findall(r"\$\{([A-Za-z0-9:]+)", text) if name not in names)
                yield from references(names)
            else:
                yield from references(one)


def test_a_failed_first_deployment_leaves_nothing_that_costs_money() -> None:
    left = {name: one["Type"] for name, one in kept("Retain").items() if one["Type"] not in FREE}
    assert set(left.values()) <= FREE_WHILE_EMPTY
    assert set(left) == {"Records", "BoardBucket"}


def test_what_holds_data_stays_when_the_stack_is_deleted_or_a_resource_replaced() -> None:
    stateful = {
        name
        for name, one in RESOURCES.items()
        if one["Type"] in ("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::S3::Bucket")
    }
    assert set(KEPT) == stateful
    assert {one.get("UpdateReplacePolicy") for one in KEPT.values()} == {"Retain"}


@pytest.mark.parametrize("type_", WORDS)
def test_the_page_names_what_stays(type_: str) -> None:
    assert set(WORDS) == {one["Type"] for one in STAYING.values()} - {"AWS::Lambda::Version"}
    section = PAGE[PAGE.index("## Remove it") : PAGE.index("## Deploy again after that")]
    assert WORDS[type_] in section


@pytest.mark.parametrize("name", KEPT)
def test_what_stays_needs_nothing_that_goes(name: str) -> None:
    """A table whose key is deleted cannot be read."""
    needed = set(references(RESOURCES[name]["Properties"])) & set(RESOURCES)
    assert needed <= set(KEPT)


@pytest.mark.parametrize("name", KEPT)
def test_the_next_deployment_does_not_want_the_name_of_what_stays(name: str) -> None:
    """CloudFormation refuses to make a resource whose name is taken. Without a name it makes up a new one."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", RESOURCES[name]["Type"])
    identifiers = {path.split("/")[-1] for path in schema.schema["primaryIdentifier"]}
    assert not identifiers & set(RESOURCES[name]["Properties"])


def test_no_function_makes_its_log_group_again() -> None:
    """A function that still runs when its log group is deleted would make it again, without an end of retention."""
    roles = [one["Properties"] for one in RESOURCES.values() if one["Type"] == "AWS::IAM::Role"]
    assert "logs:CreateLogGroup" not in str(roles)
    assert not any(role.get("ManagedPolicyArns") for role in roles)
