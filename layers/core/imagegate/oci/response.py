"""What an OCI registry answered, and what its refusals mean (distribution specification, "Error Codes"). No I/O."""

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

# ECR says by the text alone that a quota is used up: 403 DENIED, as for a missing permission.
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
_DENIED = "allow it in the policy of whoever asks; the policy of the repository must not deny it"


def resolve_url(url: str, target: str, asked: str) -> str:
    """The URL that `target` means on the page `url`. Raises `RegistryUnavailableError` where it means none."""
    try:
        return parse_url(urljoin(url, target)).url
    except (ValueError, HTTPError) as error:
        shown = one_line(target, 100)
        raise RegistryUnavailableError(
            f"{asked}: the registry sends to what is no address: {shown}"
        ) from error


def origin_of(url: str) -> tuple[str | None, str | None, int | None]:
    """Scheme, host and port, by the parser of those who connect: two could read two hosts in one URL."""
    parts = parse_url(url)
    return parts.scheme, parts.host, parts.port or {"https": 443, "http": 80}.get(parts.scheme or "")


@dataclass(frozen=True, slots=True)
class RegistryResponse:
    """A whole answer. `url` is what Location and Link are relative to."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_refused_for_now(self) -> bool:
        """The same request may succeed in a moment."""
        is_overrun = self._kind() is ThrottledError
        return is_overrun or self.status in (500, 502, 503, 504)

    @property
    def retry_after(self) -> float | None:
        """Seconds; None when the registry did not say, or said a date."""
        text = self.headers.get("Retry-After", "")
        return float(text) if text.isdecimal() else None

    @property
    def code(self) -> str:
        """The registry's error code, or "" when it gave none."""
        return self._error()[0]

    def refusal(self, asked: str) -> ImageGateError:
        """What this answer means for what was asked."""
        code, message = self._error()
        kind = self._kind()
        advice = _WHAT_TO_DO.get(kind, _DENIED if self.status == 403 else "")
        if self.status == 401 and self.headers.get("WWW-Authenticate", "").lower().startswith("bearer"):
            message = f"it wants a token from its token server, which only an import asks: {message}"
        told = f"{asked}: the registry answered {self.status} {code}: {message}".rstrip(": ")
        return kind(f"{told}; {advice}" if advice else told)

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
