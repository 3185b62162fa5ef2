"""Clients of AWS's services by botocore, and the one place that turns their errors into ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from threading import Lock
from typing import Any

import msgspec
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.session import Session

from imagegate.errors import ImageGateError, ServiceUnavailableError, ThrottledError
from imagegate.findings.ecr import ScanPage

# The most threads that call one service at the same time; each needs a connection.
MOST_THREADS = 16
# Short enough that a hanging call fails inside a Lambda timeout, and the state machine tries again.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=5,
    read_timeout=20,
    max_pool_connections=32,  # as many threads read findings
)
_MAKING = Lock()
# The error codes of services that get too many requests (AWS SDKs reference guide, "Retry behavior"), of AWS KMS behind
# them, and of a DynamoDB item that somebody else is changing: the same call succeeds a moment later.
_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "KMSThrottling",
        "KMSThrottlingException",
        "KmsThrottlingException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottleException",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


# Long lists of findings: botocore's parser takes six times as long for them as it takes to read the JSON.
_READ_AS_JSON: Mapping[str, Any] = {
    "ecr.DescribeImageScanFindings": ScanPage,
    "inspector2.ListFindings": dict[str, Any],
}


@cache
def session() -> Session:
    """Return the session of this process: all clients share what it has loaded, and its credentials."""
    return Session()


@cache
def client(service: str) -> Any:
    """Return the client of one service, made on first use: each takes a part of a cold start.

    After the SDK's retries, its calls raise `ServiceUnavailableError` if the service does not answer or answers 5xx,
    and `ThrottledError` if it gets too many requests.
    """
    return _make(service)


def forget() -> None:
    """Forget all clients and their credentials: the next call finds these anew."""
    client.cache_clear()
    session.cache_clear()


def client_with(service: str, credentials: Mapping[str, str], region: str) -> Any:
    """Return a client for another Region, with credentials as STS returns them (`AccessKeyId`, …)."""
    return _make(
        service,
        region_name=region,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def _make(service: str, **options: Any) -> Any:
    with _MAKING:  # threads may share a client, but not the session that makes it (boto3 guide, "Session")
        client_ = session().create_client(service, config=_CONFIG, **options)
    for operation, kind in _READ_AS_JSON.items():
        client_.meta.events.register(f"before-parse.{operation}", partial(_read_as_json, kind))
    client_.meta.events.register("after-call", _refuse_fault)
    client_.meta.events.register("after-call-error", _refuse_silence)
    return client_


def _read_as_json(kind: Any, response_dict: Any, customized_response_dict: Any, **_: Any) -> None:
    """Return the answer as its JSON has it, with times in seconds since 1970; botocore's parser gets nothing to do."""
    if response_dict["status_code"] != 200:
        return
    try:
        document = msgspec.json.decode(response_dict["body"], type=kind)
    except (msgspec.DecodeError, UnicodeError) as error:
        # botocore's parser would take it for an answer without findings.
        raise ServiceUnavailableError(f"an answer that cannot be read: {error}") from error
    customized_response_dict.update(document)
    response_dict["body"] = b"{}"


def _refuse_fault(http_response: Any, parsed: Any, model: Any, **_: Any) -> None:
    if http_response.status_code < 300:
        return
    code = parsed.get("Error", {}).get("Code", "")
    answered = f"{model.service_model.service_name}:{model.name} answered {http_response.status_code} {code}"
    # S3 and Lambda answer 5xx when they are called too often.
    if code in _THROTTLED:
        raise ThrottledError(answered)
    if http_response.status_code >= 500:
        raise ServiceUnavailableError(answered)


def _refuse_silence(exception: Exception, **_: Any) -> None:
    if isinstance(exception, HTTPClientError | NoConnectionError):
        raise ServiceUnavailableError(str(exception)) from exception


@contextmanager
def translated(errors: Mapping[str, type[ImageGateError]], subject: str = "") -> Iterator[None]:
    """Raise our errors for these error codes; every other error propagates, throttling with its subject.

    `subject` begins the message: an image, a profile. Also usable as a decorator.
    """
    try:
        yield
    except ThrottledError as error:
        if not subject:
            raise
        raise ThrottledError(f"{subject}: {error}") from error
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        ours = errors.get(code)
        if ours is None:
            raise
        raise ours(f"{subject}: {error}" if subject else str(error)) from error
