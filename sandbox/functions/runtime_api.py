"""The Lambda Runtime API of one process, on loopback.

Shapes: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.functions.function import Invocation, InvocationResult

_PREFIX = "/2018-06-01/runtime/"


class Delivered:
    """The process has taken the invocation: its time-out begins."""


class RuntimeApi:
    """The API of one process; `events` gets `Delivered` and results in the order in which they happen."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.events: queue.Queue[Delivered | InvocationResult] = queue.Queue()
        self._invocations: queue.Queue[Invocation | None] = queue.Queue()
        api = self

        class Handler(_RuntimeHandler):
            runtime_api = api

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._is_closed = False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        """Answer until closed. `serve_forever` would look twenty times a second, for each of a hundred processes."""
        with self._server:
            while not self._is_closed:
                self._server.handle_request()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def send(self, invocation: Invocation) -> None:
        self._invocations.put(invocation)

    def next(self) -> Invocation | None:
        """Wait for the next invocation; return None when closing."""
        return self._invocations.get()

    def close(self) -> None:
        self._invocations.put(None)
        self._is_closed = True
        with contextlib.suppress(OSError):  # the last request; nothing answers when it is closed already
            socket.create_connection(("127.0.0.1", self._server.server_port), timeout=1).close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that a killed process closes: the user of the sandbox need not know."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _RuntimeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    runtime_api: RuntimeApi

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""

    def do_GET(self) -> None:
        if self.path != _PREFIX + "invocation/next":
            return self._answer(404)
        invocation = self.runtime_api.next()
        if invocation is None:
            self.close_connection = True
            return None
        deadline = int((time.time() + self.runtime_api.timeout) * 1000)
        self.runtime_api.events.put(Delivered())
        return self._answer(
            200,
            invocation.payload,
            {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(deadline),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.endswith("/response"):
            self.runtime_api.events.put(InvocationResult(body))
        elif self.path.endswith("/error"):
            self.runtime_api.events.put(InvocationResult(body, self._error_type(body)))
        self._answer(202)

    def _error_type(self, body: bytes) -> str:
        try:
            return str(json.loads(body)["errorType"])
        except (ValueError, KeyError, TypeError):
            return self.headers.get("Lambda-Runtime-Function-Error-Type") or "Unhandled"

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        content = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in {**content, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
