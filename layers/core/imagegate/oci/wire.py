"""The connections to a registry, with limits: size and time of a response, and hosts to which a registry may send us.

Rules: head and body of a response have a maximum size, and a response that is too slow is given up, whatever length the
registry announced. If a registry that is not ours names another host (a redirect, a token server), that host must not
be deeper in a network than the registry itself: a public registry leads only to public hosts. Each address of a host
name is checked, and the connection goes to an address that was checked.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError, NameResolutionError

from imagegate.errors import RejectedInputError

_HEAD_BYTES = 256 * 1024  # of a response, including any number of "100 Continue"
# The additional bytes of chunks and trailers.
_BODY_FACTOR, _BODY_MORE = 2, 256 * 1024
_PATIENCE_SECONDS, _SLOWEST = 15.0, 4096  # bytes a second, after that time
_MAX_ADDRESSES = 4  # of one host are tried

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Metadata services of clouds at addresses that are not link-local: AWS (IPv6), Alibaba, Oracle, Azure.
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        ("fd00:ec2::254", "fd00:ec2::23", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    )
)


class WireError(Exception):
    """A registry behaves as no honest one does."""


class EndlessAnswerError(WireError):
    """A response is longer than allowed."""


class SlowAnswerError(WireError):
    """A response is too slow."""


class WrongWayError(WireError):
    """A registry sends us to a host that is deeper in a network than itself."""


class Network(IntEnum):
    """The depth of an address in a network: from deeper ones, we reach hosts that others cannot."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2
    MACHINE = 3  # link-local, or a metadata service with the machine's credentials: never allowed


def network_of(address: str) -> Network:
    """Return the network of an address. IPv4 inside IPv6 counts as that IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ipv4 = ip.ipv4_mapped or ip.sixtofour or (_last_four(ip) if ip in _NAT64 else None)
        if ipv4 is not None:
            return network_of(str(ipv4))
    if ip.is_loopback or ip.is_unspecified:
        return Network.LOOPBACK
    if ip.is_link_local or ip.is_multicast or ip in _METADATA:
        return Network.MACHINE
    return Network.PUBLIC if ip.is_global else Network.PRIVATE


def _last_four(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)


def _bare(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


class Guard:
    """The rule that one registry does not send us deeper into a network than it is itself."""

    def __init__(self, endpoint: str) -> None:
        """Guard a registry. `endpoint`: the registry's own URL, which the user chose freely.

        Raises `RejectedInputError` if it is no URL.
        """
        try:
            self._host = _bare(urllib3.util.parse_url(endpoint).host or "")
        except LocationParseError as error:
            raise RejectedInputError(f"{endpoint} is no address of a registry") from error
        self._network = Network.MACHINE  # the least deep network of its host so far
        self._lock = threading.Lock()

    def admit(self, host: str, addresses: Sequence[str]) -> None:
        """Raise `WrongWayError` unless all the addresses of the host may be connected to."""
        networks = {address: network_of(address) for address in addresses}
        with self._lock:
            if _bare(host) == self._host:
                self._network = min([*networks.values(), self._network])
                return
            deepest = self._network
        for address, network in networks.items():
            if network is Network.MACHINE or network > deepest:
                raise WrongWayError(
                    f"it sends to {host} ({address}), which is {_WORDS[network]}: imagegate sends nothing there"
                )


_WORDS = {
    Network.PRIVATE: "in a private network",
    Network.LOOPBACK: "this machine",
    Network.MACHINE: "link-local",
}


@dataclass(frozen=True, slots=True)
class ResponseLimit:
    """The limits of a response. `size`: in bytes. `seconds`: for all of it, or None to refuse only a slow one."""

    size: int
    seconds: float | None = None


class _Meter(io.RawIOBase):
    """A stream that counts the received bytes, and the time spent waiting for them, without our own work."""

    def __init__(self, raw: io.RawIOBase, limit: ResponseLimit) -> None:
        self._raw, self.limit = raw, limit
        self.received, self._waited = 0, 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        start = time.monotonic()
        count = self._raw.readinto(buffer)
        self._waited += time.monotonic() - start
        self.received += count or 0
        if self.received > self.limit.size:
            raise EndlessAnswerError(f"the answer does not end: {self.received} bytes were received")
        if self._waited > (self.limit.seconds or _PATIENCE_SECONDS + self.received / _SLOWEST):
            raise SlowAnswerError(
                f"the answer is too slow: {self.received} bytes in {self._waited:.0f} seconds"
            )
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


_limit: ContextVar[ResponseLimit] = ContextVar("limit")


@contextmanager
def limit_response(limit: ResponseLimit) -> Iterator[None]:
    """Set the limits for the responses to requests that are sent within the context."""
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw: io.RawIOBase = self.fp.detach()
        self._meter = _Meter(raw, replace(_limit.get(), size=_HEAD_BYTES))
        self.fp = io.BufferedReader(self._meter)

    def begin(self) -> None:
        super().begin()
        limit = _limit.get()
        size = self._meter.received + _BODY_FACTOR * limit.size + _BODY_MORE
        self._meter.limit = replace(limit, size=size)


class _Guarded:
    """A connection that goes only to an address that the guard has checked."""

    guard: Guard | None = None
    response_class: Any = _Response

    def _new_conn(self: Any) -> socket.socket:
        guard, name = self.guard, self._dns_host
        if guard is None:
            return super()._new_conn()  # type: ignore[misc,no-any-return]
        addresses = _resolve(self, name)
        guard.admit(self.host, addresses)
        failure: Exception = LocationParseError(f"{self.host} has no address")
        try:
            for address in addresses[:_MAX_ADDRESSES]:
                self._dns_host = address
                try:
                    return super()._new_conn()  # type: ignore[misc,no-any-return]
                except urllib3.exceptions.HTTPError as error:
                    failure = error
        finally:
            self._dns_host = name  # TLS needs it
        raise failure


def _resolve(connection: HTTPConnection, name: str) -> list[str]:
    try:
        infos = socket.getaddrinfo(name.strip("[]"), connection.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except UnicodeError as error:
        raise LocationParseError(f"{connection.host}, label empty or too long") from error
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


class _Http(_Guarded, HTTPConnection):
    pass


class _Https(_Guarded, HTTPSConnection):
    pass


def make_pool(guard: Guard | None, **options: Any) -> urllib3.PoolManager:
    """Make a pool of connections to one registry. `guard`: for a registry that is not ours."""

    class Http(_Http): ...

    class Https(_Https): ...

    Http.guard = Https.guard = guard

    class HttpPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Https

    manager = urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}
    return manager
