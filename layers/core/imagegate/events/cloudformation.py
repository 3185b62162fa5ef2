"""Answers to CloudFormation about a custom resource (CloudFormation user guide, "Custom resource response objects")."""

from __future__ import annotations

import json

import urllib3

from imagegate.errors import RetryableError
from imagegate.events.eventbridge import CustomResourceRequest

# The whole answer may have 4,096 bytes; a policy with many faults would exceed it.
_REASON_BYTES = 2000
_HTTP = urllib3.PoolManager(timeout=20)


class NoAnswerError(RetryableError):
    """CloudFormation's answer could not be delivered; Lambda calls again."""


def respond(request: CustomResourceRequest, physical_id: str, data: dict[str, str], reason: str = "") -> None:
    """Tell CloudFormation how it went: with a reason it failed."""
    body = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": reason.encode()[:_REASON_BYTES].decode(errors="ignore"),
        "PhysicalResourceId": request.PhysicalResourceId or physical_id,
        "StackId": request.StackId,
        "RequestId": request.RequestId,
        "LogicalResourceId": request.LogicalResourceId,
        "Data": data,
    }
    content = json.dumps(body, ensure_ascii=False).encode()
    # The pre-signed URL is signed for an empty content type.
    answer = _HTTP.request("PUT", request.ResponseURL, body=content, headers={"Content-Type": ""})
    if answer.status >= 300:
        raise NoAnswerError(f"CloudFormation's answer URL said {answer.status}")
