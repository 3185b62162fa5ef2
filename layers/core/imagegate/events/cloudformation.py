"""Requests of CloudFormation for a custom resource, and the responses to them.

Source: CloudFormation user guide, "Custom resource request objects" and "Custom resource response objects".
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Literal

import urllib3
from msgspec import Struct, field

from imagegate.canonical_json import canonical_json
from imagegate.errors import RetryableError

# The whole response may have 4,096 bytes; a policy with many faults would exceed it.
_REASON_BYTES = 2000
_HTTP = urllib3.PoolManager(timeout=20)


class CustomResourceRequest(Struct, frozen=True, kw_only=True):
    RequestType: Literal["Create", "Update", "Delete"]
    ResponseURL: str
    StackId: str
    RequestId: str
    LogicalResourceId: str
    PhysicalResourceId: str | None = None
    ResourceProperties: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise `ValueError` if a resource that was created before has no ID."""
        if self.RequestType != "Create" and not self.PhysicalResourceId:
            raise ValueError("PhysicalResourceId is missing")


def settings_digest(request: CustomResourceRequest) -> str:
    """Return 32 hexadecimal digits that name the values in the property `Settings`: another value, another digest."""
    values = request.ResourceProperties.get("Settings", [])
    return sha256(canonical_json(values)).hexdigest()[:32]


class NoAnswerError(RetryableError):
    """The response could not be delivered to CloudFormation. Lambda calls the function again."""


def respond(request: CustomResourceRequest, physical_id: str, data: dict[str, str], reason: str = "") -> None:
    """Send CloudFormation the result: a failure if `reason` is not empty. Raises `NoAnswerError`."""
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
    response = _HTTP.request("PUT", request.ResponseURL, body=content, headers={"Content-Type": ""})
    if response.status >= 300:
        raise NoAnswerError(f"CloudFormation's response URL returned {response.status}")
