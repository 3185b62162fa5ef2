"""HTTP to one OCI registry: credentials, redirects, and asking again where that helps.

Rules: TLS everywhere but on loopback; credentials never leave the registry's own origin; what is received is bounded
(`registry_wire`), of refusals as much as explains them. Credentials are Basic, as
ECR has them, or none, or a token that whoever logs in has got; no token server is asked here (a Bearer challenge).
What cannot be sent twice (a stream) is never sent again here: whoever made the stream decides.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from imagegate.clock import Clock, utc_now
from imagegate.errors import (
    AccessRefusedError,
    ImageGateError,
    RegistryUnavailableError,
    RejectedInputError,
)
from imagegate.oci.response import RegistryResponse, origin_of, resolve_url
from imagegate.oci.throttle import Pace
from imagegate.oci.wire import (
    EndlessAnswerError,
    Guard,
    ResponseLimit,
    SlowAnswerError,
    WireError,
    WrongWayError,
    limit_response,
    make_pool,
)

T = TypeVar("T")

CHUNK = 256 * 1024  # stays in the processor's cache while it is received, hashed and sent
# Distribution specification, "Pushing Manifests": registries take at least 4 MiB; ECR takes no more.
LIMIT = 4 * 1024 * 1024
# Blobs at once. Six mounts at once, 60 ms each, are the 100 a second that ECR allows (InitiateLayerUpload).
MOST_AT_ONCE = 6

_REFUSAL_LIMIT = 64 * 1024
# To wait for an answer to go on; twice that for all of it. A registry elsewhere is only read: nothing takes as long
# there as the end of an upload.
_SECONDS, _GUARDED_SECONDS = 60.0, 15.0
_MEANT: Mapping[type[WireError], type[ImageGateError]] = {
    EndlessAnswerError: RejectedInputError,
    SlowAnswerError: RegistryUnavailableError,
    WrongWayError: RejectedInputError,
}
_ATTEMPTS = 4
THROTTLED_ATTEMPTS = 7  # throttled by what others do: it passes
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
# A token that runs out during a long upload cannot be exchanged half-way.
_TOKEN_MARGIN = timedelta(minutes=15)

_NEVER = datetime.max.replace(tzinfo=UTC)

Body = bytes | Iterator[bytes] | None


@dataclass(frozen=True, slots=True)
class Login:
    """Where the registry is, and the credentials for it: Basic (base64 of `user:password`), or Bearer (a token).

    `authorization`: "" for none. `margin`: how long before they end they are exchanged.
    """

    endpoint: str
    authorization: str = field(default="", repr=False)
    expires_at: datetime = _NEVER
    scheme: str = "Basic"
    margin: timedelta = _TOKEN_MARGIN

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"{self.scheme} {self.authorization}"} if self.authorization else {}


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str  # a path, or a URL that the registry gave
    asked: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = None
    size: int | None = None  # of what is streamed

    @property
    def is_repeatable(self) -> bool:
        """All but streams: POST begins an upload, which may be begun twice; PUT says the same twice."""
        return self.body is None or isinstance(self.body, bytes)


class _RefusedForNowError(Exception):
    def __init__(self, answer: RegistryResponse) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Connection:
    """Requests to one registry, from any thread. `asked` names in every error what was wanted."""

    def __init__(
        self, log_in: Callable[[], Login], clock: Clock = utc_now, guard: Guard | None = None
    ) -> None:
        """`guard`: of a registry that is not ours."""
        self._log_in = log_in
        self._clock = clock
        self._login: Login | None = None
        self._lock = threading.Lock()
        # For each blob that is copied within the registry one connection reads while another one writes.
        self._seconds = _GUARDED_SECONDS if guard else _SECONDS
        timeout = urllib3.Timeout(connect=5, read=self._seconds)
        self._pool = make_pool(guard, maxsize=2 * MOST_AT_ONCE, timeout=timeout)
        self.pace = Pace(MOST_AT_ONCE)

    def call(
        self,
        method: str,
        target: str,
        asked: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        also: frozenset[int] = frozenset(),
    ) -> RegistryResponse:
        """`target`: a path, or a URL that the registry gave. Raises unless it succeeds or answers one of `also`."""
        request = _Request(method, target, asked, headers or {}, body)
        answer = self._patiently(request, lambda: self._answer(request))
        if answer.is_success or answer.status in also:
            return answer
        raise answer.refusal(asked)

    @contextmanager
    def stream(self, path: str, asked: str, size: int, first: int = 0) -> Iterator[Iterator[bytes]]:
        """The content of a GET from byte `first` on, in chunks; a connection that breaks raises in the reader.

        `size`: of all of it; far more than that is not received.
        """
        wanted = {"Range": f"bytes={first}-"} if first else {}
        request = _Request("GET", path, asked, wanted, size=size)
        with ExitStack() as opened:
            response = self._patiently(request, lambda: self._opened_stream(request, opened))
            yield _chunks(response, asked)

    def _opened_stream(self, request: _Request, opened: ExitStack) -> urllib3.BaseHTTPResponse:
        url, response = opened.enter_context(self._opened(request))
        if response.status != (206 if request.headers else 200):
            answer = RegistryResponse(url, response.status, response.headers, _read(response, request.asked))
            raise _RefusedForNowError(answer) if answer.is_refused_for_now else answer.refusal(request.asked)
        return response

    def _answer(self, request: _Request) -> RegistryResponse:
        with self._opened(request) as (url, response):
            answer = RegistryResponse(url, response.status, response.headers, _read(response, request.asked))
        if answer.is_refused_for_now:
            raise _RefusedForNowError(answer)
        return answer

    def _patiently(self, request: _Request, once: Callable[[], T]) -> T:
        """Ask again, each time later, what can be asked again."""
        attempt = 0
        while True:
            attempt += 1
            self.pace.wait()
            try:
                with _explained(request.asked):
                    found = once()
            except _RefusedForNowError as refused:
                self.pace.refused(attempt, refused.answer.retry_after)
                most = THROTTLED_ATTEMPTS if refused.answer.status < 500 else _ATTEMPTS
                if attempt == most or not request.is_repeatable:
                    raise refused.answer.refusal(request.asked) from None
            except HTTPError as error:
                self.pace.refused(attempt)
                if attempt == _ATTEMPTS or not request.is_repeatable:
                    raise RegistryUnavailableError(f"{request.asked}: {error}") from error
            else:
                self.pace.answered()
                return found

    @contextmanager
    def _opened(self, request: _Request) -> Iterator[tuple[str, urllib3.BaseHTTPResponse]]:
        url, response = self._follow(request)
        try:
            yield url, response
        finally:
            response.close()  # a connection from which all was read stays open for the next request

    def _follow(self, request: _Request) -> tuple[str, urllib3.BaseHTTPResponse]:
        """Follow redirects of reads by hand: ECR sends to S3, which must not see the credentials."""
        endpoint = self._current_login().endpoint
        url = resolve_url(endpoint, request.target, request.asked)
        is_own = True
        for _ in range(_MAX_REDIRECTS + 1):
            is_own = is_own and origin_of(url) == origin_of(endpoint)
            response = self._authorized(url, request) if is_own else self._send(url, request, {})
            location = response.headers.get("Location")
            if request.method not in ("GET", "HEAD") or response.status not in _REDIRECTS or not location:
                return url, response
            _drop(response)
            url = resolve_url(url, location, request.asked)
        raise RegistryUnavailableError(f"{request.asked}: redirected more than {_MAX_REDIRECTS} times")

    def _authorized(self, url: str, request: _Request) -> urllib3.BaseHTTPResponse:
        """Send with credentials; when they are refused, once more with new ones."""
        login = self._current_login()
        response = self._send(url, request, login.headers)
        if response.status != 401:
            return response
        self._forget(login)
        if not request.is_repeatable:
            response.close()
            # A stream follows a request that was let in: the token has ended since.
            raise RegistryUnavailableError(f"{request.asked}: the registry's token ended while it was used")
        _drop(response)
        return self._send(url, request, self._current_login().headers)

    def _send(self, url: str, request: _Request, credentials: dict[str, str]) -> urllib3.BaseHTTPResponse:
        _check_secure(url, request.asked)
        most = (
            ResponseLimit(LIMIT, 2 * self._seconds) if request.size is None else ResponseLimit(request.size)
        )
        with limit_response(most):
            return self._pool.request(
                request.method,
                url,
                body=request.body,
                headers={"Accept-Encoding": "identity", **request.headers, **credentials},
                retries=False,
                redirect=False,
                preload_content=False,
            )

    def _current_login(self) -> Login:
        with self._lock:
            held = self._login
            if held is None or self._clock() + held.margin >= held.expires_at:
                held = self._login = self._log_in()
            return held

    def _forget(self, login: Login) -> None:
        with self._lock:
            if self._login is login:  # else another thread has asked for a new one already
                self._login = None


def _check_secure(url: str, asked: str) -> None:
    parts = parse_url(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.host or "")):
        raise AccessRefusedError(f"{asked}: nothing is sent to {parts.scheme}://{parts.host} without TLS")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _chunks(response: urllib3.BaseHTTPResponse, asked: str) -> Iterator[bytes]:
    try:
        with _explained(asked):
            yield from response.stream(CHUNK, decode_content=False)
    except HTTPError as error:
        raise RegistryUnavailableError(f"{asked}: {error}") from error


@contextmanager
def _explained(asked: str) -> Iterator[None]:
    try:
        yield
    except WireError as error:
        raise _MEANT[type(error)](f"{asked}: {error}") from error


def _read(response: urllib3.BaseHTTPResponse, asked: str) -> bytes:
    """The whole answer; of a refusal its beginning."""
    is_success = 200 <= response.status < 300
    limit = LIMIT if is_success else _REFUSAL_LIMIT
    content = bytearray()
    for chunk in response.stream(CHUNK, decode_content=False):
        content += chunk
        if len(content) > limit:
            if is_success:
                raise RejectedInputError(f"{asked}: the registry's answer is larger than {limit} bytes")
            break
    return bytes(content[:limit])


def _drop(response: urllib3.BaseHTTPResponse) -> None:
    """Read the rest where it is short, so that its connection serves the next request; else hang up."""
    left = response.length_remaining
    if left is not None and left <= _REFUSAL_LIMIT:
        response.drain_conn()
    else:
        response.close()
