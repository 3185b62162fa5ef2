"""Calls of the function that decides: an HTTP request to its URL, signed for IAM (Signature Version 4).

In it is the proof of who calls: the signature of a request that only AWS STS can check, never sent from here.

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

# The function may take 120 s: what a waiver frees is judged again before it answers.
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 125.0
# How long what is asked may be on its way.
_LIFE = timedelta(minutes=5)
_RIGHTS = "lambda:InvokeFunctionUrl and lambda:InvokeFunction (with lambda:InvokedViaFunctionUrl)"

# The gate's own no; any other 400 is a question that was not put as it has to be.
_REFUSALS = (
    "WaiverRefusedError",
    "BreakGlassRefusedError",
    "ApprovalRefusedError",
    "RollbackRefusedError",
    "OrderRefusedError",
)


class RefusedError(click.ClickException):
    """The gate says no."""

    exit_code = 1


class NotTakenError(CannotTellError):
    """What was asked is not written as it has to be."""


class UnknownDecisionError(CannotTellError):
    """Nothing was decided, or it is not known whether it was."""


def decide(stack: Stack, action: str, **asked: Any) -> dict[str, Any]:
    """Ask for a decision and return the answer.

    Raises `RefusedError`, `NotTakenError`, `NotFoundError` or `UnknownDecisionError`.
    """
    power = power_of(action, asked.get("id", ""))
    url = stack.output(power.output)
    with Spinner("waiting for the answer: what is blocked is judged again"):
        status, content = _send(url, stack, power, {"schema": 1, "action": action, **asked})
    try:
        told = json.loads(content)
    except ValueError:
        told = {}
    if not isinstance(told, dict):
        told = {}
    if status == 200 and told:
        return told
    raise _fault(status, told, stack, power)


class ReleaseOrders:
    """Has images released by hand: `decide` keeps who wants it, and starts it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def request(self, image: ImageRef, tags: Iterable[str], reason: StartReason) -> None:
        named = {"repository": image.repository, "digest": str(image.digest), "tags": sorted(tags)}
        decide(self._stack, "release", **named, adopt=reason is StartReason.ADOPTED)


def _send(url: str, stack: Stack, power: Power, decision: dict[str, Any]) -> tuple[int, bytes]:
    import boto3
    from botocore import exceptions as aws
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.httpsession import URLLib3Session
    from botocore.utils import get_environ_proxies

    # The session that found the stack: another one could ask for a second factor once more.
    found = (boto3.DEFAULT_SESSION or boto3.Session()).get_credentials()
    if found is None:
        raise aws.NoCredentialsError
    keys = found.get_frozen_credentials()
    body = proven(decision, keys, stack.decider(power), now())
    request = AWSRequest("POST", url, {"content-type": "application/json"}, body)
    SigV4Auth(keys, "lambda", stack.region).add_auth(request)
    # As botocore's own endpoints make it; the published types are narrower than what it takes.
    settings: Any = {
        "verify": os.environ.get("AWS_CA_BUNDLE") or True,
        "proxies": get_environ_proxies(url),
        "timeout": (_CONNECT_SECONDS, _ANSWER_SECONDS),
    }
    try:
        answer = URLLib3Session(**settings).send(request.prepare())
    except (aws.ReadTimeoutError, aws.ConnectionClosedError) as error:
        hint = "it may be decided all the same: imagegate decide list shows it, and asking again does no harm"
        raise UnknownDecisionError(f"no answer from {url}; {hint}") from error
    return answer.status_code, answer.content


def proven(decision: dict[str, Any], keys: ReadOnlyCredentials, function_arn: str, at: datetime) -> bytes:
    """The body that `decide` takes: the decision, and whose it is."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    from imagegate.aws.sts import sts_endpoint
    from imagegate.grants.caller_proof import Audience, identity_request

    expires = timestamp(at + _LIFE)
    text = json.dumps({"nonce": secrets.token_hex(16), "expires": expires, "decision": decision})
    audience = Audience.parse(function_arn)
    asked = identity_request(audience, text, sts_endpoint(audience))
    request = AWSRequest("POST", asked.url, dict(asked.headers), asked.body)
    SigV4Auth(keys, "sts", audience.region).add_auth(request)
    proof = {
        "date": request.headers["X-Amz-Date"],
        "accessKeyId": keys.access_key,
        "signature": request.headers["Authorization"].rpartition("Signature=")[2],
        **({"sessionToken": keys.token} if keys.token else {}),
    }
    return json.dumps({"schema": 2, "request": text, "proof": proof}).encode()


def _fault(status: int, told: dict[str, Any], stack: Stack, power: Power) -> click.ClickException:
    message = told.get("message")
    if not isinstance(message, str) or "error" not in told:
        return _of_lambda(status, stack, power)
    if status == 404:
        return NotFoundError(message)
    if status == 400:
        return RefusedError(message) if told["error"] in _REFUSALS else NotTakenError(message)
    return UnknownDecisionError(message)


def _of_lambda(status: int, stack: Stack, power: Power) -> click.ClickException:
    """The function was not reached, or did not answer: what Lambda itself says is not for people."""
    if status == 403:
        return UnknownDecisionError(
            f"you may not decide that: the power {power} needs {_RIGHTS} on {stack.decider(power)}"
        )
    if status == 429:
        return UnknownDecisionError("too many decide at once: ask again")
    where = f"its log group is /aws/lambda/{stack.name}-decide"
    return UnknownDecisionError(f"the function that decides failed (HTTP {status}): {where}")
