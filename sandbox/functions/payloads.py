"""Payload format version 2.0: a function URL's request becomes an event, the function's answer a response. No I/O.

Shapes: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html, and published events, which leave out what is
null in the guide: an empty body, absent query parameters and cookies.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from sandbox.functions.function import InvocationResult

# The function never gets the headers of the signature.
_KEPT_BACK = ("authorization", "cookie")
_FAILED = "Internal Server Error"


@dataclass(frozen=True, slots=True)
class FunctionRequest:
    """One request to a function URL; `path` and `query` as they were sent, the path without the URL's own part."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    protocol: str
    source: str  # the caller's address


@dataclass(frozen=True, slots=True)
class FunctionResponse:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class _MalformedError(ValueError):
    """A function's answer that Lambda cannot turn into HTTP."""


def make_event(
    call: FunctionRequest, url_id: str, request_id: str, caller: Mapping[str, str] | None
) -> dict[str, Any]:
    """Return the function's event; `caller` has accessKey, accountId, callerId, userArn and userId of the signer."""
    headers = _join_repeated((name.lower(), value) for name, value in call.headers)
    cookies = [cookie.strip() for cookie in headers.get("cookie", "").split(";") if cookie.strip()]
    parameters = _join_repeated(parse_qsl(call.query, keep_blank_values=True))
    document = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": call.path,
        "rawQueryString": call.query,
        "headers": {name: value for name, value in headers.items() if name not in _KEPT_BACK},
        "requestContext": _context(call, url_id, request_id, caller, headers),
        "isBase64Encoded": False,
    }
    given = {"cookies": cookies, "queryStringParameters": parameters}
    return document | {name: value for name, value in given.items() if value} | _body(call, headers)


def _join_repeated(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Join repeated names: one value with commas."""
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _context(
    call: FunctionRequest,
    url_id: str,
    request_id: str,
    caller: Mapping[str, str] | None,
    headers: Mapping[str, str],
) -> dict[str, Any]:
    now = datetime.now(UTC)
    context = {
        "accountId": caller["accountId"] if caller else "anonymous",
        "apiId": url_id,
        "domainName": headers.get("host", ""),
        "domainPrefix": url_id,
        "http": {
            "method": call.method,
            "path": call.path,
            "protocol": call.protocol,
            "sourceIp": call.source,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now.timestamp() * 1000),
    }
    if caller:
        context["authorizer"] = {"iam": {**caller, "cognitoIdentity": None, "principalOrgId": None}}
    return context


def _body(call: FunctionRequest, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the body as text only if the content type says that it is text, else in base64."""
    if not call.body:
        return {}
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("text/") or kind == "application/json":
        return {"body": call.body.decode(errors="replace")}
    return {"body": base64.b64encode(call.body).decode(), "isBase64Encoded": True}


def answer(outcome: InvocationResult) -> FunctionResponse:
    """Return the response to the caller; it says that there was an error, but nothing about it."""
    if outcome.error:
        return failed()
    try:
        document = json.loads(outcome.payload)
        if not isinstance(document, dict) or "statusCode" not in document:
            return FunctionResponse(200, (("content-type", "application/json"),), outcome.payload)
        return _read_response(document)
    except (ValueError, TypeError, AttributeError):
        return failed()


def failed() -> FunctionResponse:
    return FunctionResponse(502, (("content-type", "application/json"),), _FAILED.encode())


def forbidden() -> FunctionResponse:
    return FunctionResponse(
        403,
        (("content-type", "application/json"), ("x-amzn-ErrorType", "AccessDeniedException")),
        b'{"Message":"Forbidden"}',
    )


def _read_response(document: dict[str, Any]) -> FunctionResponse:
    headers = {str(name).lower(): _text(value) for name, value in (document.get("headers") or {}).items()}
    cookies = [("set-cookie", str(cookie)) for cookie in document.get("cookies") or []]
    body = document.get("body") or ""
    if not isinstance(body, str):
        raise _MalformedError("the body is not text")
    content = base64.b64decode(body, validate=True) if document.get("isBase64Encoded") else body.encode()
    status = int(document["statusCode"])
    if not 100 <= status <= 599:
        raise _MalformedError(f"{status} is no status of HTTP")
    every = {"content-type": "application/json"} | headers
    return FunctionResponse(status, (*every.items(), *cookies), content)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
