"""A registry on loopback that answers by a test's script and records its requests."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]  # lower-case names
    size: int  # of the body
    digest: str  # of the body

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1  # the body is sent this often
    cut: int = 0  # bytes that are announced, but not sent
    late: float = 0.0  # seconds
    hang_up: bool = False  # no answer at all


Answer = Callable[[Request], Reply]


@dataclass
class Scripted:
    answer: Answer
    port: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def asked(self) -> list[str]:
        return [str(request) for request in self.requests]


@contextmanager
def scripted(answer: Answer) -> Iterator[Scripted]:
    script = Scripted(answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(script))
    script.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(script: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else every answer waits 40 ms for an acknowledgement

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

        def _answer(self) -> None:
            try:
                size, digest = _body(self)
            except ValueError:
                self.close_connection = True  # the client gave up half-way
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, size, digest)
            script.requests.append(request)
            with suppress(OSError):  # the client has heard enough
                self._send(script.answer(request))

        def _send(self, reply: Reply) -> None:
            threading.Event().wait(reply.late)  # tests patch time.sleep
            if reply.hang_up:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body) * reply.times + reply.cut))
            self.end_headers()
            if self.command != "HEAD":
                for _ in range(reply.times):
                    self.wfile.write(reply.body)
            if reply.cut:
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815 - the base class's names

    return Handler


def _body(handler: BaseHTTPRequestHandler) -> tuple[int, str]:
    """Read a body of any length without keeping it. Raises `ValueError` when it ends too early."""
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(handler):
        digest.update(piece)
        size += len(piece)
    return size, f"sha256:{digest.hexdigest()}"


def _pieces(handler: BaseHTTPRequestHandler) -> Iterator[bytes]:
    if handler.headers.get("Transfer-Encoding") != "chunked":
        left = int(handler.headers.get("Content-Length", "0"))
        while left:
            piece = handler.rfile.read(min(left, 1024 * 1024))
            if not piece:
                raise ValueError("the client gave up half-way")
            left -= len(piece)
            yield piece
        return
    while length := int(handler.rfile.readline(), 16):
        yield handler.rfile.read(length)
        handler.rfile.readline()
    handler.rfile.readline()
