"""S3: moto evaluates bucket policies itself, without their conditions or the caller, and denies too much.

The `iam` package evaluates them instead, with all other permissions.
"""

from __future__ import annotations

from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from sandbox.aws.patching import Patches
from sandbox.settings import Settings

_patches = Patches()


def _permission(_bucket: FakeBucket, _action: str, _resource: str) -> Any:
    return PermissionResult.NEUTRAL


def install(_settings: Settings) -> None:
    _patches.set(FakeBucket, "get_permission", _permission)


def stop() -> None:
    _patches.undo()
