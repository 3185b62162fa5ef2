"""Decisions by link: the page calls `decide` for them. It writes nothing itself, and `decide` does not trust it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from imagegate.aws.clients import client, translated
from imagegate.errors import ServiceUnavailableError, ThrottledError
from imagegate.grants.approval_link import NotDecidedError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_TOO_MANY, _FAULT = 429, 500


class LambdaDecider:
    """Calls the function synchronously, without the context of a caller whom IAM has authenticated."""

    def __init__(self, function: str) -> None:
        self._function = function

    def decide(self, token: str, reason: str) -> dict[str, Any]:
        """Call `decide`. The SDK may repeat the call: to decide the same again is no error."""
        request = {"schema": 1, "action": "decide-by-link", "token": token, "reason": reason}
        functions: LambdaClient = client("lambda")
        with translated({}, subject="decide"):
            response = functions.invoke(
                FunctionName=self._function, Payload=json.dumps({"body": json.dumps(request)})
            )
        content = response["Payload"].read()
        if "FunctionError" in response:
            raise ServiceUnavailableError(f"decide ended in an error: {content[:500]!r}")
        return _read(json.loads(content))


def _read(response: dict[str, Any]) -> dict[str, Any]:
    status, body = int(response["statusCode"]), json.loads(response["body"])
    if status == _TOO_MANY:
        raise ThrottledError(body["message"])
    if status >= _FAULT:
        raise ServiceUnavailableError(body["message"])
    if status != 200:
        raise NotDecidedError(body["message"])
    return dict(body)
