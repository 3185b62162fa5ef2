"""The approval page over HTTP: requests to its function URL (payload format 2.0), answers, refusals in plain words.

Source: AWS Lambda developer guide, "Invoking Lambda function URLs".
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from imagegate.approval_page.html import Notice, content_security_policy, notice
from imagegate.errors import ImageGateError, RecordNotFoundError, RetryableError, ThrottledError
from imagegate.grants.approval_link import LONGEST_TOKEN, LinkEndedError, LinkRefusedError, NotDecidedError

_METHODS = ("GET", "POST")
_LONGEST_REASON = 500  # characters
_LONGEST_BODY = 20_000
_AGAIN = "Wait a minute, then open the link again: it shows what has been recorded."
_ASK = "Look into the last mail about the image, or ask whoever runs imagegate here."


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
    """No link of ours leads here."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def parse_request(event: Mapping[str, Any]) -> ShowPage | ConfirmDecision:
    """Return the action that is requested. Raises `WrongRequestError`."""
    method = event["requestContext"]["http"]["method"]
    if method not in _METHODS:
        raise WrongRequestError(405, "this page is only looked at, and its button pressed")
    if event.get("rawPath", "/") != "/":
        raise WrongRequestError(404, "there is no such page")
    if method == "GET":
        return ShowPage(_one(event.get("rawQueryString", ""), "t", LONGEST_TOKEN))
    body = event.get("body") or ""
    if len(body) > _LONGEST_BODY:
        raise WrongRequestError(413, "that is more than the form takes")
    return _confirmation(body, is_packed=bool(event.get("isBase64Encoded")))


def _confirmation(body: str, *, is_packed: bool) -> ConfirmDecision:
    try:
        form = base64.b64decode(body, validate=True).decode() if is_packed else body
    except ValueError as error:
        raise WrongRequestError(400, "what the form sent cannot be read") from error
    # The field takes several lines; what is kept is one.
    reason = " ".join(_one(form, "reason", 10 * _LONGEST_REASON).split())
    if len(reason) > _LONGEST_REASON:
        raise WrongRequestError(400, f"the reason may have {_LONGEST_REASON} characters")
    return ConfirmDecision(_one(form, "token", LONGEST_TOKEN), reason)


def _one(query: str, name: str, longest: int) -> str:
    """What is given once; else "", which no link is."""
    try:
        given = parse_qs(query, keep_blank_values=True, max_num_fields=10).get(name, [])
    except ValueError:  # too many fields
        given = []
    return given[0] if len(given) == 1 and len(given[0]) <= longest else ""


def answer(status: int, html: str) -> dict[str, Any]:
    """The token is in the address: it must not leave by a referrer, a cache or an index."""
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


def refused(error: Exception) -> dict[str, Any]:
    """A page for every way in which a link does not lead on."""
    status, told = _told(error)
    return answer(status, notice(told))


def _told(error: Exception) -> tuple[int, Notice]:
    text = _sentence(str(error))
    match error:
        case WrongRequestError():
            return error.status, Notice("Nothing is here", text, _ASK)
        case LinkEndedError():
            return 410, Notice("This link has ended", text, _ASK)
        case LinkRefusedError():
            return 403, Notice("This link leads nowhere", text, _ASK)
        case NotDecidedError():
            return 409, Notice(
                "Nothing was decided by this", text, "Open the link again to see what holds now."
            )
        case RecordNotFoundError():
            return 404, Notice("There is nothing to show", "A record of this release is missing.", _ASK)
        case ThrottledError():
            return 429, Notice("Too many at once", "The gate is asked too much at the moment.", _AGAIN)
        case RetryableError():
            return 503, Notice("Not now", "A service did not answer.", _AGAIN)
        case ImageGateError():
            return 500, Notice("This cannot be shown", text, _ASK)
        case _:
            return 500, Notice("This cannot be shown", "It is a fault of the gate; its log says more.", _ASK)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
