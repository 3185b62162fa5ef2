"""Calls the function `decide`: an HTTP request to its URL, signed for IAM (Signature Version 4).

The body proves who calls: it has the signature of a request to AWS STS, which only the function sends.

Source: AWS Lambda developer guide, "Control access to Lambda function URLs".
"""

from __future__ import annotations

import json
import os
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from imagegate.canonical_json import timestamp
from imagegate.grants.power import Power, power_of
from imagegate.release.release import StartReason
from imagegate_cli.context import now
from imagegate_cli.faults import CannotTellError, NotFoundError
from imagegate_cli.output.spinner import Spinner
from imagegate_cli.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from botocore.credentials import ReadOnlyCredentials

    from imagegate.oci.image import ImageRef

# The function may take 120 s: before it responds, it judges the images again that a waiver frees.
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 125.0
# The function refuses a request that is older.
_LIFE = timedelta(minutes=5)
_RIGHTS = "lambda:InvokeFunctionUrl and lambda:InvokeFunction (with lambda:InvokedViaFunctionUrl)"

# Refusals by a rule of the gate. Every other error with status 400 is about the form of the request.
_REFUSALS = (
    "WaiverRefusedError",
    "BreakGlassRefusedError",
    "ApprovalRefusedError",
    "RollbackRefusedError",
    "OrderRefusedError",
)


class RefusedError(click.ClickException):
    """A rule of the gate refuses the decision."""

    exit_code = 1


class NotTakenError(CannotTellError):
    """The form of the request is wrong."""


class UnknownDecisionError(CannotTellError):
    """Nothing was decided, or it is unknown whether it was."""


def request_decision(stack: Stack, action: str, **fields: Any) -> dict[str, Any]:
    """Send a decision to the function `decide` and return its response. `fields` are those of the action.

    Raises `RefusedError`, `NotTakenError`, `NotFoundError` or `UnknownDecisionError`.
    """
    power = power_of(action, fields.get("id", ""))
    url = stack.output(power.output)
    with Spinner("waiting for the response: blocked images are judged again"):
        status, content = _send(url, stack, power, {"schema": 1, "action": action, **fields})
    try:
        response = json.loads(content)
    except ValueError:
        response = {}
    if not isinstance(response, dict):
        response = {}
    if status == 200 and response:
        return response
    raise _error(status, response, stack, power)


class ReleaseOrders:
    """Requests releases by hand from the function `decide`, which records who requests them."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def request(self, image: ImageRef, tags: Iterable[str], reason: StartReason) -> None:
        """Request a release of the image. Raises as `request_decision`."""
        fields = {"repository": image.repository, "digest": str(image.digest), "tags": sorted(tags)}
        request_decision(self._stack, "release", **fields, adopt=reason is StartReason.ADOPTED)


def _send(url: str, stack: Stack, power: Power, decision: dict[str, Any]) -> tuple[int, bytes]:
    from botocore import exceptions as aws
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.httpsession import URLLib3Session
    from botocore.utils import get_environ_proxies

    from imagegate.aws.clients import session

    # The session that found the stack: a new one could require a second factor again.
    credentials = session().get_credentials()
    if credentials is None:
        raise aws.NoCredentialsError
    keys = credentials.get_frozen_credentials()
    body = proven(decision, keys, stack.decider(power), now())
    request = AWSRequest("POST", url, {"content-type": "application/json"}, body)
    SigV4Auth(keys, "lambda", stack.region).add_auth(request)
    # As botocore's own endpoints make it. The published types are too narrow.
    settings: Any = {
        "verify": os.environ.get("AWS_CA_BUNDLE") or True,
        "proxies": get_environ_proxies(url),
        "timeout": (_CONNECT_SECONDS, _ANSWER_SECONDS),
    }
    try:
        response = URLLib3Session(**settings).send(request.prepare())
    except (aws.ReadTimeoutError, aws.ConnectionClosedError) as error:
        hint = "it may be decided all the same: see imagegate decide list; repeating the command does no harm"
        raise UnknownDecisionError(f"no answer from {url}; {hint}") from error
    return response.status_code, response.content


def proven(decision: dict[str, Any], keys: ReadOnlyCredentials, function_arn: str, at: datetime) -> bytes:
    """Return the body for the function `decide`: the decision, and the proof of who makes it."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    from imagegate.aws.sts import sts_endpoint
    from imagegate.grants.caller_proof import Audience, identity_request

    expires = timestamp(at + _LIFE)
    text = json.dumps({"nonce": secrets.token_hex(16), "expires": expires, "decision": decision})
    audience = Audience.parse(function_arn)
    identity = identity_request(audience, text, sts_endpoint(audience))
    request = AWSRequest("POST", identity.url, dict(identity.headers), identity.body)
    SigV4Auth(keys, "sts", audience.region).add_auth(request)
    proof = {
        "date": request.headers["X-Amz-Date"],
        "accessKeyId": keys.access_key,
        "signature": request.headers["Authorization"].rpartition("Signature=")[2],
        **({"sessionToken": keys.token} if keys.token else {}),
    }
    return json.dumps({"schema": 2, "request": text, "proof": proof}).encode()


def _error(status: int, response: dict[str, Any], stack: Stack, power: Power) -> click.ClickException:
    message = response.get("message")
    if not isinstance(message, str) or "error" not in response:
        return _error_of_lambda(status, stack, power)
    if status == 404:
        return NotFoundError(message)
    if status == 400:
        return RefusedError(message) if response["error"] in _REFUSALS else NotTakenError(message)
    return UnknownDecisionError(message)


def _error_of_lambda(status: int, stack: Stack, power: Power) -> click.ClickException:
    """Explain a response that is Lambda's own, not the function's."""
    if status == 403:
        return UnknownDecisionError(
            f"you may not decide that: the power {power} needs {_RIGHTS} on {stack.decider(power)}"
        )
    if status == 429:
        return UnknownDecisionError("too many decisions at once: try again")
    where = f"its log group is /aws/lambda/{stack.name}-decide"
    return UnknownDecisionError(f"the function that decides failed (HTTP {status}): {where}")
