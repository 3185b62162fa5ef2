"""A report of the audit with findings of every severity and state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import AdvisedRemedy, AuditedResource, AuditFinding, FindingState, ResourceKind
from imagegate.audit.report import AuditReport, CheckPassed, NotAssessed, part_of
from imagegate.oci.image import Digest
from tests.fakes import NOW, POLICY

ACCOUNT, REGION = "123456789012", "eu-central-1"


def resource(repository: str, digest: Digest | None = None, tag: str | None = None) -> AuditedResource:
    """Return a repository, or an image in it."""
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"
    if digest is None:
        return AuditedResource(ResourceKind.REPOSITORY, arn, repository, stage="production")
    return AuditedResource(ResourceKind.IMAGE, f"{arn}/{digest}", repository, str(digest), tag, "production")


def audit_finding(check: str, about: AuditedResource, **more: Any) -> AuditFinding:
    """Return a finding with all parts that are not given."""
    given = {
        "detail": f"{about.name} is not as it should be",
        "remedy": AdvisedRemedy("Give it the settings of the baseline", "imagegate baseline apply"),
        "first_seen": NOW - timedelta(days=9),
        "owner": "team-shop",
        "state": FindingState.OPEN,
        **more,
    }
    return AuditFinding(check=CATALOGUE[check], resource=about, **given)


def audit_report() -> AuditReport:
    """Return the report."""
    image = resource("shop-production", Digest.of(b"image"), "1.4")
    shop, cart, old = map(resource, ("shop-production", "cart-production", "old-tools"))
    findings = [
        audit_finding(
            "image-revoked",
            image,
            detail="its signature was revoked on 2026-11-20 by ann: the key of its build leaked",
            evidence=(str(Digest.of(b"record")),),
            remedy=AdvisedRemedy("Roll back", 'imagegate rollback shop production --reason "…"'),
            first_seen=NOW,
            state=FindingState.NEW,
        ),
        audit_finding("repository-push-open", shop, detail="role/ci may push: ecr:PutImage"),
        audit_finding("repository-tags-mutable", shop),
        audit_finding("repository-tags-mutable", cart, owner="team-cart"),
        audit_finding("repository-lifecycle-missing", old, owner=None),
        audit_finding("cost-leftovers", old, owner=None, detail="41 images of 12.0 GB"),
        audit_finding(
            "image-old",
            image,
            state=FindingState.WAIVED,
            waiver="w-0123456789ab",
            waived_until=(NOW + timedelta(days=20)).date(),
            waiver_reason="rebuilt in December",
        ),
        audit_finding(
            "repository-scan-off", cart, owner="team-cart", state=FindingState.RESOLVED, resolved_at=NOW
        ),
    ]
    unread = NotAssessed(CATALOGUE["access-endpoint"], resource("shop-production"), "ec2 refuses to answer")
    passed = [CheckPassed(CATALOGUE["repository-public"]) for _ in range(3)]
    results = part_of([*findings, unread, *passed], repositories=3, images=57)
    return AuditReport(
        taken_at=NOW, account=ACCOUNT, region=REGION, policy=str(POLICY.digest), results=results
    )
