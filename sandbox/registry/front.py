"""The OCI distribution API (specification 1.1) over the sandbox's store.

Rules: the repository must exist, unless a creation template makes it on a first push; every operation needs the
permission that it needs in ECR; every change uses the same functions as the JSON API, so that both give the same
answers.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import ServiceException
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wrappers import Request, Response

from sandbox.registry import access, first_push, index
from sandbox.registry.errors import RegistryError, translate_error
from sandbox.registry.store import store


@dataclass(frozen=True, slots=True)
class RegistryRequest:
    """One request to one repository: its target and its caller."""

    request: Request
    repo: Any
    target: str  # digest, tag or upload id
    caller: str

    def require(self, *actions: str, repository: Any | None = None) -> None:
        for action in actions:
            access.require(self.caller, action, repository or self.repo)


Operation = Callable[[RegistryRequest], Response]
_ROUTES: list[tuple[str, re.Pattern[str], Operation]] = []


def route(method: str, pattern: str) -> Callable[[Operation], Operation]:
    """Register an operation on `/v2/<name>/<pattern>`."""
    path = re.compile(rf"/v2/(?P<name>[a-z0-9._/-]+)/{pattern}")

    def register(operation: Operation) -> Operation:
        _ROUTES.append((method, path, operation))
        return operation

    return register


Page = Callable[[Request], Response]
_PAGES: dict[str, Page] = {}


def page(prefix: str) -> Callable[[Page], Page]:
    """Register a page outside `/v2/`, which checks permissions itself."""

    def register(answer: Page) -> Page:
        _PAGES[prefix] = answer
        return answer

    return register


class Front:
    """The WSGI application."""

    def __init__(self, log: Callable[[dict[str, Any]], None]) -> None:
        self._log = log

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request, started = Request(environ), time.perf_counter()
        response = self._answer(request)
        response.headers["Docker-Distribution-API-Version"] = "registry/2.0"
        self._log(
            {
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "bytes": response.content_length or 0,
                "received": request.content_length or 0,
                "seconds": round(time.perf_counter() - started, 4),
            }
        )
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        try:
            _throttle()
            return _dispatch(request)
        except RegistryError as error:
            return error.response()
        except ServiceException as error:
            return translate_error(error).response()
        except ClientDisconnected:
            return Response(status=400)  # the client is gone


def _throttle() -> None:
    every = store().settings.quirks.throttle_registry_every
    store().requests += 1
    if every and store().requests % every == 0:
        raise RegistryError(429, "TOOMANYREQUESTS", "Rate exceeded", Retry_After="0")


def _dispatch(request: Request) -> Response:
    for prefix, answer in _PAGES.items():
        if request.path.startswith(prefix):
            return answer(request)
    who = access.caller(request)
    if request.path in ("/v2", "/v2/"):
        return Response("{}", content_type="application/json")
    for method, pattern, operation in _ROUTES:
        match = pattern.fullmatch(request.path)
        if match and method == request.method:
            if method in ("POST", "PUT"):
                first_push.create_by_template(match["name"], who)
            repo = index.repository(match["name"])
            return operation(RegistryRequest(request, repo, match.groupdict().get("target") or "", who))
    raise RegistryError(404, "NAME_INVALID", f"no such resource: {request.method} {request.path}")


class RequestLog:
    """A log with one JSON line per request, for benchmarks."""

    def __init__(self, path: Any) -> None:
        self._path = path
        self._lock = threading.Lock()

    def __call__(self, line: dict[str, Any]) -> None:
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def location(*parts: str) -> str:
    return f"http://{store().settings.registry}/v2/" + "/".join(parts)
