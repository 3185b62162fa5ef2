"""The change set that takes what a deleted stack left into a new stack, so that its history goes on.

`aws cloudformation list-stack-resources --stack-name ARN | python -m tools.take_back STACK` prints the request.
docs/how-to/change-the-stack.md has the steps.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from tools.translated import translated

CHANGE_SET = "take-back"
# CloudFormation user guide, "Import AWS resources into a CloudFormation stack": what names a resource of each type.
_IDENTIFIERS = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::KMS::Key": "KeyId",
    "AWS::S3::Bucket": "BucketName",
}
_SECTIONS = ("AWSTemplateFormatVersion", "Parameters", "Conditions")


def import_request(stack: str, left: Mapping[str, str]) -> dict[str, Any]:
    """Return the input of CreateChangeSet for a stack of nothing but what was left.

    `left` has the physical id of each resource of the deleted stack, by logical id; what does not stay may be in it.
    """
    template = translated()
    # What was left is taken back whatever the parameters say: the next deployment has those of before.
    kept = {
        name: {key: value for key, value in one.items() if key != "Condition"}
        for name, one in template["Resources"].items()
        if name in left and one["Type"] in _IDENTIFIERS
    }
    sections = {name: template[name] for name in _SECTIONS if name in template}
    return {
        "StackName": stack,
        "ChangeSetName": CHANGE_SET,
        "ChangeSetType": "IMPORT",
        "TemplateBody": json.dumps(sections | {"Resources": kept}, separators=(",", ":")),
        "ResourcesToImport": [
            {
                "ResourceType": one["Type"],
                "LogicalResourceId": name,
                "ResourceIdentifier": {_IDENTIFIERS[one["Type"]]: left[name]},
            }
            for name, one in kept.items()
        ],
    }


def main() -> None:
    listed = json.load(sys.stdin)["StackResourceSummaries"]
    left = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed}
    json.dump(import_request(sys.argv[1], left), sys.stdout, indent=2)


if __name__ == "__main__":
    main()
