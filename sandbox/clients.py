"""botocore clients for the sandbox's endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.config import Config

from sandbox.settings import Settings

_PATIENT = Config(read_timeout=600)  # a stack is created within its request: on a busy machine, for minutes


def client(
    settings: Settings, credentials: Mapping[str, str], service: str, config: Config = _PATIENT
) -> Any:
    return botocore.session.get_session().create_client(
        service,
        region_name=settings.region,
        endpoint_url=settings.endpoint,
        config=config,
        aws_access_key_id=credentials["aws_access_key_id"],
        aws_secret_access_key=credentials["aws_secret_access_key"],
        aws_session_token=credentials.get("aws_session_token"),
    )
