"""Asking STS who signed: what it answers, or does not, is an identity, a refusal, or a fault that passes."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from imagegate.aws.sts import StsIdentities, sts_endpoint
from imagegate.errors import ServiceUnavailableError, ThrottledError
from imagegate.grants.caller_proof import LONGEST_ANSWER, Audience, Identity, Proof, ProofRefusedError
from tests.component.proofs import FUNCTION

AUDIENCE = Audience.parse(FUNCTION)
PROOF = Proof("20261121T080000Z", "AKIAIOSFODNN7EXAMPLE", "0" * 64, "t0ken")
ARN = "arn:aws:iam::123456789012:user/ann"
ANSWER = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    f"<Arn>{ARN}</Arn><UserId>AIDA</UserId><Account>123456789012</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
).encode()


class Sts:
    """Answers one after the other, on loopback."""

    def __init__(self) -> None:
        self.status, self.content, self.location = 200, ANSWER, ""
        self.asked: list[tuple[str, dict[str, str], bytes]] = []


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sts]:
    told = Sts()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.asked.append((self.path, {n.lower(): v for n, v in self.headers.items()}, body))
            self.send_response(told.status)
            if told.location:
                self.send_header("location", told.location)
            self.send_header("content-length", str(len(told.content)))
            self.end_headers()
            self.wfile.write(told.content)

        def log_message(self, *_arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def who() -> Identity:
    return StsIdentities().identity(PROOF, AUDIENCE, "{}")


def test_exactly_the_rebuilt_request_is_sent(sts: Sts) -> None:
    assert who() == Identity(ARN, "AIDA", "123456789012")
    [(path, headers, body)] = sts.asked
    rebuilt = PROOF.request(AUDIENCE, "{}", sts_endpoint(AUDIENCE))
    assert (path, body) == ("/", rebuilt.body)
    assert rebuilt.headers.items() <= headers.items()


@pytest.mark.parametrize("status", [201, 301, 400, 403, 404])
def test_anything_but_an_identity_is_a_refusal(sts: Sts, status: int) -> None:
    sts.status = status
    with pytest.raises(ProofRefusedError, match=f"HTTP {status}"):
        who()


def test_no_redirect_is_followed(sts: Sts) -> None:
    sts.status, sts.location = 307, "/elsewhere"
    with pytest.raises(ProofRefusedError):
        who()
    assert [path for path, _, _ in sts.asked] == ["/"]


def test_no_proxy_is_used(sts: Sts, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert who().arn == ARN


def test_an_answer_without_end_is_not_read_to_its_end(sts: Sts) -> None:
    sts.content = ANSWER + b" " * (4 * LONGEST_ANSWER)
    with pytest.raises(ProofRefusedError):
        who()


@pytest.mark.parametrize(
    ("status", "content", "error"),
    [
        (503, b"", ServiceUnavailableError),
        (500, ANSWER, ServiceUnavailableError),
        (429, b"", ThrottledError),
        (400, b"<Code>Throttling</Code>", ThrottledError),
    ],
)
def test_sts_in_trouble_is_a_fault_that_passes(
    sts: Sts, status: int, content: bytes, error: type[Exception]
) -> None:
    sts.status, sts.content = status, content
    with pytest.raises(error, match="try again"):
        who()
    assert len(sts.asked) == 1


def test_an_unreachable_sts_is_a_temporary_error_and_uses_no_token_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ServiceUnavailableError, match="did not say who calls") as silent:
        who()
    assert "t0ken" not in str(silent.value)


def test_without_a_sandbox_it_is_sts_of_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert sts_endpoint(AUDIENCE) == "https://sts.eu-central-1.amazonaws.com"
