"""Users beside the administrator, so that people with different powers can be tried: one pushes, one approves."""

from __future__ import annotations

import json
from typing import Any

from sandbox.clients import client
from sandbox.deployment.deploy import DeployedStack
from sandbox.settings import Settings

_DECIDE = "DecideFunction"
_READS = [
    "cloudformation:DescribeStacks",
    *("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"),
    *("s3:GetObject", "s3:ListBucket", "kms:Decrypt"),
    *("states:DescribeExecution", "states:GetExecutionHistory"),
    *(
        "ecr:GetAuthorizationToken",
        "ecr:Describe*",
        "ecr:List*",
        "ecr:BatchGet*",
        "ecr:GetDownloadUrlForLayer",
    ),
]
_PUSHES = [
    *("ecr:CreateRepository", "ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload"),
    *("ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"),
]


def create_people(
    settings: Settings, credentials: dict[str, str], deployment: DeployedStack
) -> dict[str, dict[str, str]]:
    """Create the users `pusher` and `approver`; return their access keys by name."""
    statements = {"pusher": [_allow(_READS + _PUSHES)]}
    if _DECIDE in deployment.resources:
        statements["approver"] = [_allow(_READS), *_approval(settings, deployment.resources[_DECIDE])]
    return {name: _create(settings, credentials, name, allowed) for name, allowed in statements.items()}


def _allow(actions: list[str], resource: str = "*", **condition: Any) -> dict[str, Any]:
    limits = {"Condition": condition} if condition else {}
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **limits}


def _approval(settings: Settings, function: str) -> list[dict[str, Any]]:
    """Return the power to approve, as docs/powers/approve.json has it."""
    arn = f"arn:aws:lambda:{settings.region}:{settings.account}:function:{function}:approve"
    by_iam = {"lambda:FunctionUrlAuthType": "AWS_IAM"}
    by_url = {"lambda:InvokedViaFunctionUrl": "true"}
    return [
        _allow(["lambda:InvokeFunctionUrl"], arn, StringEquals=by_iam),
        _allow(["lambda:InvokeFunction"], arn, Bool=by_url),
    ]


def _create(
    settings: Settings, credentials: dict[str, str], name: str, statements: list[dict[str, Any]]
) -> dict[str, str]:
    iam = client(settings, credentials, "iam")
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
