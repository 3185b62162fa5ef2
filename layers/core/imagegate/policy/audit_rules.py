"""The policy's part of the audit: its limits, and the checks that a waiver can name beside the rules of the gate.

A test compares the checks with the catalogue of the audit, which is above the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class AuditLimits:
    """The limits of what a repository stores. An older image or a larger repository is a finding of the audit."""

    max_age: timedelta = timedelta(days=90)
    max_repository_size: int = 100 * 1024**3  # bytes, compressed


AUDIT = "audit."  # before the id of a check
_REPOSITORY = (
    "repository-scan-off",
    "repository-scan-frequency",
    "repository-tags-mutable",
    "repository-encryption",
    "repository-lifecycle-missing",
    "repository-lifecycle-idle",
    "repository-lifecycle-different",
    "repository-public",
    "repository-policy-wildcard",
    "repository-foreign-account",
    "repository-writers",
    "repository-push-open",
    "repository-tags-missing",
    "repository-ungated",
)
_REGISTRY = (
    "registry-scan-type",
    "registry-residency",
    "registry-replication-account",
    "registry-policy",
    "registry-settings",
)
_IMAGE = (
    "image-scan-missing",
    "image-scan-stale",
    "image-not-passing",
    "image-unsigned",
    "image-unrecorded",
    "image-provenance-missing",
    "image-base-foreign",
    "image-package-prohibited",
    "image-old",
    "image-labels-missing",
    "image-runs-ungated",
    "image-runs-foreign",
    "image-waiver-expired",
    "image-break-glass",
    "image-evidence-missing",
    "image-revoked",
)
_CONTENTS = (
    "repository-images-old",
    "repository-too-large",
    "cost-leftovers",
    "cost-cleanup",
    "cost-scanning",
)
_ACCESS = (
    "access-push",
    "access-sign",
    "access-delete",
    "access-pull",
    "access-root-mfa",
    "access-user-mfa",
    "access-trail",
    "access-endpoint",
)
AUDITED = tuple(AUDIT + name for name in (*_REPOSITORY, *_REGISTRY, *_IMAGE, *_CONTENTS, *_ACCESS))
