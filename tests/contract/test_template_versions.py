"""Published versions: a function gets another one when a value that it is published with changes, and only then.

CloudFormation publishes where a resource of type AWS::Lambda::Version has another logical name, or where it must be
replaced because a property of it changed. Lambda publishes nothing if the function itself has not changed, and
CloudFormation then fails: "A version for this Lambda function exists".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from tools.translated import translated

TEMPLATE = translated()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
# Lambda developer guide, "Lambda function versions": these belong to the function, not to a version of it.
UNVERSIONED = {"Tags", "ReservedConcurrentExecutions", "RecursiveLoop"}
# A layer gets another logical name from SAM if anything about it changes; test_template.py has the test for that. The
# published policy changes with its layer.
RENAMED = {name for name, one in RESOURCES.items() if one["Type"] == "AWS::Lambda::LayerVersion"} | {
    "PublishedPolicy"
}


@dataclass(frozen=True, slots=True)
class Deployed:
    """A state of the stack, in which one parameter or one resource is another one than before."""

    changed: str = ""

    def value(self, text: Any) -> Any:
        """Return a property as CloudFormation resolves it; made-up values say where they come from."""
        if isinstance(text, list):
            return [self.value(one) for one in text]
        if not isinstance(text, dict):
            return text
        match text:
            case {"Ref": name}:
                return self.reference(name, "Ref")
            case {"Fn::GetAtt": [name, attribute]}:
                return self.reference(name, attribute)
            case {"Fn::Sub": str() as pattern}:
                return self.substitute(pattern, {})
            case {"Fn::Sub": [pattern, names]}:
                return self.substitute(pattern, names)
            case {"Fn::If": [condition, *branches]}:
                return [self.value(TEMPLATE["Conditions"][condition]), self.value(branches)]
        return {key: self.value(one) for key, one in text.items()}

    def reference(self, name: str, attribute: str) -> Any:
        """Return a made-up value. The custom resource answers with a digest of what it was given."""
        if (name, attribute) == ("PublishedPolicy", "Settings"):
            return json.dumps(self.value(RESOURCES[name]["Properties"]["Settings"]))
        return f"{name}.{attribute}{' changed' if name == self.changed else ''}"

    def substitute(self, pattern: str, names: dict[str, Any]) -> Any:
        used = {part.partition("}")[0] for part in pattern.split("${")[1:]}
        found = [
            self.value(names[one]) if one in names else self.reference(*f"{one}.Ref".split(".")[:2])
            for one in sorted(used)
        ]
        return [pattern, found]

    def versioned(self, function: str) -> Any:
        """Return the function and all that Lambda publishes of it."""
        properties = RESOURCES[function]["Properties"]
        kept = {key: one for key, one in properties.items() if key not in UNVERSIONED}
        return [self.reference(function, "Ref"), self.value(kept)]

    def version(self, function: str) -> Any:
        """Return what decides whether CloudFormation publishes a version of the function."""
        return self.value(RESOURCES[VERSIONS[function]]["Properties"])


VERSIONS: dict[str, str] = {
    one["Properties"]["FunctionName"]["Ref"]: name
    for name, one in RESOURCES.items()
    if one["Type"] == "AWS::Lambda::Version"
}
FUNCTIONS = {name for name, one in RESOURCES.items() if one["Type"] == "AWS::Lambda::Function"}
BEFORE = Deployed()


@pytest.mark.parametrize("changed", sorted({*TEMPLATE["Parameters"], *RESOURCES} - RENAMED))
def test_another_value_is_another_version_of_each_function_that_reads_it_and_of_no_other(
    changed: str,
) -> None:
    after = Deployed(changed)
    renewed = {name for name in VERSIONS if after.version(name) != BEFORE.version(name)}
    assert renewed == {name for name in VERSIONS if after.versioned(name) != BEFORE.versioned(name)}


def test_parameters_reach_the_functions_that_read_them() -> None:
    """The rule above would hold where nobody reads anything, too."""
    for name in ("TrustedRoots", "DeploymentCheckOnError", "DeploymentCheckAllowedImages", "Ledger"):
        assert "SignImageFunction" in {
            one for one in VERSIONS if Deployed(name).version(one) != BEFORE.version(one)
        }


def test_who_reads_the_digest_of_the_policy_has_its_layer() -> None:
    for name in VERSIONS:
        properties = RESOURCES[name]["Properties"]
        if "POLICY_DIGEST" in properties["Environment"]["Variables"]:
            assert "PolicyLayer" in str(properties["Layers"]), name


def test_who_reads_policies_gets_the_deployed_one_as_it_was_read() -> None:
    for name in VERSIONS:
        variables = RESOURCES[name]["Properties"]["Environment"]["Variables"]
        assert ("PARSED_POLICY" in variables) is ("RECORDS_BUCKET" in variables), name


def test_cloudformation_replaces_a_version_when_its_description_changes() -> None:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", "AWS::Lambda::Version").schema
    assert {"/properties/Description", "/properties/FunctionName"} <= {*schema["createOnlyProperties"]}


def test_the_description_has_room_for_the_longest_names() -> None:
    """Limits: 64 characters for names of roles and functions, 80 for state machines, 256 for a description."""
    longest = {
        "PublishedPolicy.Settings": 32,
        "ReleaseStateMachine.Name": 80,
        "ReleaseStateMachine": len("arn:aws-us-gov:states:us-gov-west-1:123456789012:stateMachine:") + 80,
        "StartReleaseRequestsAlias": len("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:")
        + 64
        + 9,
        "ApprovalPageFunctionUrl.FunctionUrl": len("https://.lambda-url.ap-northeast-1.on.aws/") + 32,
    }
    for version in VERSIONS.values():
        described = RESOURCES[version]["Properties"]["Description"]["Fn::Sub"]
        parts = (described if isinstance(described, str) else described[0]).replace("$", "").split()
        names = [part.strip("{}") for part in parts]
        assert sum(longest.get(name, 64) for name in names) + len(names) - 1 <= 256, version


def test_the_function_that_cloudformation_calls_is_called_as_it_is_deployed() -> None:
    """The custom resource calls no version, so it has none: it always reads the values of this deployment."""
    assert {"PublishPolicyFunction"} == FUNCTIONS - set(VERSIONS)
    token = RESOURCES["PublishedPolicy"]["Properties"]["ServiceToken"]
    assert token == {"Fn::GetAtt": ["PublishPolicyFunction", "Arn"]}
