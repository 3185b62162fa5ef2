"""Custom resources: invoke their function and wait for its PUT to the ResponseURL.

moto goes on without the answer; here the stack waits for it, and fails with the reason that it gives.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from moto.awslambda.utils import get_backend
from moto.cloudformation.exceptions import ValidationError
from moto.core.common_models import CloudFormationModel

from sandbox.aws.cfn.creation import CreationContext, as_text

_ANSWER_BYTES = 4096
_answers: dict[str, dict[str, Any]] = {}  # key: the token in the ResponseURL


class CustomResource(CloudFormationModel):
    """A resource whose function answers with a PUT to the ResponseURL; its creation waits for that."""

    def __init__(self, physical_id: str, data: Mapping[str, Any]) -> None:
        self.physical_resource_id = physical_id
        self.data = data

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return True  # known only after the answer

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        if attribute_name not in self.data:
            raise ValidationError(
                message="CustomResource attribute error: Vendor response doesn't contain "
                f"{attribute_name} attribute in object {self.physical_resource_id}"
            )
        return self.data[attribute_name]

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **kwargs: Any,
    ) -> CustomResource:
        properties = cloudformation_json["Properties"]
        token = str(uuid.uuid4())
        event = {
            "RequestType": "Create",
            "ServiceToken": properties["ServiceToken"],
            "ResponseURL": f"{CreationContext.settings.endpoint}/sandbox-api/cfn-response/{token}",
            "StackId": kwargs["StackId"],
            "RequestId": str(uuid.uuid4()),
            "LogicalResourceId": kwargs["LogicalId"],
            "ResourceType": kwargs["ResourceType"],
            "ResourceProperties": _as_texts(properties),
        }
        answer = _ask(event, token, account_id, region_name)
        if answer["Status"] != "SUCCESS":
            raise ValidationError(message=str(answer.get("Reason") or "no reason given"))
        return cls(answer["PhysicalResourceId"], answer.get("Data") or {})


def _as_texts(value: Any) -> Any:
    """Convert every scalar to text, as custom resources receive them."""
    if isinstance(value, dict):
        return {name: _as_texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_texts(item) for item in value]
    return as_text(value)


def _ask(event: dict[str, Any], token: str, account_id: str, region: str) -> dict[str, Any]:
    headers: dict[str, str] = {}
    payload = get_backend(account_id, region).invoke(
        event["ServiceToken"], None, json.dumps(event), {}, headers
    )
    if "x-amz-function-error" in headers:
        error = json.loads(payload)
        reason = f"{error.get('errorType')}: {error.get('errorMessage')}"
        return {"Status": "FAILED", "Reason": f"{event['ServiceToken']} failed: {reason}"}
    return answer_to(token)


def answer_to(token: str) -> dict[str, Any]:
    """Return the answer that a custom resource put to its ResponseURL, once; a failure if there is none."""
    missing = {"Status": "FAILED", "Reason": "the function ended without an answer"}
    return _answers.pop(token, missing)


def take_answer(token: str, body: bytes) -> None:
    """Accept a custom resource's PUT to its ResponseURL. One that is too long fails the resource, as in AWS."""
    too_long = {"Status": "FAILED", "Reason": "Response object is too long."}
    _answers[token] = json.loads(body) if len(body) <= _ANSWER_BYTES else too_long
