"""The connection of commands to the running sandbox: from the environment, else from the sandbox's env file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_NEEDED = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class NoSandboxError(RuntimeError):
    """No sandbox is running in this folder."""


@dataclass(frozen=True, slots=True)
class Session:
    """Addresses and credentials of a running sandbox."""

    endpoint: str
    region: str
    credentials: Mapping[str, str]

    def client(self, service: str) -> Any:
        # Imported late: boto3 is slow to import, and not every command calls the API.
        import boto3

        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint,
            region_name=self.region,
            **self.credentials,
        )


def default_state() -> Path:
    return Path(os.environ.get("IMAGEGATE_SANDBOX_STATE", ".sandbox"))


def find_session(state: Path) -> Session:
    """Return the session. The environment counts only if it points to loopback: never push to a real account."""
    for variables in (os.environ, read_env(state)):
        host = urlsplit(variables.get("AWS_ENDPOINT_URL", "")).hostname
        if host in _LOOPBACK and all(name in variables for name in _NEEDED):
            return _session(variables)
    raise _none_in(state)


def require_running(state: Path) -> dict[str, str]:
    """Return the running sandbox's variables. Raises `NoSandboxError` if none runs: a start empties the folder."""
    variables = read_env(state)
    if not variables:
        raise _none_in(state)
    return variables


def _none_in(state: Path) -> NoSandboxError:
    return NoSandboxError(f"no sandbox is running with its state in {state}: start `make sandbox`")


def read_env(state: Path) -> dict[str, str]:
    """Return the `export NAME=value` lines of the sandbox's env file; empty if there is none."""
    file = state / "env"
    if not file.exists():
        return {}
    words = shlex.split(file.read_text(), comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)


def _session(variables: Mapping[str, str]) -> Session:
    credentials = {
        "aws_access_key_id": variables["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
    }
    if token := variables.get("AWS_SESSION_TOKEN"):
        credentials["aws_session_token"] = token
    return Session(variables["AWS_ENDPOINT_URL"], variables["AWS_REGION"], credentials)
