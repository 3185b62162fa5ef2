"""HTTP to one OCI registry: credentials, redirects, retries, and what its refusals mean.

Rules: TLS everywhere but on loopback; credentials never leave the registry's own origin. Credentials are Basic, as
ECR has them, or none; a registry that sends its clients to a token server (a Bearer challenge) is refused by name.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from imagegate.domain.errors import (
    AccessRefusedError,
    CorruptContentError,
    ImageGateError,
    ImageNotFoundError,
    RegistryUnavailableError,
    RejectedInputError,
    ThrottledError,
)

CHUNK = 1024 * 1024
# Distribution specification, "Pushing Manifests": registries take at least 4 MiB; ECR takes no more.
LIMIT = 4 * 1024 * 1024

_TIMEOUT = urllib3.Timeout(connect=5, read=60)
_LONGEST_WAIT = 10  # seconds: a Lambda that sleeps longer is better called again
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
# A token that runs out during a long upload cannot be exchanged half-way.
_TOKEN_MARGIN = timedelta(minutes=15)

_NEVER = datetime.max.replace(tzinfo=UTC)

# Distribution specification, "Error Codes".
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

Body = bytes | Iterator[bytes] | None


@dataclass(frozen=True, slots=True)
class Login:
    """Where the registry is, and the Basic credentials for it (base64 of `user:password`); "" for none."""

    endpoint: str
    authorization: str = field(default="", repr=False)
    expires_at: datetime = _NEVER

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Basic {self.authorization}"} if self.authorization else {}


class _Retry(Retry):
    """Honours Retry-After, but not for longer than a function should sleep."""

    def get_retry_after(self, response: Any) -> float | None:
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, _LONGEST_WAIT)


_RETRY = _Retry(
    total=3,
    redirect=False,
    backoff_factor=0.2,
    status_forcelist=(429, 502, 503, 504),
    # POST begins an upload, which may be begun twice. PATCH adds to one, which may not.
    allowed_methods=("GET", "HEAD", "PUT", "POST"),
    raise_on_status=False,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `url` is what Location and Link are relative to."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def code(self) -> str:
        """The registry's error code, or "" when it gave none."""
        return self._error()[0]

    def refusal(self, asked: str) -> ImageGateError:
        """What this answer means for what was asked."""
        code, message = self._error()
        if self.status == 401 and self.headers.get("WWW-Authenticate", "").lower().startswith("bearer"):
            message = f"it wants a token from a token server, which imagegate never asks: {message}"
        default = RegistryUnavailableError if self.status >= 500 else RejectedInputError
        kind = _BY_CODE.get(code) or _BY_STATUS.get(self.status, default)
        return kind(f"{asked}: the registry answered {self.status} {code}: {message}".rstrip(": "))

    def _error(self) -> tuple[str, str]:
        try:
            first = json.loads(self.content)["errors"][0]
            return str(first["code"]), str(first.get("message", ""))
        except (ValueError, LookupError, TypeError, AttributeError):
            return "", ""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    asked: str
    headers: Mapping[str, str]
    body: Body

    @property
    def is_repeatable(self) -> bool:
        return self.body is None or isinstance(self.body, bytes)


class Connection:
    """Requests to one registry. `asked` names in every error what was wanted."""

    def __init__(self, log_in: Callable[[], Login]) -> None:
        self._log_in = log_in
        self._login: Login | None = None
        self._pool = urllib3.PoolManager(maxsize=4, timeout=_TIMEOUT)

    def call(
        self,
        method: str,
        target: str,
        asked: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        also: frozenset[int] = frozenset(),
    ) -> Answer:
        """`target`: a path, or a URL that the registry gave. Raises unless it succeeds or answers one of `also`."""
        with self._opened(target, _Request(method, asked, headers or {}, body)) as (url, response):
            answer = Answer(url, response.status, response.headers, _read(response, asked))
        if answer.is_success or answer.status in also:
            return answer
        raise answer.refusal(asked)

    @contextmanager
    def stream(self, path: str, asked: str) -> Iterator[Iterator[bytes]]:
        """The content of a GET in chunks of 1 MiB; a connection that breaks raises in the reader."""
        with self._opened(path, _Request("GET", asked, {}, None)) as (url, response):
            if response.status != 200:
                raise Answer(url, response.status, response.headers, _read(response, asked)).refusal(asked)
            yield response.stream(CHUNK, decode_content=False)

    @contextmanager
    def _opened(self, target: str, request: _Request) -> Iterator[tuple[str, urllib3.BaseHTTPResponse]]:
        try:
            url, response = self._follow(target, request)
            try:
                yield url, response
            finally:
                response.close()  # a connection from which all was read stays open for the next request
        except HTTPError as error:
            raise RegistryUnavailableError(f"{request.asked}: {error}") from error

    def _follow(self, target: str, request: _Request) -> tuple[str, urllib3.BaseHTTPResponse]:
        """Follow redirects of reads by hand: ECR sends to S3, which must not see the credentials."""
        endpoint = self._current_login().endpoint
        url = urljoin(endpoint, target)
        is_own = True
        for _ in range(_MAX_REDIRECTS + 1):
            is_own = is_own and _origin(url) == _origin(endpoint)
            response = self._authorized(url, request) if is_own else self._send(url, request, {})
            location = response.headers.get("Location")
            if request.method not in ("GET", "HEAD") or response.status not in _REDIRECTS or not location:
                return url, response
            response.drain_conn()
            url = urljoin(url, location)
        raise RegistryUnavailableError(f"{request.asked}: redirected more than {_MAX_REDIRECTS} times")

    def _authorized(self, url: str, request: _Request) -> urllib3.BaseHTTPResponse:
        """Send with credentials; when they are refused, once more with new ones."""
        response = self._send(url, request, self._current_login().headers)
        if response.status != 401:
            return response
        self._login = None
        if not request.is_repeatable:
            return response
        response.drain_conn()
        return self._send(url, request, self._current_login().headers)

    def _send(self, url: str, request: _Request, credentials: dict[str, str]) -> urllib3.BaseHTTPResponse:
        _check_secure(url, request.asked)
        return self._pool.request(
            request.method,
            url,
            body=request.body,
            headers={"Accept-Encoding": "identity", **request.headers, **credentials},
            retries=_RETRY if request.is_repeatable else False,
            redirect=False,
            preload_content=False,
        )

    def _current_login(self) -> Login:
        if self._login is None or datetime.now(UTC) + _TOKEN_MARGIN >= self._login.expires_at:
            self._login = self._log_in()
        return self._login


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _check_secure(url: str, asked: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise AccessRefusedError(f"{asked}: nothing is sent to {parts.scheme}://{parts.hostname} without TLS")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(response: urllib3.BaseHTTPResponse, asked: str) -> bytes:
    content = bytearray()
    for chunk in response.stream(CHUNK, decode_content=False):
        content += chunk
        if len(content) > LIMIT:
            raise RejectedInputError(f"{asked}: the registry's answer is larger than {LIMIT} bytes")
    return bytes(content)
