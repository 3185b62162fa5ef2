"""S3: moto reads a bucket policy without its conditions, so that "deny what is not TLS" would deny everything."""

from __future__ import annotations

import json
from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from sandbox.aws.policies import is_permitted
from sandbox.settings import Settings

_ALLOW_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
# Loopback stands for TLS.
_CONTEXT = {"aws:SecureTransport": "true"}


def _permission(self: FakeBucket, action: str, resource: str) -> PermissionResult:
    """Only what is denied to everyone: callers' own permissions are checked before."""
    if self.policy is None:
        return PermissionResult.NEUTRAL
    statements: Any = json.loads(self.policy)["Statement"]
    denials = [
        statement
        for statement in (statements if isinstance(statements, list) else [statements])
        if statement["Effect"] == "Deny" and statement.get("Principal") in ("*", {"AWS": "*"})
    ]
    if is_permitted([_ALLOW_ALL, *denials], action, resource, _CONTEXT):
        return PermissionResult.NEUTRAL
    return PermissionResult.DENIED


def install(_settings: Settings) -> None:
    FakeBucket.get_permission = _permission
