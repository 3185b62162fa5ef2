"""The approval page over HTTP: requests to its function URL (payload format 2.0), and the responses.

Source: AWS Lambda developer guide, "Invoking Lambda function URLs".
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from imagegate.approval_page.html import Notice, content_security_policy, notice_page
from imagegate.errors import ImageGateError, RecordNotFoundError, RetryableError, ThrottledError
from imagegate.grants.approval_link import LONGEST_TOKEN, LinkEndedError, LinkRefusedError, NotDecidedError

_METHODS = ("GET", "POST")
_LONGEST_REASON = 500  # characters
_LONGEST_BODY = 20_000
_AGAIN = "Wait a minute, then open the link again: it shows what has been recorded."
_ASK = "Look at the last mail about the image, or ask the people who run imagegate here."


@dataclass(frozen=True, slots=True)
class ShowPage:
    """A link that was opened."""

    token: str


@dataclass(frozen=True, slots=True)
class ConfirmDecision:
    """The form, after its button was pressed."""

    token: str
    reason: str = ""


class WrongRequestError(LinkRefusedError):
    """A request that none of our links makes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def parse_request(event: Mapping[str, Any]) -> ShowPage | ConfirmDecision:
    """Return the action that is requested. Raises `WrongRequestError`."""
    method = event["requestContext"]["http"]["method"]
    if method not in _METHODS:
        raise WrongRequestError(405, "this page can only be opened, and its button pressed")
    if event.get("rawPath", "/") != "/":
        raise WrongRequestError(404, "there is no such page")
    if method == "GET":
        return ShowPage(_one(event.get("rawQueryString", ""), "t", LONGEST_TOKEN))
    body = event.get("body") or ""
    if len(body) > _LONGEST_BODY:
        raise WrongRequestError(413, "the form's content is too large")
    return _confirmation(body, is_packed=bool(event.get("isBase64Encoded")))


def _confirmation(body: str, *, is_packed: bool) -> ConfirmDecision:
    try:
        form = base64.b64decode(body, validate=True).decode() if is_packed else body
    except ValueError as error:
        raise WrongRequestError(400, "the form's content cannot be read") from error
    # The field takes several lines; one line is kept.
    reason = " ".join(_one(form, "reason", 10 * _LONGEST_REASON).split())
    if len(reason) > _LONGEST_REASON:
        raise WrongRequestError(400, f"the reason may have {_LONGEST_REASON} characters")
    return ConfirmDecision(_one(form, "token", LONGEST_TOKEN), reason)


def _one(query: str, name: str, longest: int) -> str:
    """Return the value of a parameter that is given once, or an empty text, which is never a valid token."""
    try:
        values = parse_qs(query, keep_blank_values=True, max_num_fields=10).get(name, [])
    except ValueError:  # too many fields
        values = []
    return values[0] if len(values) == 1 and len(values[0]) <= longest else ""


def html_response(status: int, html: str) -> dict[str, Any]:
    """Return the response. The token is in the address, so no referrer, cache or search index may have it."""
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": content_security_policy(),
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-robots-tag": "noindex, nofollow",
        "strict-transport-security": "max-age=31536000",
        "cross-origin-opener-policy": "same-origin",
    }
    more = {405: {"allow": ", ".join(_METHODS)}, 429: {"retry-after": "60"}}.get(status, {})
    return {"statusCode": status, "headers": headers | more, "body": html}


def error_response_page(error: Exception) -> dict[str, Any]:
    """Return the page for a refusal or a fault."""
    status, content = _explain(error)
    return html_response(status, notice_page(content))


def _explain(error: Exception) -> tuple[int, Notice]:
    text = _sentence(str(error))
    match error:
        case WrongRequestError():
            return error.status, Notice("Nothing is here", text, _ASK)
        case LinkEndedError():
            return 410, Notice("This link has ended", text, _ASK)
        case LinkRefusedError():
            return 403, Notice("This link is not valid", text, _ASK)
        case NotDecidedError():
            return 409, Notice("Nothing was decided", text, "Open the link again to see the current state.")
        case RecordNotFoundError():
            return 404, Notice("There is nothing to show", "A record of this release is missing.", _ASK)
        case ThrottledError():
            return 429, Notice("Too many at once", "The gate has too many requests at the moment.", _AGAIN)
        case RetryableError():
            return 503, Notice("Not now", "A service did not answer.", _AGAIN)
        case ImageGateError():
            return 500, Notice("This cannot be shown", text, _ASK)
        case _:
            return 500, Notice(
                "This cannot be shown", "It is a fault of the gate; the details are in its log.", _ASK
            )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
