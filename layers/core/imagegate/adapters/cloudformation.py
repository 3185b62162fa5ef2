"""Answers to CloudFormation about a custom resource (CloudFormation user guide, "Custom resource response objects")."""

from __future__ import annotations

import json

import urllib3

from imagegate.adapters.events import CustomResourceRequest

# The whole answer may have 4,096 bytes; a policy with many faults would exceed it.
_REASON_LIMIT = 2000


def respond(request: CustomResourceRequest, physical_id: str, data: dict[str, str], reason: str = "") -> None:
    """Tell CloudFormation how it went: with a reason it failed."""
    body = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": reason[:_REASON_LIMIT],
        "PhysicalResourceId": request.PhysicalResourceId or physical_id,
        "StackId": request.StackId,
        "RequestId": request.RequestId,
        "LogicalResourceId": request.LogicalResourceId,
        "Data": data,
    }
    content = json.dumps(body).encode()
    # The pre-signed URL is signed for an empty content type.
    urllib3.request("PUT", request.ResponseURL, body=content, headers={"Content-Type": ""}, timeout=20)
