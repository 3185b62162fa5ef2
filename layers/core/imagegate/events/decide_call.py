"""Calls of `decide` and its responses: a Lambda function URL (payload format 2.0) with IAM authentication.

Rules: each power has an alias of the function with a URL of its own, so that IAM grants the powers apart. A call by
these aliases comes with a proof of who the caller is (`proven`). The alias for links takes decisions by link only; the
approval page calls it, and cannot claim to be anybody.

Source: AWS Lambda developer guide, "Invoking Lambda function URLs".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from imagegate.errors import (
    AccessRefusedError,
    ImageGateError,
    InvalidEventError,
    RecordNotFoundError,
    RejectedInputError,
)
from imagegate.events.decisions import DecisionModel, LinkDecisionModel
from imagegate.events.proven import CheckCaller, ProvenEnvelope, SignedRequest
from imagegate.grants.caller_proof import NOBODY, Identity, ProofRefusedError
from imagegate.grants.power import power_of

# The alias of `decide` that the approval page may call.
LINKS_ALIAS = "by-link"
_LONGEST = 64_000  # characters of a body

_Parsed = TypeVar("_Parsed")


def parse_call(
    event: dict[str, Any], function_arn: str, check: CheckCaller, now: datetime
) -> tuple[Identity, DecisionModel]:
    """Return the proven caller and the decision. `function_arn` is the one that was called, with its alias.

    By the alias for links the caller is `NOBODY`. Raises `AccessRefusedError` or `InvalidEventError`.
    """
    if function_arn.endswith(f":{LINKS_ALIAS}"):
        return NOBODY, _parse_link_decision(event)
    caller, envelope = caller_arn(event), _parse_envelope(event)
    signed = _validate(lambda: msgspec.json.decode(envelope.request, type=SignedRequest))
    decision = _validate(lambda: msgspec.convert(signed.decision, DecisionModel))
    if isinstance(decision, LinkDecisionModel):
        raise AccessRefusedError("decisions by link are made on the approval page")
    _check_alias(decision, function_arn)
    return check.run(caller, envelope, signed, function_arn, now), decision


def caller_arn(event: dict[str, Any]) -> str:
    """Return the ARN of the caller as IAM authenticated it. Raises `AccessRefusedError` if there is none."""
    try:
        arn = event["requestContext"]["authorizer"]["iam"]["userArn"]
    except (KeyError, TypeError):
        arn = None
    if not isinstance(arn, str) or not arn.startswith("arn:"):
        raise AccessRefusedError("IAM names no caller: call the function's URL with a signed request")
    return arn


def parse_decision(event: dict[str, Any]) -> DecisionModel:
    """Return the decision in the body. Raises `InvalidEventError` that names the field at fault."""
    content = _body(event)
    decision: DecisionModel = _validate(lambda: msgspec.json.decode(content, type=DecisionModel))
    return decision


def _parse_link_decision(event: dict[str, Any]) -> LinkDecisionModel:
    decision = parse_decision(event)
    if not isinstance(decision, LinkDecisionModel):
        raise AccessRefusedError(f"the alias {LINKS_ALIAS} takes decisions by link only")
    return decision


def _check_alias(decision: DecisionModel, function_arn: str) -> None:
    """Raise `AccessRefusedError` if the call did not come by the alias of the power that the decision takes."""
    power = power_of(decision.action, getattr(decision, "id", ""))
    if not function_arn.endswith(f":{power}"):
        raise AccessRefusedError(
            f"to {decision.action} is a power of its own: call the URL of the stack's output {power.output}"
        )


def _parse_envelope(event: dict[str, Any]) -> ProvenEnvelope:
    content = _body(event)
    try:
        return _validate(lambda: msgspec.json.decode(content, type=ProvenEnvelope))
    except InvalidEventError as error:
        message = "there is no complete proof of the caller: use the imagegate of this gate's version"
        raise ProofRefusedError(message) from error


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body")
    if not isinstance(body, str) or not 0 < len(body) <= _LONGEST:
        raise InvalidEventError(f"the body must be a JSON object of at most {_LONGEST} bytes")
    try:
        return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError as error:
        raise InvalidEventError(f"the body cannot be read: {error}") from error


def _validate(parse: Callable[[], _Parsed]) -> _Parsed:
    try:
        return parse()
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidEventError(f"not a decision: {error}") from error


def error_response(error: ImageGateError) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the body for a refusal, or for a fault that may pass."""
    status = 503
    for kind, code in ((AccessRefusedError, 403), (RecordNotFoundError, 404), (RejectedInputError, 400)):
        if isinstance(error, kind):
            status = code
            break
    return status, {"error": type(error).__name__, "message": str(error)}


def http_response(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """Return the response of a function URL."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body),
    }
