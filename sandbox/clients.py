"""boto3 clients for the sandbox's endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3

from sandbox.settings import Settings


def client(settings: Settings, credentials: Mapping[str, str], service: str) -> Any:
    session: Any = boto3.Session(
        aws_access_key_id=credentials["aws_access_key_id"],
        aws_secret_access_key=credentials["aws_secret_access_key"],
        aws_session_token=credentials.get("aws_session_token"),
        region_name=settings.region,
    )
    return session.client(service, endpoint_url=settings.endpoint)
