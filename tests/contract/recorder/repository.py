"""A throw-away repository of ECR: filled by its JSON API, read through that and the registry's protocol."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urljoin

import jmespath  # type: ignore[import-untyped]
import urllib3

from tests.contract.recorder import content
from tests.contract.recorder.bench import DENIED, Answer, Bench
from tests.contract.recorder.exchange import Exchange

_HEADERS = ("Docker-Content-Digest", "OCI-Subject", "OCI-Filters-Applied")


class RegistryDeniedError(Exception):
    """The registry refuses for lack of a permission."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the registry."""

    status: int
    location: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Repository:
    bench: Bench
    name: str

    def ask(self, operation: str, *, show: str = "", **parameters: Any) -> Answer:
        return self.bench.ask("ecr", operation, show=show, repositoryName=self.name, **parameters)

    def do(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return self.bench.do("ecr", operation, repositoryName=self.name, **parameters)

    def put(self, manifest: bytes, tag: str | None = None, **parameters: Any) -> Answer:
        """Send and record a PutImage."""
        return self.ask("PutImage", show="image.imageId", **_image(manifest, tag), **parameters)

    def push(self, manifest: bytes, tag: str | None = None) -> str:
        """Push a manifest with the blobs of `content`'s images, without recording; return its digest."""
        self.blob(content.config())
        self.do("PutImage", **_image(manifest, tag))
        return content.digest_of(manifest)

    def blob(self, blob: bytes) -> str:
        self.bench.sanitiser.sent(blob)
        digest = content.digest_of(blob)
        wanted = self.do("BatchCheckLayerAvailability", layerDigests=[digest])["layers"]
        if not wanted or wanted[0]["layerAvailability"] != "AVAILABLE":
            upload = self.do("InitiateLayerUpload")["uploadId"]
            part = {"partFirstByte": 0, "partLastByte": len(blob) - 1, "layerPartBlob": blob}
            self.do("UploadLayerPart", uploadId=upload, **part)
            self.do("CompleteLayerUpload", uploadId=upload, layerDigests=[digest])
        return digest

    def image(self, tag: str | None = None, note: str = "") -> bytes:
        """Push a small image; its manifest."""
        layer = content.layer({"hello": "hello\n"})
        self.blob(layer)
        manifest = content.manifest([layer], note=note)
        self.push(manifest, tag)
        return manifest

    def http(
        self,
        method: str,
        path: str,
        *,
        label: str = "",
        show: str = "",
        anonymous: bool = False,
        **options: Any,
    ) -> Reply:
        """Send and record a request; `path` is below the repository, or the Location that the registry gave.

        `show` is the part (JMESPath) of the body that the behaviour is about; "bytes" is the body as it is.
        """
        self.bench.refuse_foreign(method, {"repository": self.name})
        sent = {"Content-Type": kind} if (kind := options.get("headers", {}).get("Content-Type")) else {}
        if isinstance(body := options.get("body"), bytes):
            self.bench.sanitiser.sent(body)
        answer = registry(self.bench).send(method, self._target(path), anonymous=anonymous, **options)
        code, message = _error(answer)
        if code in DENIED:
            raise RegistryDeniedError(message or code)
        shown = _shown(answer, show)
        outcome = f"{answer.status} {code}".strip()
        clean = self.bench.sanitiser
        call = clean.text(f"{method} {label or path}")
        words = clean.text(message) if message else None
        self.bench.exchanges.append(Exchange(call, sent, outcome, clean.value(shown) or None, words))
        return Reply(answer.status, answer.headers.get("Location", ""), answer.data)

    def _target(self, path: str) -> str:
        return path if path.startswith(("/", "http")) else f"/v2/{self.name}/{path}"


class Registry:
    """HTTP to the account's registry with a token of the caller's."""

    def __init__(self, bench: Bench) -> None:
        data = bench.do("ecr", "GetAuthorizationToken")["authorizationData"][0]
        self._endpoint = data["proxyEndpoint"]
        user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        self._headers = urllib3.make_headers(basic_auth=f"{user}:{password}")
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=60), retries=False)

    def send(
        self, method: str, target: str, *, anonymous: bool = False, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        credentials = {} if anonymous else self._headers
        headers = credentials | options.pop("headers", {})
        url = urljoin(self._endpoint, target)
        return self._pool.request(method, url, headers=headers, redirect=False, **options)


def registry(bench: Bench) -> Registry:
    found: Registry = bench.shared("registry", lambda: Registry(bench))
    return found


def repository(bench: Bench, **options: Any) -> Repository:
    # ECR's names may have a folder; the same name as other things of this run, so that one prefix finds all.
    made = Repository(bench, bench.name())
    what = f"repository {made.name}"
    delete = partial(made.do, "DeleteRepository", force=True)
    bench.make(what, delete, "ecr", "CreateRepository", repositoryName=made.name, **options)
    return made


def _image(manifest: bytes, tag: str | None) -> dict[str, Any]:
    media_type = json.loads(manifest)["mediaType"]
    image = {"imageManifest": manifest.decode(), "imageManifestMediaType": media_type}
    return image | ({"imageTag": tag} if tag else {})


def _error(answer: urllib3.BaseHTTPResponse) -> tuple[str, str | None]:
    try:
        first = json.loads(answer.data)["errors"][0]
        return str(first["code"]), first.get("message")
    except (ValueError, LookupError, TypeError):
        return "", None


def _shown(answer: urllib3.BaseHTTPResponse, show: str) -> dict[str, Any]:
    if answer.status >= 300:
        return {}
    # The type of an answer without a body means nothing.
    wanted = ("Content-Type", *_HEADERS) if show else _HEADERS
    shown: dict[str, Any] = {name: answer.headers[name] for name in wanted if name in answer.headers}
    if show == "bytes":
        return shown | {"body": answer.data}
    return shown | ({show: jmespath.search(show, json.loads(answer.data))} if show else {})
