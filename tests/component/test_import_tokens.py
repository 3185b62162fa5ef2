"""Pulls from a registry with a token server: the requests to each, and who never gets a credential."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from imagegate.errors import AccessRefusedError, ImageGateError, RegistryUnavailableError
from imagegate.oci.client import HttpRegistry
from imagegate.oci.http import Connection
from imagegate.oci.response import RegistryResponse
from imagegate_cli.importing.tokens import TokenLogin
from tests.component.scripted_registry import Reply, scripted
from tests.component.token_registry import BLOB, LAYER, MANIFEST, TokenRegistry, token_registry
from tests.fakes import NOW

CREDENTIALS = base64.b64encode(b"ann:secret").decode()


@pytest.fixture
def registry() -> Iterator[TokenRegistry]:
    with token_registry() as running:
        yield running


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def login_to(registry: TokenRegistry, credentials: str = "") -> TokenLogin:
    return TokenLogin(registry.script.endpoint, "team/app", "1.0", "registry.test", credentials, lambda: NOW)


def client_of(registry: TokenRegistry, credentials: str = "") -> HttpRegistry:
    return HttpRegistry(login_to(registry, credentials), clock=lambda: NOW)


def test_one_token_serves_many_requests_and_only_pulls(registry: TokenRegistry) -> None:
    client = client_of(registry)
    assert client.manifest("team/app", "1.0") == MANIFEST
    assert client.blob("team/app", BLOB) == LAYER
    assert registry.scopes == [{"service": ["registry.test"], "scope": ["repository:team/app:pull"]}]
    assert "authorization" not in registry.asked_for_tokens[0].headers


def test_credentials_go_to_the_token_server_alone(registry: TokenRegistry) -> None:
    client_of(registry, CREDENTIALS).manifest("team/app", "1.0")
    for request in registry.script.requests:
        is_token_server = request.path.startswith("/token")
        assert (request.headers.get("authorization") == f"Basic {CREDENTIALS}") == is_token_server


@pytest.mark.parametrize(("lifetime", "given"), [(300, 1), (None, 1), ("300", 1), (1e300, 1), (5, 3)])
def test_a_token_is_exchanged_when_it_is_about_to_end(
    registry: TokenRegistry, lifetime: object, given: int
) -> None:
    registry.expires_in = lifetime
    client = client_of(registry)
    for _ in range(3):
        client.blob("team/app", BLOB)
    assert (registry.given == 1) == (given == 1)


def test_a_token_that_is_refused_meanwhile_is_exchanged_once(registry: TokenRegistry) -> None:
    client = client_of(registry)
    client.blob("team/app", BLOB)
    registry.refused = 1
    assert client.blob("team/app", BLOB) == LAYER
    assert registry.given == 2


def test_a_registry_that_accepts_no_token_is_refused(registry: TokenRegistry) -> None:
    registry.refused = 1000
    with pytest.raises(AccessRefusedError, match="401"):
        client_of(registry).manifest("team/app", "1.0")
    assert registry.given == 2


@pytest.mark.parametrize(
    ("credentials", "said"), [("", "lets nobody in without"), (CREDENTIALS, "refuses the credentials")]
)
def test_a_refusal_of_the_token_server_is_named(registry: TokenRegistry, credentials: str, said: str) -> None:
    registry.token_reply = Reply(401)
    with pytest.raises(AccessRefusedError, match=said) as refused:
        client_of(registry, credentials).manifest("team/app", "1.0")
    assert "secret" not in str(refused.value)
    assert not credentials or credentials not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"token"', b"{}", b'{"token": 7}', b'{"token": "a b"}', b'{"token": "a\\r\\nX: y"}']
    + [b'{"token": "t", "expires_in": %b}' % value for value in (b"-1", b"NaN", b'"soon"', b"[1]")],
)
def test_an_answer_without_a_usable_token_is_no_answer(registry: TokenRegistry, body: bytes) -> None:
    registry.token_reply = Reply(body=body)
    with pytest.raises(RegistryUnavailableError, match="no token that can be used"):
        client_of(registry).manifest("team/app", "1.0")


def test_the_older_name_of_a_token_counts_too(registry: TokenRegistry) -> None:
    registry.token_reply = Reply(body=b'{"access_token": "token-1"}')
    assert client_of(registry).manifest("team/app", "1.0") == MANIFEST


def test_a_redirect_target_of_the_token_server_gets_no_credentials(registry: TokenRegistry) -> None:
    with scripted(lambda _: Reply(body=b'{"token": "token-1"}')) as elsewhere:
        location = f"http://localhost:{elsewhere.port}/token"
        registry.token_reply = Reply(307, headers={"Location": location})
        client_of(registry, CREDENTIALS).manifest("team/app", "1.0")
    assert elsewhere.asked == ["GET /token"]
    assert "authorization" not in elsewhere.requests[0].headers


def test_storage_that_a_registry_redirects_to_sees_no_token(registry: TokenRegistry) -> None:
    with scripted(lambda _: Reply(body=LAYER)) as storage:
        registry.blob_reply = Reply(307, headers={"Location": f"http://localhost:{storage.port}/key"})
        assert client_of(registry, CREDENTIALS).blob("team/app", BLOB) == LAYER
    assert "authorization" not in storage.requests[0].headers


def test_a_challenge_of_whom_the_registry_redirects_to_is_not_taken() -> None:
    with token_registry() as other:
        location = f"http://localhost:{other.script.port}/v2/team/app/manifests/1.0"
        with scripted(lambda _: Reply(307, headers={"Location": location})) as script:
            login = TokenLogin(script.endpoint, "team/app", "1.0", "registry.test", CREDENTIALS)()
    assert login.scheme == "Basic"
    assert other.asked_for_tokens == []


@pytest.mark.parametrize("realm", ["http://tokens.test/token", "ftp://tokens.test/", "/token", "tokens.test"])
def test_no_request_is_sent_to_a_token_server_without_tls(registry: TokenRegistry, realm: str) -> None:
    registry.realm = realm
    with pytest.raises(AccessRefusedError, match="without TLS"):
        client_of(registry, CREDENTIALS).manifest("team/app", "1.0")


def test_a_registry_elsewhere_cannot_name_a_token_server_on_this_machine() -> None:
    class Stranger(Connection):
        def call(self, *arguments: Any, **_: Any) -> RegistryResponse:
            path = arguments[1]
            challenge = {"WWW-Authenticate": 'Bearer realm="http://127.0.0.1:8080/token"'}
            return RegistryResponse(f"https://registry.test{path}", 401, challenge, b"")

    login = TokenLogin(
        "https://registry.test", "team/app", "1.0", "registry.test", CREDENTIALS, connect=Stranger
    )
    with pytest.raises(AccessRefusedError, match="without TLS"):
        login()


def test_a_registry_with_basic_credentials_needs_no_token(registry: TokenRegistry) -> None:
    registry.scheme = "Basic"
    assert client_of(registry, CREDENTIALS).manifest("team/app", "1.0") == MANIFEST
    assert registry.asked_for_tokens == []


@pytest.mark.parametrize("more", ['Basic realm="x", ', ""])
@pytest.mark.parametrize("after", [', Basic realm="http://evil.test/"', ""])
def test_the_bearer_challenge_is_found_among_others(registry: TokenRegistry, more: str, after: str) -> None:
    registry.scheme = f"{more}Bearer"
    registry.realm = f'{registry.script.endpoint}/token"{after},service="registry.test'
    registry.refused = -1
    with pytest.raises(ImageGateError):
        client_of(registry).manifest("team/app", "0.9")
    assert registry.given >= 1


def test_a_password_stays_out_of_logs(registry: TokenRegistry) -> None:
    assert CREDENTIALS not in repr(login_to(registry, CREDENTIALS))
