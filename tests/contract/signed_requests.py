"""HTTP requests to function URLs, signed as AWS's clients sign them."""

from __future__ import annotations

from collections.abc import Mapping

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION = "eu-central-1"
_pool = urllib3.PoolManager(retries=False)


def signature(
    url: str,
    keys: Mapping[str, str],
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    service: str = "lambda",
    region: str = REGION,
) -> dict[str, str]:
    """Return the headers of the signed request; `keys` as boto3 takes them (aws_access_key_id, …)."""
    request = AWSRequest(method, url, dict(headers or {}), body)
    credentials = Credentials(
        keys["aws_access_key_id"], keys["aws_secret_access_key"], keys.get("aws_session_token")
    )
    SigV4Auth(credentials, service, region).add_auth(request)
    return dict(request.headers.items())


def send(
    url: str, headers: Mapping[str, str], method: str = "GET", body: bytes = b""
) -> urllib3.BaseHTTPResponse:
    return _pool.request(method, url, body=body or None, headers=headers)


def call(
    url: str,
    keys: Mapping[str, str],
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> urllib3.BaseHTTPResponse:
    """Send a request with a right signature."""
    return send(url, signature(url, keys, method, body, headers), method, body)
