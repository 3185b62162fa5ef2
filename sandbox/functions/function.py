"""A deployed function, its invocation, and the result."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class DeployedArchive:
    """One deployed zip file."""

    sha256: str
    content: bytes = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Function:
    """One version of a function, with everything that its processes need."""

    name: str
    version: str  # "$LATEST" or a number
    arn: str
    role: str
    handler: str
    runtime: str
    timeout: float  # seconds
    memory: int  # MB
    variables: Mapping[str, str]
    code: DeployedArchive
    layers: tuple[DeployedArchive, ...]
    log_group: str
    log_format: str = "Text"
    retries: int = 2  # of an asynchronous invocation
    on_failure: str | None = None  # ARN of the failure destination

    @property
    def identity(self) -> str:
        """Functions with equal identity can share a process."""
        shas = [archive.sha256 for archive in (self.code, *self.layers)]
        return json.dumps([self.arn, self.role, self.handler, self.timeout, dict(self.variables), shas])


@dataclass(frozen=True, slots=True)
class Invocation:
    payload: bytes
    arn: str  # as invoked, with the qualifier
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """The result; `error` is the type of the error, and the payload then has AWS's error form."""

    payload: bytes
    error: str | None = None

    @classmethod
    def failure(cls, error: str, message: str) -> InvocationResult:
        body = {"errorType": error, "errorMessage": message}
        return cls(json.dumps(body).encode(), error)

    def decoded(self) -> Any:
        try:
            return json.loads(self.payload)
        except ValueError:
            return self.payload.decode(errors="replace")
