"""The allowed content of an exchange: placeholders replace everything that identifies the account or the time.

The replacements know what to expect; `leaks` looks again, at the finished text and without that knowledge.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

_LONGEST = 2000
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Values that are new in every call, wherever they are.
_NAMED = {
    name.lower(): f"<{name}>"
    for name in (
        "taskToken",
        "nextToken",
        "uploadId",
        "jobId",
        "messageId",
        "eventId",
        "requestId",
        "signature",
    )
}
_PATTERNS = [
    (re.compile(r"arn:aws[\w-]*:(?:iam|sts)::[^\s\"']+"), "<principal>"),
    (re.compile(r"https?://[\w.-]+(?::\d+)?"), "<host>"),
    (re.compile(r"[\w.-]+\.(?:amazonaws\.com(?:\.cn)?|api\.aws)|(?:127\.0\.0\.1|localhost):\d+"), "<host>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.,]*(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
]
_SUSPICIOUS = {
    "an account id": re.compile(r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])"),
    "an access key": re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{12,}"),
    "a secret key": re.compile(
        r"(?<![A-Za-z0-9/+=])(?=[^\s\"]*[a-z])(?=[^\s\"]*[A-Z])(?=[^\s\"]*\d)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
    ),
    "a token": re.compile(r"(?=[\w/+=-]*[A-Z])(?=[\w/+=-]*\d)(?=[\w/+=-]*[a-z])[\w/+=-]{80,}"),
    "a key in PEM": re.compile(r"-----BEGIN"),
    "a host of AWS": re.compile(r"\.amazonaws\.com"),
    "a mail address": re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+"),
}


class LeakError(Exception):
    """The text would identify the account."""


class Sanitiser:
    """Placeholders for one run's account, names and secrets."""

    def __init__(self, account: str, region: str, run: str, secrets: Iterable[str]) -> None:
        self.account = account
        self.secrets = tuple(secret for secret in secrets if secret)
        self._sent: set[str] = set()
        self._names = {
            **dict.fromkeys(self.secrets, "<secret>"),
            # Where only letters, digits and `_` are allowed, it is the same name with `_`.
            **dict.fromkeys((run, run.replace("-", "_")), "<run>"),
        }
        self._late = {account: "<account>", region: "<region>"}

    def sent(self, value: Any) -> Any:
        """Return the same as `value`; digests in it and of it are our own, and stay readable in answers."""
        self._sent |= set(_DIGEST.findall(json.dumps(value, default=str)))
        for text in _texts(value):
            self._sent.add("sha256:" + hashlib.sha256(text).hexdigest())
        return self.value(value)

    def value(self, value: Any, key: str = "") -> Any:
        match value:
            case dict():
                return {self.text(str(name)): self.value(item, str(name)) for name, item in value.items()}
            case list() | tuple():
                return [self.value(item, key) for item in value]
            case str() if value and key.lower() in _NAMED:
                return _NAMED[key.lower()]
            case str():
                return self.text(value)
            case datetime():
                return "<time>"
            case bytes():
                return self._content(value)
            case None | bool() | int() | float():
                return value
            case _:
                return self.text(str(value))

    def text(self, text: str) -> str:
        if len(text) > _LONGEST:
            return f"<{len(text)} characters>"
        for name, placeholder in self._names.items():
            text = text.replace(name, placeholder)
        for pattern, placeholder in _PATTERNS:
            text = pattern.sub(placeholder, text)
        for name, placeholder in self._late.items():
            text = text.replace(name, placeholder)
        return _DIGEST.sub(lambda found: found[0] if found[0] in self._sent else "<digest>", text)

    def _content(self, content: bytes) -> str:
        try:
            return self.text(content.decode())
        except UnicodeDecodeError:
            return f"<{len(content)} bytes>"

    def check(self, text: str) -> None:
        """Raise LeakError, which names the kind of leak and never its content."""
        if found := leaks(text, [self.account, *self.secrets]):
            raise LeakError(f"it still has {', '.join(found)} in it")


def leaks(text: str, known: Iterable[str] = ()) -> list[str]:
    """Return the kinds of things in a text that must not be in a recording."""
    found = [kind for kind, pattern in _SUSPICIOUS.items() if pattern.search(text)]
    return found + (["what was known as secret"] if any(secret in text for secret in known) else [])


def _texts(value: Any) -> Iterable[bytes]:
    match value:
        case dict():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
        case str():
            yield value.encode()
        case bytes():
            yield value
