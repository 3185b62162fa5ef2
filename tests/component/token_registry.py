"""A scripted registry with a token server in front, as public registries have them: it lets in who has its token."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from imagegate.oci.image import OCI_CONFIG, OCI_MANIFEST, Descriptor, Digest
from imagegate.oci.manifest import Manifest
from tests.component.scripted_registry import Reply, Request, Scripted, scripted

LAYER = b"layer" * 1000
BLOB = Descriptor("application/octet-stream", Digest.of(LAYER), len(LAYER))
CONFIG = b"{}"
MANIFEST = Manifest.parse(
    json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": Descriptor(OCI_CONFIG, Digest.of(CONFIG), len(CONFIG)).as_json(),
            "layers": [BLOB.as_json()],
        }
    ).encode()
)


@dataclass
class TokenRegistry:
    """One image, `team/app:1.0`. Tokens are numbered; those up to `refused` are not good any more."""

    script: Scripted = field(default_factory=lambda: Scripted(lambda _: Reply(500)))
    realm: str = ""  # "": its own
    scheme: str = "Bearer"
    expires_in: object = 300
    refused: int = 0
    token_reply: Reply | None = None  # instead of a token
    blob_reply: Reply | None = None
    given: int = 0

    def answer(self, request: Request) -> Reply:
        path = urlsplit(request.path).path
        if path == "/token":
            return self._token()
        if not self._lets_in(request.headers):
            realm = self.realm or f"{self.script.endpoint}/token"
            challenge = (
                f'{self.scheme} realm="{realm}",service="registry.test",scope="repository:x:pull,push"'
            )
            body = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "who?"}]}).encode()
            return Reply(401, body, {"WWW-Authenticate": challenge})
        if path.startswith("/v2/team/app/manifests/") and path.endswith(("/1.0", str(MANIFEST.digest))):
            return Reply(body=MANIFEST.content, headers={"Content-Type": OCI_MANIFEST})
        if path == f"/v2/team/app/blobs/{BLOB.digest}":
            return self.blob_reply or Reply(body=LAYER)
        return Reply(404)

    def _token(self) -> Reply:
        if self.token_reply:
            return self.token_reply
        self.given += 1
        told = {"token": f"token-{self.given}", "expires_in": self.expires_in}
        return Reply(body=json.dumps(told).encode())

    def _lets_in(self, headers: Mapping[str, str]) -> bool:
        kind, _, value = headers.get("authorization", "").partition(" ")
        if self.scheme == "Basic":
            return kind == "Basic"
        number = value.removeprefix("token-")
        return kind == "Bearer" and number.isdecimal() and int(number) > self.refused

    @property
    def asked_for_tokens(self) -> list[Request]:
        return [request for request in self.script.requests if request.path.startswith("/token")]

    @property
    def scopes(self) -> list[dict[str, list[str]]]:
        return [parse_qs(urlsplit(request.path).query) for request in self.asked_for_tokens]


@contextmanager
def token_registry() -> Iterator[TokenRegistry]:
    registry = TokenRegistry()
    with scripted(registry.answer) as script:
        registry.script = script
        yield registry
