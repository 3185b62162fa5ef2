"""A registry elsewhere that means harm: each of its answers ends in one clear line, in little time and memory."""

from __future__ import annotations

import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import repeat
from typing import Any

import pytest

from imagegate.errors import (
    AccessRefusedError,
    ImageGateError,
    RegistryUnavailableError,
    RejectedInputError,
)
from imagegate.oci import wire as registry_wire
from imagegate.oci.client import HttpRegistry
from imagegate.oci.copy import BlobCopy
from imagegate.oci.http import Connection
from imagegate.oci.image import OCI_MANIFEST, Descriptor, Digest, ImageRef
from imagegate.oci.login import Login
from imagegate.oci.repository import RepositoryClient
from imagegate.oci.response import origin_of, resolve_url
from imagegate.oci.wire import Guard, Network, WrongWayError, network_of
from imagegate.text import is_one_line
from imagegate_cli.importing.tokens import TokenLogin
from tests.component.scripted_registry import Reply, scripted
from tests.component.token_registry import BLOB, LAYER, MANIFEST

BIG = b"A" * 65536
OCI = f"Content-Type: {OCI_MANIFEST}\r\n".encode()
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(registry_wire, "_PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(registry_wire, "_SLOWEST", 1 << 20)


@contextmanager
def raw(answer: Callable[[str], Iterator[bytes]]) -> Iterator[str]:
    """Run a server that sends any bytes for the first line of each request; yield its endpoint."""
    server = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (more := connection.recv(65536)):
                    return
                head += more
            for piece in answer(head.split(b"\r\n")[0].decode()):
                if stopped.is_set():
                    return
                connection.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=[server.accept()[0]], daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        stopped.set()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def opened(endpoint: str, credentials: str = "") -> HttpRegistry:
    login = TokenLogin(endpoint, "team/app", "1.0", "registry.test", credentials)
    return HttpRegistry(login, guard=login.guard)


def head(status: str, *lines: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\n".encode() + b"".join(lines) + b"\r\n"


def chunks(content: bytes) -> Iterator[bytes]:
    return repeat(b"%x\r\n" % len(content) + content + b"\r\n")


def slowly(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        threading.Event().wait(0.02)
        yield piece


def always(start: bytes, more: Iterator[bytes]) -> Callable[[], Iterator[bytes]]:
    def answer() -> Iterator[bytes]:
        yield start
        yield from more

    return answer


LONG = b"Content-Length: 1099511627776\r\n"
ENDLESS: dict[str, Callable[[], Iterator[bytes]]] = {
    "manifest": always(head("200 OK", OCI, CHUNKED), chunks(BIG)),
    "manifest of one chunk": always(head("200 OK", OCI, CHUNKED) + b"ffffffffff\r\n", repeat(BIG)),
    "manifest of one byte each": always(head("200 OK", OCI, CHUNKED), repeat(b"1\r\nA\r\n" * 10_000)),
    "manifest without a length": always(head("200 OK", OCI), repeat(BIG)),
    "manifest of a length": always(head("200 OK", OCI, LONG), repeat(BIG)),
    "401": always(head("401 No", b'WWW-Authenticate: Basic realm="x"\r\n', CHUNKED), chunks(BIG)),
    "401 of a length": always(head("401 No", b'WWW-Authenticate: Basic realm="x"\r\n', LONG), repeat(BIG)),
    "403": always(head("403 No", CHUNKED), chunks(BIG)),
    "404": always(head("404 No", LONG), repeat(BIG)),
    "429": always(head("429 No", LONG), repeat(BIG)),
    "500": always(head("500 No", CHUNKED), chunks(BIG)),
    "redirect": always(head("302 There", b"Location: /v2/x\r\n", CHUNKED), chunks(BIG)),
    "redirect of a length": always(head("307 There", b"Location: /v2/x\r\n", LONG), repeat(BIG)),
    "head": always(b"HTTP/1.1 200 OK\r\n", repeat(b"X-More: " + b"y" * 1000 + b"\r\n")),
    "line of a head": always(b"HTTP/1.1 200 OK\r\nX: ", repeat(BIG)),
    "first line": always(b"HTTP/1.1 200 ", repeat(BIG)),
    "100 continue": always(b"", repeat(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "trailers": always(head("200 OK", OCI, CHUNKED) + b"1\r\n{\r\n0\r\n", repeat(b"a: b\r\n" * 10_000)),
    "trailer": always(head("200 OK", OCI, CHUNKED) + b"1\r\n{\r\n0\r\n", repeat(BIG)),
    "chunk's line": always(head("200 OK", OCI, CHUNKED) + b"1;", repeat(BIG)),
    "slow manifest": always(head("200 OK", OCI, b"Content-Length: 4000\r\n"), slowly(repeat(b"x"))),
    "slow head": always(b"HTTP/1.1 200 OK\r\nX: ", slowly(repeat(b"x"))),
    "slow chunk's line": always(head("200 OK", OCI, CHUNKED) + b"1;", slowly(repeat(b"x"))),
    "slow 401": always(head("401 No", b"Content-Length: 4000\r\n"), slowly(repeat(b"x"))),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_wait_ends_in_one_line(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegate.oci.http._GUARDED_SECONDS", 0.25)
    monkeypatch.setattr("imagegate.oci.http.LIMIT", 1 << 19)
    answers = ENDLESS[kind]
    with raw(
        lambda line: answers() if line.startswith("GET") else iter([head("404 No", b"Content-Length: 0\r\n")])
    ) as at:
        tracemalloc.start()
        try:
            with pytest.raises(ImageGateError) as refused:
                opened(at).manifest("team/app", "1.0")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert is_one_line(str(refused.value))
    assert len(str(refused.value)) < 1000
    assert peak < 20 << 20


@pytest.mark.parametrize("framing", [CHUNKED, LONG], ids=["chunked", "long"])
@pytest.mark.parametrize("status", ["302 There", "401 No"])
def test_the_request_after_a_refusal_does_not_wait_for_its_body(framing: bytes, status: str) -> None:
    refused = threading.Event()

    def answer(line: str) -> Iterator[bytes]:
        if line.startswith("HEAD"):
            yield head("404 No", b"Content-Length: 0\r\n")
        elif refused.is_set():
            yield head("200 OK", OCI, b"Content-Length: %d\r\n" % len(MANIFEST.content)) + MANIFEST.content
        else:
            refused.set()
            yield head(status, b"Location: /v2/elsewhere\r\n", framing)
            yield from repeat(BIG) if framing == LONG else chunks(BIG)

    with raw(answer) as at:
        assert opened(at).manifest("team/app", "1.0") == MANIFEST


@pytest.mark.parametrize("framing", [CHUNKED, b"", LONG], ids=["chunked", "until closed", "long"])
def test_a_blob_that_does_not_end_is_left_at_its_size(framing: bytes) -> None:
    def answer(line: str) -> Iterator[bytes]:
        yield head("200 OK", framing)
        yield from chunks(BIG) if framing == CHUNKED else repeat(BIG)

    with raw(answer) as at:
        connection = Connection(lambda: Login(at), guard=Guard(at))
        with (
            pytest.raises(RejectedInputError, match="does not end"),
            connection.stream("/blob", "blob", 1000) as chunked,
        ):
            list(chunked)


def test_a_blob_at_a_crawl_is_given_up() -> None:
    with raw(lambda _: always(head("200 OK", LONG), slowly(repeat(b"x")))()) as at:
        connection = Connection(lambda: Login(at), guard=Guard(at))
        with (
            pytest.raises(RegistryUnavailableError, match="too slow"),
            connection.stream("/blob", "blob", 10**9) as chunked,
        ):
            list(chunked)


def test_a_blob_longer_than_its_manifest_says_is_not_copied() -> None:
    with (
        raw(lambda _: always(head("200 OK", CHUNKED), chunks(BIG))()) as at,
        scripted(lambda _: Reply(404)) as target,
    ):
        source = RepositoryClient(Connection(lambda: Login(at), guard=Guard(at)), "team/app")
        there = RepositoryClient(Connection(lambda: Login(target.endpoint)), "shop-dev")
        target.answer = lambda request: (
            Reply(202, headers={"Location": "/upload"})
            if request.method == "POST"
            else Reply(404 if request.method == "HEAD" else 201)
        )
        with pytest.raises(RejectedInputError, match="more than 5 bytes"):
            BlobCopy(source, there, lambda: True).run([Descriptor("x", Digest.of(b"other"), 5)], {})


# Where it may lead


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("93.184.216.34", Network.PUBLIC),
        ("2606:2800:220:1:248:1893:25c8:1946", Network.PUBLIC),
        ("10.0.0.1", Network.PRIVATE),
        ("192.168.1.1", Network.PRIVATE),
        ("100.64.0.1", Network.PRIVATE),
        ("fd12::1", Network.PRIVATE),
        ("127.0.0.1", Network.LOOPBACK),
        ("127.9.9.9", Network.LOOPBACK),
        ("0.0.0.0", Network.LOOPBACK),
        ("::", Network.LOOPBACK),
        ("::1", Network.LOOPBACK),
        ("::ffff:127.0.0.1", Network.LOOPBACK),
        ("::ffff:10.0.0.1", Network.PRIVATE),
        ("64:ff9b::7f00:1", Network.LOOPBACK),
        ("64:ff9b::a9fe:a9fe", Network.MACHINE),
        ("2002:a9fe:a9fe::", Network.MACHINE),
        ("169.254.169.254", Network.MACHINE),
        ("169.254.170.2", Network.MACHINE),
        ("fe80::1%eth0", Network.MACHINE),
        ("fd00:ec2::254", Network.MACHINE),
        ("100.100.100.200", Network.MACHINE),
        ("224.0.0.1", Network.MACHINE),
    ],
)
def test_an_address_is_in_the_network_that_it_leads_to(address: str, network: Network) -> None:
    assert network_of(address) is network


PUBLIC, PRIVATE, LOOPBACK, MACHINE = "93.184.216.34", "10.0.0.1", "127.0.0.1", "169.254.169.254"


@pytest.mark.parametrize(
    ("own", "may"),
    [
        ([PUBLIC], {PUBLIC}),
        ([PRIVATE], {PUBLIC, PRIVATE}),
        ([LOOPBACK], {PUBLIC, PRIVATE, LOOPBACK}),
        ([MACHINE], {PUBLIC, PRIVATE, LOOPBACK}),
        ([LOOPBACK, PUBLIC], {PUBLIC}),  # a name of an attacker's choice
    ],
)
def test_a_registry_leads_no_deeper_than_it_is(own: list[str], may: set[str]) -> None:
    guard = Guard("https://registry.test:5000")
    guard.admit("Registry.test.", own)
    for address in (PUBLIC, PRIVATE, LOOPBACK, MACHINE):
        if address in may:
            guard.admit("elsewhere.test", [PUBLIC, address])
        else:
            with pytest.raises(WrongWayError, match=r"elsewhere\.test"):
                guard.admit("elsewhere.test", [PUBLIC, address])


def test_a_name_that_resolves_otherwise_the_second_time_leads_nowhere_new() -> None:
    guard = Guard("https://registry.test")
    guard.admit("registry.test", [PUBLIC])
    guard.admit("registry.test", [LOOPBACK])
    with pytest.raises(WrongWayError):
        guard.admit("elsewhere.test", [LOOPBACK])


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Set the addresses of names. Connections all lead to loopback, where the tests are."""
    names: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host in names:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in names[host]]
        return real(
            "127.0.0.1" if host in {a for all_ in names.values() for a in all_} else host,
            port,
            *args,
            **kwargs,
        )

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    # There are no certificates for these names here: what is tried is where a connection goes.
    monkeypatch.setattr("imagegate.oci.http._check_secure", lambda *_: None)
    return names


asked: dict[str, Callable[[HttpRegistry], object]] = {
    "manifest": lambda client: client.manifest("team/app", "1.0"),
    "blob": lambda client: client.blob("team/app", BLOB),
    "referrers": lambda client: client.referrers(ImageRef("team/app", MANIFEST.digest)),
    "token": lambda client: client.manifest("team/app", "1.0"),
}


@pytest.mark.parametrize("method", asked)
@pytest.mark.parametrize("address", [LOOPBACK, PRIVATE, MACHINE])
def test_a_public_registry_sends_nobody_into_our_networks(
    resolved: dict[str, list[str]], method: str, address: str
) -> None:
    resolved |= {"registry.test": [PUBLIC], "inside.test": [PUBLIC, address]}
    with scripted(lambda _: Reply(500)) as inside, scripted(lambda _: Reply(500)) as script:
        there = f"http://inside.test:{inside.port}/latest/meta-data/"
        to = {"Location": there}
        asks = {"WWW-Authenticate": f'Bearer realm="{there}",service="s"'}
        script.answer = lambda request: (
            Reply(401, headers=asks)
            if method == "token"
            else (Reply(404) if request.method == "HEAD" else Reply(307, headers=to))
        )
        client = opened(f"http://registry.test:{script.port}", "c2VjcmV0")
        with pytest.raises(RejectedInputError, match=r"inside\.test") as refused:
            asked[method](client)
    assert inside.requests == []
    assert is_one_line(str(refused.value))


def test_a_public_registry_sends_to_public_hosts_without_its_credentials(
    resolved: dict[str, list[str]],
) -> None:
    resolved |= {"registry.test": [PUBLIC], "store.test": [PUBLIC]}
    with scripted(lambda _: Reply(body=LAYER)) as store, scripted(lambda _: Reply(404)) as script:
        place = {"Location": f"http://store.test:{store.port}/blob"}
        script.answer = lambda request: Reply(404) if request.method == "HEAD" else Reply(307, headers=place)
        client = opened(f"http://registry.test:{script.port}", "c2VjcmV0")
        assert client.blob("team/app", BLOB) == LAYER
    assert "authorization" not in store.requests[0].headers
    assert any("authorization" in request.headers for request in script.requests)


# Where it leads is read once


@pytest.mark.parametrize(
    "target",
    ["http://[bad/", "http://a:99999999/", "http://a b/", "http://\ud800/", "http://a:x/", "//[::1"],
)
def test_a_text_that_is_no_address_is_refused_as_such(target: str) -> None:
    with pytest.raises(RegistryUnavailableError, match="a malformed URL") as refused:
        resolve_url("https://registry.test/v2/", target, "shop")
    assert is_one_line(str(refused.value))


@pytest.mark.parametrize(
    "url", [r"http://evil.test\@127.0.0.1/", r"http://127.0.0.1\@evil.test/", "http://127.0.0.1#@evil.test/"]
)
def test_one_host_is_read_in_a_url(url: str) -> None:
    """The one that is connected to: by urllib3, which the checks ask too."""
    from urllib3 import PoolManager

    _, host, port = origin_of(resolve_url("https://registry.test", url, "shop"))
    pool = PoolManager().connection_from_url(resolve_url("https://registry.test", url, "shop"))
    assert (pool.host, pool.port) == (host, port)


# Documents of its other servers


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"token": ' * 5_000,
        b'{"token": "x", "expires_in": ' + b"9" * 4000 + b"}",
        b'{"token": "x\\r\\nX-Evil: y"}',
        b'{"token": "\\u202e"}',
        b'{"token": 5}',
        b'{"token": "x", "expires_in": NaN}',
        b'{"token": "' + b"x" * 100_000 + b'"}',
        b"\xff",
        b"",
    ],
)
def test_anything_but_a_token_is_named_as_such(body: bytes) -> None:
    with scripted(lambda _: Reply()) as script:
        asks = {"WWW-Authenticate": f'Bearer realm="{script.endpoint}/token"'}
        script.answer = lambda request: (
            Reply(body=body) if "/token" in request.path else Reply(401, headers=asks)
        )
        with pytest.raises(RegistryUnavailableError, match="no token that can be used"):
            opened(script.endpoint).manifest("team/app", "1.0")


@pytest.mark.parametrize(
    "body",
    [
        b'{"errors": ' + b"[" * 60_000,
        json.dumps({"errors": [{"code": "X" * 9000, "message": "y" * 50_000}]}).encode(),
        b'{"errors": [{"code": "X", "message": "\\u001b[2J\\r\\nimagegate: shop-dev:1.0 RELEASED \\u202e\\ud800"}]}',
        b'{"errors": {"code": 1}}',
        b"\x1b[2J" * 1000,
    ],
)
def test_a_refusal_is_explained_in_one_short_line(body: bytes) -> None:
    with scripted(lambda _: Reply(403, body)) as script, pytest.raises(AccessRefusedError) as refused:
        opened(script.endpoint).manifest("team/app", "1.0")
    assert is_one_line(str(refused.value))
    assert len(str(refused.value)) < 1200


def test_a_long_challenge_is_read_in_no_time() -> None:
    challenge = {"WWW-Authenticate": "Bearer " + "a" * 60_000}
    with scripted(lambda _: Reply(401, headers=challenge)) as script, pytest.raises(AccessRefusedError):
        opened(script.endpoint).manifest("team/app", "1.0")
