"""The parts of the sandbox that know each other only through functions are connected here."""

from __future__ import annotations

from typing import Any

from sandbox.aws.ecr import (
    ages,  # noqa: F401 - registers its page
    managed_signing,
)
from sandbox.aws.events import rules
from sandbox.aws.iam import principals
from sandbox.registry.manifests import StoredManifest
from sandbox.registry.store import Hooks
from sandbox.scanner import (
    rescan_api,  # noqa: F401 - registers its page
    scans,
)


def registry_hooks() -> Hooks:
    """Return the functions of IAM, EventBridge, the scanner and Signer that the registry calls."""
    return Hooks(
        rules.emit,
        principals.is_allowed,
        principals.principal_arn,
        principals.may_role,
        _scan_and_sign,
    )


def _scan_and_sign(repo: Any, image: Any, manifest: StoredManifest, caller: str) -> None:
    scans.scan_on_push(repo, image, manifest)
    if caller:
        managed_signing.sign_push(repo, manifest, caller)
