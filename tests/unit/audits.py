"""Parts for tests of the audit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import AdvisedRemedy, AuditedResource, AuditFinding, ResourceKind
from imagegate.audit.report import AuditReport, CheckOutcome, part_of

ACCOUNT, REGION = "111122223333", "eu-central-1"
NOW = datetime(2026, 11, 29, 6, tzinfo=UTC)
_HOME = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/"


def a_repository(name: str = "shop-dev", stage: str | None = "dev") -> AuditedResource:
    return AuditedResource(ResourceKind.REPOSITORY, _HOME + name, name, stage=stage)


def an_image(repository: str = "shop-dev", fill: str = "a", tag: str | None = "1.0") -> AuditedResource:
    digest = "sha256:" + fill * 64
    arn = f"{_HOME}{repository}/{digest}"
    return AuditedResource(ResourceKind.IMAGE, arn, repository, digest, tag, "dev")


def the_registry() -> AuditedResource:
    return AuditedResource(ResourceKind.REGISTRY, f"arn:aws:ecr:{REGION}:{ACCOUNT}:registry")


def a_finding(
    check: str = "repository-scan-off", resource: AuditedResource | None = None, **more: Any
) -> AuditFinding:
    return AuditFinding(
        check=CATALOGUE[check],
        resource=resource or a_repository(),
        detail="it is off",
        remedy=AdvisedRemedy("switch it on", "imagegate baseline apply shop-dev"),
        **more,
    )


def a_report(*outcomes: CheckOutcome, at: datetime = NOW, scope: tuple[str, ...] = ()) -> AuditReport:
    part = part_of(outcomes, repositories=1, images=2, measures={"storageBytes": 3})
    return AuditReport(taken_at=at, account=ACCOUNT, region=REGION, results=part, scope=scope)
