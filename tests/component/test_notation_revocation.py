"""Revocation by AWS Signer: the query, and that every answer except a clear no refuses."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha384
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import EndpointConnectionError

from imagegate.errors import RevocationError, RevocationUnansweredError
from imagegate.notation.attributes import AwsSignature
from imagegate.notation.revocation import AwsRevocations, RevocationQuery, revocation_query
from tests.component.envelopes import IDENTITY, NOW, good_chain

JOB = "arn:aws:signer:eu-central-1:123456789012:/signing-jobs/2e9f1b2c"
AWS = AwsSignature(f"{IDENTITY}/0a1B2c3D4e", JOB)


def query() -> RevocationQuery:
    return revocation_query(AWS, NOW, good_chain())


class Service(HTTPServer):
    """A service that gives every query the same answer and records it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status, self.content = 200, b"{}"
        self.asked: list[str] = []


class Answer(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield server
        server.shutdown()
        thread.join()


def test_each_certificate_is_named_with_its_issuer() -> None:
    parts = [sha384(certificate.tbs_certificate_bytes).hexdigest() for certificate in good_chain()]
    expected = tuple(a + b for a, b in zip(parts, [*parts[1:], parts[-1]], strict=True))
    assert query() == RevocationQuery(NOW, AWS.profile_version_arn, JOB, expected)


def test_the_question_goes_to_the_endpoint_without_a_prefix(service: Service) -> None:
    assert AwsRevocations()(query()) == []
    (asked,) = service.asked
    assert urlsplit(asked).path == "/revocations"
    assert parse_qs(urlsplit(asked).query) == {
        "signatureTimestamp": ["2026-11-21T08:00:00Z"],
        "platformId": ["Notation-OCI-SHA384-ECDSA"],
        "profileVersionArn": [AWS.profile_version_arn],
        "jobArn": [JOB],
        "certificateHashes": sorted(query().certificate_hashes),
    }


@pytest.mark.parametrize("content", [b"{}", b'{"revokedEntities": []}'])
def test_an_answer_that_names_nothing_is_a_no(service: Service, content: bytes) -> None:
    service.content = content
    assert AwsRevocations()(query()) == []


def test_the_revoked_parts_of_a_signature_are_named(service: Service) -> None:
    service.content = b'{"revokedEntities": ["' + JOB.encode() + b'"]}'
    assert AwsRevocations()(query()) == [JOB]


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"null"),
        (200, b'"no"'),
        (200, b'{"revokedEntities": "no"}'),
        (200, b'{"revokedEntities": {}}'),
        (200, b'{"revokedEntities": null}'),
        (200, b"[" * 100_000),
        (200, b"\xff"),
        (302, b"{}"),
        (400, b'{"code": "ValidationException"}'),
        (403, b'{"code": "AccessDeniedException"}'),
        (500, b"{}"),
    ],
)
def test_any_other_answer_is_no_answer(service: Service, status: int, content: bytes) -> None:
    service.status, service.content = status, content
    with pytest.raises(RevocationError):
        AwsRevocations()(query())


@pytest.mark.parametrize(
    ("status", "passes"), [(400, False), (403, False), (429, True), (500, True), (503, True)]
)
def test_a_temporary_error_differs_from_a_refusal(service: Service, status: int, passes: bool) -> None:
    service.status = status
    with pytest.raises(RevocationError) as raised:
        AwsRevocations()(query())
    assert isinstance(raised.value, RevocationUnansweredError) is passes


def test_no_answer_is_no_answer(monkeypatch: pytest.MonkeyPatch, service: Service) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(RevocationError, match="GetRevocationStatus failed"):
        AwsRevocations()(query())


def test_no_credentials_are_no_answer(monkeypatch: pytest.MonkeyPatch, service: Service) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(RevocationError):
        AwsRevocations()(query())


def test_the_answer_of_aws_is_asked_for_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("DEFAULT_REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "us-east-1")
    asked = list[str]()

    def send(_: object, request: Any) -> Any:
        asked.append(request.url.partition("?")[0])
        raise EndpointConnectionError(endpoint_url=request.url)

    monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", send)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(RevocationUnansweredError):
        AwsRevocations()(query())
    # In the region of the signing profile, not of whoever asks.
    assert set(asked) == {"https://data-signer.eu-central-1.amazonaws.com/revocations"}


def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch, service: Service) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(RevocationError, match="without AWS credentials: sign in"):
        AwsRevocations()(query())
    assert service.asked == []


def test_a_profile_of_no_region_is_not_asked_about(service: Service) -> None:
    with pytest.raises(RevocationError, match="not the ARN of a signing profile"):
        AwsRevocations()(replace(query(), profile_version_arn="arn:aws:signer:evil.example/:1"))
    assert service.asked == []


def test_times_are_requested_in_utc(service: Service) -> None:
    signed_at = datetime(2026, 11, 21, 8, 0, 0, 500_000, tzinfo=UTC)
    AwsRevocations()(revocation_query(AWS, signed_at, good_chain()))
    assert "signatureTimestamp=2026-11-21T08%3A00%3A00" in service.asked[0]


@pytest.mark.parametrize(
    "module",
    [
        "aws.signer",
        "wiring",
        "step_wiring",
        "notation.trust_policy_document",
        "notation.attributes",
        "notation.revocation",
    ],
)
def test_cryptography_is_loaded_only_to_verify(module: str) -> None:
    program = f"import sys, imagegate.{module}; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
