"""The catalogue of the audit: what each check looks for, how bad it is, and what it is about.

The id of a check never changes its meaning: earlier reports, waivers and the mapping to controls name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from imagegate.policy import rules


class CheckSeverity(StrEnum):
    """The severities of checks, the gravest first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(CheckSeverity).index(self)


class AuditSubject(StrEnum):
    """The kinds of things that a check is about."""

    REPOSITORY = "repository"
    IMAGE = "image"
    REGISTRY = "registry"
    ACCESS = "access"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """One check.

    `rule`: the rule of the gate that says the same, if it is waived as a whole; a waiver of it counts here, too.
    """

    id: str
    title: str  # the fault, as a sentence: it is the headline of each finding
    severity: CheckSeverity
    subject: AuditSubject
    rule: str | None = None


_CRITICAL, _HIGH, _MEDIUM, _LOW, _INFO = CheckSeverity
_REPOSITORY, _IMAGE, _REGISTRY, _ACCESS, _COST = AuditSubject

_REPOSITORY_CHECKS = (
    AuditCheck("repository-scan-off", "Pushed images are not scanned", _HIGH, _REPOSITORY),
    AuditCheck(
        "repository-scan-frequency", "Images are not scanned as the baseline says", _MEDIUM, _REPOSITORY
    ),
    AuditCheck("repository-tags-mutable", "Tags can be moved to another image", _MEDIUM, _REPOSITORY),
    AuditCheck(
        "repository-encryption", "The repository is not encrypted as the baseline says", _MEDIUM, _REPOSITORY
    ),
    AuditCheck("repository-lifecycle-missing", "There is no lifecycle policy", _MEDIUM, _REPOSITORY),
    AuditCheck(
        "repository-lifecycle-idle", "A rule of the lifecycle policy selects no image", _LOW, _REPOSITORY
    ),
    AuditCheck(
        "repository-lifecycle-different",
        "The lifecycle policy is not that of the baseline",
        _LOW,
        _REPOSITORY,
    ),
    AuditCheck("repository-public", "Everybody with an AWS account has access", _CRITICAL, _REPOSITORY),
    AuditCheck(
        "repository-policy-wildcard", "A statement allows every action of Amazon ECR", _HIGH, _REPOSITORY
    ),
    AuditCheck(
        "repository-foreign-account",
        "Another account has access that the baseline does not give",
        _HIGH,
        _REPOSITORY,
    ),
    AuditCheck("repository-writers", "Others may push or delete than the baseline says", _HIGH, _REPOSITORY),
    AuditCheck(
        "repository-push-open", "Images can be pushed past the gates of earlier stages", _HIGH, _REPOSITORY
    ),
    AuditCheck("repository-tags-missing", "Tags of the baseline are missing", _LOW, _REPOSITORY),
    AuditCheck("repository-ungated", "No stage of the policy covers the repository", _LOW, _REPOSITORY),
)
_REGISTRY_CHECKS = (
    AuditCheck("registry-scan-type", "The registry does not scan as the policy expects", _HIGH, _REGISTRY),
    AuditCheck("registry-residency", "Images are copied to a Region that is not allowed", _HIGH, _REGISTRY),
    AuditCheck(
        "registry-replication-account",
        "Images are copied to an account that the baseline does not name",
        _HIGH,
        _REGISTRY,
    ),
    AuditCheck(
        "registry-policy", "The registry policy lets others in than the baseline says", _HIGH, _REGISTRY
    ),
    AuditCheck(
        "registry-settings", "Settings of the registry are not those of the baseline", _MEDIUM, _REGISTRY
    ),
)
_IMAGE_CHECKS = (
    AuditCheck("image-scan-missing", "The image was never scanned", _HIGH, _IMAGE),
    AuditCheck("image-scan-stale", "The last scan is too old", _MEDIUM, _IMAGE),
    AuditCheck("image-not-passing", "The image would not pass its gate today", _HIGH, _IMAGE),
    AuditCheck("image-unsigned", "The image has no signature of its gate", _HIGH, _IMAGE, rules.SIGNATURE),
    AuditCheck("image-unrecorded", "No record proves that the image was released rightly", _HIGH, _IMAGE),
    AuditCheck(
        "image-provenance-missing", "Nothing proves how it was built", _MEDIUM, _IMAGE, rules.PROVENANCE
    ),
    AuditCheck("image-base-foreign", "The base image is not an allowed one", _MEDIUM, _IMAGE, rules.BASE),
    AuditCheck(
        "image-package-prohibited",
        "The image has a package that the policy prohibits",
        _HIGH,
        _IMAGE,
    ),
    AuditCheck("image-old", "The image is too old", _MEDIUM, _IMAGE, rules.AGE),
    AuditCheck("image-labels-missing", "Required labels are missing", _LOW, _IMAGE, rules.LABELS),
    AuditCheck("image-runs-ungated", "An image runs that did not pass its gate", _HIGH, _IMAGE),
    AuditCheck("image-runs-foreign", "An image runs that comes from another registry", _HIGH, _IMAGE),
    AuditCheck("image-waiver-expired", "The image relies on a waiver that has expired", _HIGH, _IMAGE),
    AuditCheck("image-break-glass", "The image was let through by break-glass", _MEDIUM, _IMAGE),
    AuditCheck("image-evidence-missing", "Evidence of the release is gone", _MEDIUM, _IMAGE),
    AuditCheck(
        "image-revoked",
        "The image runs or is the current one, although its signature is revoked",
        _CRITICAL,
        _IMAGE,
    ),
)
_CONTENT_CHECKS = (
    AuditCheck("repository-images-old", "Images that nobody uses are too old", _MEDIUM, _REPOSITORY),
    AuditCheck("repository-too-large", "The repository stores too much", _MEDIUM, _REPOSITORY),
    AuditCheck("cost-leftovers", "Untagged images are part of nothing", _LOW, _COST),
    AuditCheck("cost-cleanup", "The clean-up of the policy would save storage", _LOW, _COST),
    AuditCheck("cost-scanning", "Images that nobody uses are scanned again and again", _INFO, _COST),
)
_ACCESS_CHECKS = (
    AuditCheck(
        "access-push", "Others than the gate may push into a stage that only it fills", _HIGH, _ACCESS
    ),
    AuditCheck("access-sign", "Others than the gate may sign with its profiles", _CRITICAL, _ACCESS),
    AuditCheck("access-delete", "Many may delete images of the last stage", _MEDIUM, _ACCESS),
    AuditCheck("access-pull", "Many may pull images of the last stage", _INFO, _ACCESS),
    AuditCheck("access-root-mfa", "The root user has no MFA", _CRITICAL, _ACCESS),
    AuditCheck("access-user-mfa", "A user with a password has no MFA", _HIGH, _ACCESS),
    AuditCheck("access-trail", "No trail records who does what", _HIGH, _ACCESS),
    AuditCheck("access-endpoint", "No VPC endpoint leads to the registry", _INFO, _ACCESS),
)

CATALOGUE: Mapping[str, AuditCheck] = {
    one.id: one
    for one in (
        *_REPOSITORY_CHECKS,
        *_REGISTRY_CHECKS,
        *_IMAGE_CHECKS,
        *_CONTENT_CHECKS,
        *_ACCESS_CHECKS,
    )
}
