"""HTTP to one OCI registry: credentials, redirects, and retries.

Rules: TLS everywhere but on loopback; credentials never leave the registry's own origin; the size of every response is
limited (`oci.wire`). Credentials are Basic, as for ECR, or a Bearer token, or none; this module requests no token from
a token server. A body that cannot be sent twice (a stream) is never sent again here: its caller decides.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
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
from imagegate.oci.login import Login, LoginKeeper
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
# Blobs at once. ECR allows 100 mounts a second (InitiateLayerUpload): six at once, 60 ms each.
MOST_AT_ONCE = 6

_REFUSAL_LIMIT = 64 * 1024
# The time between two parts of a response; a whole response may take twice as long. Registries that are not ours have
# less: they are only read, and nothing there takes as long as the end of an upload.
_SECONDS, _GUARDED_SECONDS = 60.0, 15.0
_TRANSLATED: Mapping[type[WireError], type[ImageGateError]] = {
    EndlessAnswerError: RejectedInputError,
    SlowAnswerError: RegistryUnavailableError,
    WrongWayError: RejectedInputError,
}
_ATTEMPTS = 4
THROTTLED_ATTEMPTS = 7  # other clients cause the throttling, and it passes
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
Body = bytes | Iterator[bytes] | None


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str  # a path, or a URL that the registry gave
    name: str  # for errors
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = None
    size: int | None = None  # of a streamed response

    @property
    def is_repeatable(self) -> bool:
        """True for all but streams: POST may begin an upload twice, and PUT has the same effect twice."""
        return self.body is None or isinstance(self.body, bytes)


class _RefusedForNowError(Exception):
    def __init__(self, response: RegistryResponse) -> None:
        super().__init__(response.status)
        self.response = response


class Connection:
    """Requests to one registry, from any thread. `name` says in every error what was requested."""

    def __init__(
        self, log_in: Callable[[], Login], clock: Clock = utc_now, guard: Guard | None = None
    ) -> None:
        """Prepare a connection. `guard`: for a registry that is not ours."""
        self._logins = LoginKeeper(log_in, clock)
        self._seconds = _GUARDED_SECONDS if guard else _SECONDS
        timeout = urllib3.Timeout(connect=5, read=self._seconds)
        # A blob that is copied within the registry needs two connections: one reads while the other writes.
        self._pool = make_pool(guard, maxsize=2 * MOST_AT_ONCE, timeout=timeout)
        self.pace = Pace(MOST_AT_ONCE)
        self.takes_whole_blobs = True  # in one POST, as far as we know

    def call(
        self,
        method: str,
        target: str,
        name: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        accept: frozenset[int] = frozenset(),
    ) -> RegistryResponse:
        """Send a request, with retries. Raises unless the status is a success or in `accept`.

        `target`: a path, or a URL that the registry sent.
        """
        response = self._retry(_Request(method, target, name, headers or {}, body), self._receive)
        if response.is_success or response.status in accept:
            return response
        raise response.refusal(name)

    @contextmanager
    def stream(self, path: str, name: str, size: int, first: int = 0) -> Iterator[Iterator[bytes]]:
        """Yield the content of a GET from byte `first` on, in chunks. A connection that breaks raises in the reader.

        `size`: of the whole content; much more than that is not received.
        """
        headers = {"Range": f"bytes={first}-"} if first else {}
        response = self._retry(_Request("GET", path, name, headers, size=size), self._open_stream)
        with closing(response):
            yield _read_chunks(response, name)

    def _retry(self, request: _Request, send: Callable[[_Request], T]) -> T:
        """Send the request again, each time after a longer pause, if it can be sent again."""
        attempt = 0
        while True:
            attempt += 1
            self.pace.wait()
            try:
                with _translate_wire_errors(request.name):
                    result = send(request)
            except _RefusedForNowError as refused:
                self.pace.slow_down(attempt, refused.response.retry_after)
                attempts = THROTTLED_ATTEMPTS if refused.response.status < 500 else _ATTEMPTS
                if attempt == attempts or not request.is_repeatable:
                    raise refused.response.refusal(request.name) from None
            except HTTPError as error:
                self.pace.slow_down(attempt)
                if attempt == _ATTEMPTS or not request.is_repeatable:
                    raise RegistryUnavailableError(f"{request.name}: {error}") from error
            else:
                self.pace.speed_up()
                return result

    def _receive(self, request: _Request) -> RegistryResponse:
        response = _read_response(*self._follow(request), request.name)
        if response.is_refused_for_now:
            raise _RefusedForNowError(response)
        return response

    def _open_stream(self, request: _Request) -> urllib3.BaseHTTPResponse:
        url, stream = self._follow(request)
        if stream.status == (206 if request.headers else 200):
            return stream
        response = _read_response(url, stream, request.name)
        raise _RefusedForNowError(response) if response.is_refused_for_now else response.refusal(request.name)

    def _follow(self, request: _Request) -> tuple[str, urllib3.BaseHTTPResponse]:
        """Follow redirects of reads here: ECR redirects to S3, which must not get the credentials."""
        endpoint = self._logins.current().endpoint
        url = resolve_url(endpoint, request.target, request.name)
        is_own = True
        for _ in range(_MAX_REDIRECTS + 1):
            is_own = is_own and origin_of(url) == origin_of(endpoint)
            response = self._send_authorized(url, request) if is_own else self._send(url, request, {})
            location = response.headers.get("Location")
            if request.method not in ("GET", "HEAD") or response.status not in _REDIRECTS or not location:
                return url, response
            _discard(response)
            url = resolve_url(url, location, request.name)
        raise RegistryUnavailableError(f"{request.name}: redirected more than {_MAX_REDIRECTS} times")

    def _send_authorized(self, url: str, request: _Request) -> urllib3.BaseHTTPResponse:
        """Send with credentials; if they are refused, send once more with new ones."""
        login = self._logins.current()
        response = self._send(url, request, login.headers)
        if response.status != 401:
            return response
        self._logins.forget(login)
        if not request.is_repeatable:
            response.close()
            # The request before a stream was accepted, so the token has expired since.
            raise RegistryUnavailableError(f"{request.name}: the registry's token expired while it was used")
        _discard(response)
        return self._send(url, request, self._logins.current().headers)

    def _send(self, url: str, request: _Request, credentials: dict[str, str]) -> urllib3.BaseHTTPResponse:
        _check_secure(url, request.name)
        limit = (
            ResponseLimit(LIMIT, 2 * self._seconds) if request.size is None else ResponseLimit(request.size)
        )
        with limit_response(limit):
            return self._pool.request(
                request.method,
                url,
                body=request.body,
                headers={"Accept-Encoding": "identity", **request.headers, **credentials},
                retries=False,
                redirect=False,
                preload_content=False,
            )


def _check_secure(url: str, name: str) -> None:
    parts = parse_url(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.host or "")):
        raise AccessRefusedError(f"{name}: nothing is sent to {parts.scheme}://{parts.host} without TLS")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@contextmanager
def _translate_wire_errors(name: str) -> Iterator[None]:
    try:
        yield
    except WireError as error:
        raise _TRANSLATED[type(error)](f"{name}: {error}") from error


def _read_chunks(response: urllib3.BaseHTTPResponse, name: str) -> Iterator[bytes]:
    try:
        with _translate_wire_errors(name):
            yield from response.stream(CHUNK, decode_content=False)
    except HTTPError as error:
        raise RegistryUnavailableError(f"{name}: {error}") from error


def _read_response(url: str, response: urllib3.BaseHTTPResponse, name: str) -> RegistryResponse:
    # After a complete read, close() leaves the connection open for the next request.
    with closing(response):
        return RegistryResponse(url, response.status, response.headers, _read_content(response, name))


def _read_content(response: urllib3.BaseHTTPResponse, name: str) -> bytes:
    """Return the whole content of a success, or the beginning of a refusal."""
    is_success = 200 <= response.status < 300
    limit = LIMIT if is_success else _REFUSAL_LIMIT
    content = bytearray()
    for chunk in response.stream(CHUNK, decode_content=False):
        content += chunk
        if len(content) > limit:
            if is_success:
                raise RejectedInputError(f"{name}: the registry's answer is larger than {limit} bytes")
            break
    return bytes(content[:limit])


def _discard(response: urllib3.BaseHTTPResponse) -> None:
    """Read a short rest, so that the connection serves the next request; close the connection of a long one."""
    rest = response.length_remaining
    if rest is not None and rest <= _REFUSAL_LIMIT:
        response.drain_conn()
    else:
        response.close()
