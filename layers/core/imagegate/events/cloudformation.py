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

# Of the whole response. CloudFormation refuses a longer one, and then nobody reads the reason.
RESPONSE_BYTES = 4096
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
    content = response_body(request, physical_id, data, reason)
    # The pre-signed URL is signed for an empty content type.
    response = _HTTP.request("PUT", request.ResponseURL, body=content, headers={"Content-Type": ""})
    if response.status >= 300:
        raise NoAnswerError(f"CloudFormation's response URL returned {response.status}")


def response_body(
    request: CustomResourceRequest, physical_id: str, data: dict[str, str], reason: str
) -> bytes:
    """Return the response as JSON, with as much of the reason as it has room for."""
    body = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": request.PhysicalResourceId or physical_id,
        "StackId": request.StackId,
        "RequestId": request.RequestId,
        "LogicalResourceId": request.LogicalResourceId,
        "Data": data,
    }
    return _json(body | {"Reason": _beginning(reason, RESPONSE_BYTES - len(_json(body)))})


def _beginning(text: str, room: int) -> str:
    """Return as much of the text's beginning as takes `room` bytes in JSON; "…" says that it was cut."""
    if len(_json(text)) - len(_json("")) <= room:
        return text
    size = len("…".encode())
    for index, character in enumerate(text):
        size += len(_json(character)) - len(_json(""))
        if size > room:
            return text[:index] + "…"
    return text


def _json(value: Any) -> bytes:
    """Return the value as UTF-8; a question mark replaces what UTF-8 cannot express."""
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")
