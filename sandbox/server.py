"""The AWS port: moto's application, with the sandbox's own paths beside it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any
from wsgiref.types import StartResponse

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from werkzeug.wrappers import Request

from sandbox.aws import function_urls
from sandbox.aws.cfn.custom import answer_to, take_answer
from sandbox.disturbance import Application
from sandbox.settings import Settings

_API = "/sandbox-api/"


class Api:
    """The sandbox's own paths beside AWS's: quirks, and answers of custom resources."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, method: str, path: str, body: bytes) -> tuple[str, Any]:
        name, _, rest = path.removeprefix(_API).partition("/")
        if name == "quirks" and method in ("GET", "POST"):
            return self._quirks(json.loads(body) if method == "POST" else {})
        if name == "cfn-response" and method == "PUT":
            take_answer(rest, body)
            return "200 OK", {}
        if name == "cfn-response" and method == "GET":
            return "200 OK", answer_to(rest)
        return "404 Not Found", {"message": f"no {method} {path}"}

    def _quirks(self, changes: dict[str, Any]) -> tuple[str, Any]:
        quirks = self._settings.quirks
        for name, value in changes.items():
            if type(value) is not type(getattr(quirks, name, None)):
                message = f"no quirk {name} takes {value!r}; there are: {asdict(quirks)}"
                return "400 Bad Request", {"message": message}
        for name, value in changes.items():
            setattr(quirks, name, value)
        return "200 OK", asdict(quirks)


def _with_own_paths(aws: Application, api: Api) -> Application:
    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(function_urls.PREFIX):
            return function_urls.serve(Request(environ))(environ, start_response)
        if not environ["PATH_INFO"].startswith(_API):
            return aws(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, answer = api(environ["REQUEST_METHOD"], environ["PATH_INFO"], body)
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    return application


def serve(settings: Settings) -> Callable[[], None]:
    """Run moto's server in a thread, on loopback only; return the function that stops it."""
    log = logging.getLogger("werkzeug")  # where it writes tracebacks
    log.propagate = False
    log.setLevel(logging.INFO)
    file = logging.FileHandler(settings.state / "logs" / "aws.log")
    log.addHandler(file)

    class Handler(MotoRequestHandler):  # type: ignore[misc]
        protocol_version = "HTTP/1.1"

        def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
            log.info(message, *args)

    aws = settings.disturbance.around(DomainDispatcherApplication(create_backend_app))
    server = make_server(
        "127.0.0.1",
        settings.aws_port,
        _with_own_paths(aws, Api(settings)),
        threaded=True,
        request_handler=Handler,
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="aws", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        log.removeHandler(file)
        file.close()

    return stop
