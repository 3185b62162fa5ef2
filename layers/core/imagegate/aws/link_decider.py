"""Asks `decide` for a decision by link. The page itself writes nothing, and `decide` trusts it in nothing."""

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
        """Deciding the same again is no error, so the SDK may repeat the call."""
        asked = {"schema": 1, "action": "decide-by-link", "token": token, "reason": reason}
        functions: LambdaClient = client("lambda")
        with translated({}, asked="decide"):
            answer = functions.invoke(
                FunctionName=self._function, Payload=json.dumps({"body": json.dumps(asked)})
            )
        content = answer["Payload"].read()
        if "FunctionError" in answer:
            raise ServiceUnavailableError(f"decide ended in an error: {content[:500]!r}")
        return _told(json.loads(content))


def _told(answer: dict[str, Any]) -> dict[str, Any]:
    status, told = int(answer["statusCode"]), json.loads(answer["body"])
    if status == _TOO_MANY:
        raise ThrottledError(told["message"])
    if status >= _FAULT:
        raise ServiceUnavailableError(told["message"])
    if status != 200:
        raise NotDecidedError(told["message"])
    return dict(told)
