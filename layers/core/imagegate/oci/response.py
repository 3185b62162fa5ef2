"""The responses of an OCI registry, and the errors they mean (distribution specification, "Error Codes"). No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from imagegate.errors import (
    AccessRefusedError,
    ArchivedContentError,
    CorruptContentError,
    ImageGateError,
    ImageNotFoundError,
    QuotaReachedError,
    RegistryUnavailableError,
    RejectedInputError,
    ThrottledError,
)
from imagegate.text import MESSAGE_LIMIT, one_line

# For a used-up quota ECR answers 403 DENIED, as for a missing permission; only the text differs.
_BY_TEXT: Mapping[re.Pattern[str], type[ImageGateError]] = {
    re.compile("maximum allowed number|exceeded a service limit", re.IGNORECASE): QuotaReachedError,
    re.compile(r"\barchived?\b", re.IGNORECASE): ArchivedContentError,
}
_BY_CODE: Mapping[str, type[ImageGateError]] = {
    "DIGEST_INVALID": CorruptContentError,
    "TOOMANYREQUESTS": ThrottledError,
}
_BY_STATUS: Mapping[int, type[ImageGateError]] = {
    401: AccessRefusedError,
    403: AccessRefusedError,
    404: ImageNotFoundError,
    408: RegistryUnavailableError,
    429: ThrottledError,
}
_WHAT_TO_DO: Mapping[type[ImageGateError], str] = {
    QuotaReachedError: "remove images that nobody needs, or ask for a higher quota; then start the release again",
    ArchivedContentError: "restore the image (aws ecr update-image-storage-class), then start the release again",
}
_LONGEST_CODE = 60
_DENIED = "allow it in the IAM policy of the caller; the policy of the repository must not deny it"


def resolve_url(url: str, target: str, name: str) -> str:
    """Return the URL of `target`, relative to `url`. Raises `RegistryUnavailableError` for a malformed URL."""
    try:
        return parse_url(urljoin(url, target)).url
    except (ValueError, HTTPError) as error:
        raise RegistryUnavailableError(
            f"{name}: the registry sent a malformed URL: {one_line(target, 100)}"
        ) from error


def origin_of(url: str) -> tuple[str | None, str | None, int | None]:
    """Return scheme, host and port, by the parser of urllib3: another parser could read another host in the URL."""
    parts = parse_url(url)
    return parts.scheme, parts.host, parts.port or {"https": 443, "http": 80}.get(parts.scheme or "")


@dataclass(frozen=True, slots=True)
class RegistryResponse:
    """A complete response. Location and Link are relative to `url`."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_refused_for_now(self) -> bool:
        """True if the same request may succeed later."""
        is_throttled = self._kind() is ThrottledError
        return is_throttled or self.status in (500, 502, 503, 504)

    @property
    def retry_after(self) -> float | None:
        """The pause in seconds, or None if the registry sent none, or a date."""
        text = self.headers.get("Retry-After", "")
        return float(text) if text.isdecimal() else None

    @property
    def code(self) -> str:
        """The registry's error code, or "" if it sent none."""
        return self._error()[0]

    def refusal(self, name: str) -> ImageGateError:
        """Return the error that this response means. `name`: what was requested."""
        code, message = self._error()
        kind = self._kind()
        advice = _WHAT_TO_DO.get(kind, _DENIED if self.status == 403 else "")
        if self.status == 401 and self.headers.get("WWW-Authenticate", "").lower().startswith("bearer"):
            message = f"it requires a token from its token server, which only an import requests: {message}"
        text = f"{name}: the registry answered {self.status} {code}: {message}".rstrip(": ")
        return kind(f"{text}; {advice}" if advice else text)

    def _kind(self) -> type[ImageGateError]:
        code, message = self._error()
        if 400 <= self.status < 500:
            for text, kind in _BY_TEXT.items():
                if text.search(message):
                    return kind
        default = RegistryUnavailableError if self.status >= 500 else RejectedInputError
        return _BY_CODE.get(code) or _BY_STATUS.get(self.status, default)

    def _error(self) -> tuple[str, str]:
        try:
            first = json.loads(self.content)["errors"][0]
            return str(first["code"])[:_LONGEST_CODE], one_line(str(first.get("message", "")), MESSAGE_LIMIT)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return "", ""
