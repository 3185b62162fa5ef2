"""The wire to a registry: how much it may answer, how slowly, and where one that is not ours may send us.

Rules: an answer ends. Its head and its body have a most, and what is received at a crawl is given up, whatever the
registry announced. A registry elsewhere that names another host (a redirect, a token server) names one that is no
deeper in a network than it is itself: what is public leads to public hosts. Each address that a name resolves to is
checked, and the connection is made to an address that was checked.
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

_HEAD_BYTES = 256 * 1024  # of an answer, "100 Continue" as often as it comes included
# What chunks and trailers add to a body.
_BODY_FACTOR, _BODY_MORE = 2, 256 * 1024
_PATIENCE_SECONDS, _SLOWEST = 15.0, 4096  # bytes a second, from then on
_TRIED = 4  # addresses of one host

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Where clouds tell machines who they are, outside of link-local addresses: AWS (IPv6), Alibaba, Oracle, Azure.
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        ("fd00:ec2::254", "fd00:ec2::23", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    )
)


class WireError(Exception):
    """What a registry does that none would mean."""


class EndlessAnswerError(WireError):
    """An answer is longer than what it can be."""


class SlowAnswerError(WireError):
    """An answer comes at a crawl."""


class WrongWayError(WireError):
    """A registry sends to a place in a network where it has no business."""


class Network(IntEnum):
    """How deep an address is: what others cannot reach, and we can."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2
    MACHINE = 3  # link-local, and where clouds keep a machine's credentials: nobody sends there


def network_of(address: str) -> Network:
    """Where the address is; IPv4 within IPv6 counts as what it leads to."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour or (_last_four(ip) if ip in _NAT64 else None)
        if within is not None:
            return network_of(str(within))
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
    """Keeps one registry from sending us deeper into a network than it is itself."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint`: the registry's own. Whoever named it may name any."""
        self._host = _bare(urllib3.util.parse_url(endpoint).host or "")
        self._network = Network.MACHINE  # the least deep one in which its host was seen
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
                    f"it sends to {host} ({address}), which is {_WORDS[network]}: nothing is asked there"
                )


_WORDS = {
    Network.PRIVATE: "in a private network",
    Network.LOOPBACK: "this machine",
    Network.MACHINE: "link-local",
}


@dataclass(frozen=True, slots=True)
class ResponseLimit:
    """How long an answer may be. `seconds`: to wait for all of it; None: as long as it is not too slow."""

    size: int
    seconds: float | None = None


class _Meter(io.RawIOBase):
    """What is received, counted. Only the time that is spent waiting for it counts, not what we do meanwhile."""

    def __init__(self, raw: io.RawIOBase, most: ResponseLimit) -> None:
        self._raw, self.most = raw, most
        self.received, self._waited = 0, 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        began = time.monotonic()
        count = self._raw.readinto(buffer)
        self._waited += time.monotonic() - began
        self.received += count or 0
        if self.received > self.most.size:
            raise EndlessAnswerError(f"the answer does not end: {self.received} bytes were received")
        if self._waited > (self.most.seconds or _PATIENCE_SECONDS + self.received / _SLOWEST):
            raise SlowAnswerError(
                f"the answer is too slow: {self.received} bytes in {self._waited:.0f} seconds"
            )
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


_most: ContextVar[ResponseLimit] = ContextVar("most")


@contextmanager
def limit_response(most: ResponseLimit) -> Iterator[None]:
    """What is asked within is answered in at most so much."""
    token = _most.set(most)
    try:
        yield
    finally:
        _most.reset(token)


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw: io.RawIOBase = self.fp.detach()
        self._meter = _Meter(raw, replace(_most.get(), size=_HEAD_BYTES))
        self.fp = io.BufferedReader(self._meter)

    def begin(self) -> None:
        super().begin()
        most = _most.get()
        self._meter.most = replace(most, size=self._meter.received + _BODY_FACTOR * most.size + _BODY_MORE)


class _Guarded:
    """A connection to an address that was checked."""

    guard: Guard | None = None
    response_class: Any = _Response

    def _new_conn(self: Any) -> socket.socket:
        guard, name = self.guard, self._dns_host
        if guard is None:
            return super()._new_conn()  # type: ignore[misc,no-any-return]
        addresses = _resolved(self, name)
        guard.admit(self.host, addresses)
        failure: Exception = LocationParseError(f"{self.host} has no address")
        try:
            for address in addresses[:_TRIED]:
                self._dns_host = address
                try:
                    return super()._new_conn()  # type: ignore[misc,no-any-return]
                except urllib3.exceptions.HTTPError as error:
                    failure = error
        finally:
            self._dns_host = name  # which TLS asks for
        raise failure


def _resolved(connection: HTTPConnection, name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name.strip("[]"), connection.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except UnicodeError as error:
        raise LocationParseError(f"{connection.host}, label empty or too long") from error
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class _Http(_Guarded, HTTPConnection):
    pass


class _Https(_Guarded, HTTPSConnection):
    pass


def make_pool(guard: Guard | None, **how: Any) -> urllib3.PoolManager:
    """Make connections to one registry; `guard`: of one that is not ours."""

    class Http(_Http): ...

    class Https(_Https): ...

    Http.guard = Https.guard = guard

    class HttpPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Https

    made = urllib3.PoolManager(**how)
    made.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}
    return made
