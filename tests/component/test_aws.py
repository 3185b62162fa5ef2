"""The errors of boto3, and what they mean to us."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from botocore.stub import Stubber

from imagegate.aws import clients as aws
from imagegate.errors import ServiceUnavailableError, ThrottledError


class _Broken(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    aws.forget()
    yield
    aws.forget()


def test_a_service_that_answers_500_is_called_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), _Broken) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(ServiceUnavailableError, match="dynamodb:ListTables answered 500"):
            aws.client("dynamodb").list_tables()
        server.shutdown()


def test_a_service_without_an_answer_is_called_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), _Broken) as closed:
        port = closed.server_port
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(ServiceUnavailableError):
        aws.client("dynamodb").list_tables()


# Each with a call that no adapter wraps in `translated`, and its service's own code.
@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sts", "get_caller_identity", "Throttling"),
        ("s3", "list_buckets", "SlowDown"),
        ("lambda", "list_functions", "TooManyRequestsException"),
        ("dynamodb", "list_tables", "ProvisionedThroughputExceededException"),
        ("ecr", "describe_registry", "ThrottlingException"),
        ("sns", "list_topics", "KMSThrottling"),
        ("stepfunctions", "list_state_machines", "KmsThrottlingException"),
        ("dynamodb", "list_tables", "TransactionConflictException"),
        ("dynamodb", "list_tables", "ReplicatedWriteConflictException"),
    ],
)
def test_throttling_of_any_call_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, service: str, operation: str, code: str
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    for status in (400, 503):
        with Stubber(aws.client(service)) as stub:
            for _ in range(3):  # the SDK's own retries
                stub.add_client_error(operation, code, http_status_code=status)
            with pytest.raises(ThrottledError, match=f"{status} {code}"):
                getattr(aws.client(service), operation)()
