"""The target of the calls: an AWS account by its usual credentials, or a sandbox on this machine."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

from tests.contract.recorder.bench import Bench
from tests.contract.recorder.sanitise import Sanitiser

SERVICES = (
    *(
        "ecr",
        "signer",
        "dynamodb",
        "s3",
        "sns",
        "sqs",
        "stepfunctions",
        "events",
        "iam",
        "sts",
        "securityhub",
    ),
    *("cloudtrail", "cloudwatch", "logs"),
)
AWS = "AWS"  # a recording's source, only if every service is there
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class NoTargetError(Exception):
    """There is no target; the message says what to do."""


def open_bench(session: Any) -> Bench:
    """Return a bench for one run against the session's target. Raises what botocore raises without credentials."""
    if not session.region_name:
        raise NoTargetError("no Region: set AWS_REGION, or give --region")
    keys = session.get_credentials()
    if keys is None:
        raise NoTargetError("no AWS credentials: set AWS_PROFILE, or log in as you do for the aws command")
    hosts = _hosts(session)
    frozen = keys.get_frozen_credentials()
    caller = session.client("sts").get_caller_identity()
    run = f"imagegate-contract-{secrets.token_hex(4)}"
    known = (frozen.access_key, frozen.secret_key, frozen.token, caller["UserId"])
    return Bench(
        session=session,
        account=caller["Account"],
        partition=caller["Arn"].split(":")[1],
        run=run,
        sanitiser=Sanitiser(caller["Account"], session.region_name, run, known),
        source=_source(hosts),
        is_loopback=hosts <= _LOOPBACK,
    )


def _hosts(session: Any) -> set[str]:
    """Return the host of each service, by the environment and the profile."""
    return {urlsplit(session.client(name).meta.endpoint_url).hostname or "" for name in SERVICES}


def _source(hosts: set[str]) -> str:
    others = sorted(host for host in hosts if not host.endswith(_AWS_HOSTS))
    return ", ".join(others) or AWS


@contextmanager
def sandbox() -> Iterator[Any]:
    """Yield a session of the sandbox in the environment, else of one that is started for this."""
    if urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname in _LOOPBACK:
        yield boto3.Session()
        return
    # Imported late: a recorder of AWS needs no sandbox.
    from sandbox.cloud import Cloud
    from sandbox.ports import free_port
    from sandbox.settings import Settings

    with tempfile.TemporaryDirectory(prefix="imagegate-contract-") as state:
        settings = Settings(state=Path(state), aws_port=free_port(), registry_port=free_port())
        with Cloud(settings, deploy=False) as cloud:
            os.environ.update(cloud.env)
            yield boto3.Session()
