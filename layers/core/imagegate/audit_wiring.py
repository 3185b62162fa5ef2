"""The scheduled audit with its adapters, made from the function's settings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from time import sleep
from typing import TYPE_CHECKING

from imagegate import function_settings, wiring
from imagegate.audit.account import guarded_places
from imagegate.audit.image import AuditTerms
from imagegate.aws.audit.account import AwsAccount
from imagegate.aws.audit.reports import S3AuditReports
from imagegate.aws.audit.runs import S3AuditRuns
from imagegate.aws.audit.settings import EcrAuditSettings
from imagegate.aws.cleanup.images import EcrStoredImages
from imagegate.aws.cleanup.users import AwsImageUsers
from imagegate.aws.dynamodb import DynamoTable
from imagegate.aws.ecr.scans import EcrScans
from imagegate.aws.inspector import Inspector
from imagegate.aws.ledger.cleaned import DynamoCleanedImages
from imagegate.cleanup.usage import UsedImages
from imagegate.ports.audit_runs import RunningNames
from imagegate.settings import setting
from imagegate.workflow.audit.images import AuditImages
from imagegate.workflow.audit.sboms import ReadSboms
from imagegate.workflow.audit.scheduled import ScheduledAudit
from imagegate.workflow.audit.settings import AuditSettings
from imagegate.workflow.audit.walk import AuditRepositories
from imagegate.workflow.cleanup.inventory import ReadInventory
from imagegate.workflow.cleanup.parts import CleanupParts
from imagegate.workflow.cleanup.scheduled import ScheduledCleanup

if TYPE_CHECKING:
    from imagegate.audit.account import AccountFacts
    from imagegate.baseline.repository_policy import GateRegistry


def scheduled_audit() -> ScheduledAudit:
    """Return the steps of the audit."""
    host, bucket, registry = setting("REGISTRY"), setting("RECORDS_BUCKET"), wiring.gate_registry()
    settings = AuditSettings(
        settings=EcrAuditSettings(),
        images=EcrStoredImages(host),
        policy=wiring.policy(),
        baseline=wiring.baseline(wiring.policy().digest),
        registry=registry,
    )
    return ScheduledAudit(
        runs=S3AuditRuns(bucket),
        reports=S3AuditReports(bucket),
        settings=settings,
        registry=registry,
        policy=wiring.policy(),
        walk=lambda running: _walk(settings, running, wiring.now()),
        running=_read_running,
        waivers=wiring.grants().waivers,
        notifications=wiring.notifications(),
        account=lambda names: _read_account(names, registry),
        allowed=function_settings.allowed_images(),
    )


def _read_account(names: Sequence[str], registry: GateRegistry) -> AccountFacts:
    signers = [role for role in registry.gate_roles if role.endswith(f"/{setting('SIGN_ROLE')}")]
    profile_of = wiring.signer().profile_arn
    places = guarded_places(names, wiring.policy(), registry, profile_of, signers)
    return AwsAccount(sleep).facts(list(places))


def scheduled_cleanup() -> ScheduledCleanup:
    """Return the scheduled clean-up."""
    images, ledger = EcrStoredImages(setting("REGISTRY")), wiring.ledger()
    parts = CleanupParts(
        images=images,
        users=AwsImageUsers(setting("REGISTRY")),
        ledger=ledger,
        cleaned=DynamoCleanedImages(DynamoTable(setting("LEDGER_TABLE"))),
        records=wiring.records(),
        scans=EcrScans(images),
        usage=Inspector(),
        policy=wiring.policy(),
        installed_at=ledger.installation(),
    )
    may_apply = setting("SCHEDULED_CLEANUP") == "apply"
    return ScheduledCleanup(
        parts=parts, turns=ledger, notifications=wiring.notifications(), may_apply=may_apply
    )


def _read_running() -> RunningNames:
    named, clusters = AwsImageUsers(setting("REGISTRY")).running()
    return RunningNames(tuple(named), tuple(clusters))


def _walk(settings: AuditSettings, running: RunningNames, now: datetime) -> AuditRepositories:
    from imagegate.findings.versions import VERSIONS

    policy, registry = wiring.policy(), settings.registry
    home = f"arn:{registry.partition}:ecr:{registry.region}:{registry.account}:repository/"
    stored = EcrStoredImages(setting("REGISTRY"))
    cleaned = DynamoCleanedImages(DynamoTable(setting("LEDGER_TABLE")))
    images = AuditImages(
        inventory=ReadInventory(stored, cleaned, wiring.records()),
        ledger=wiring.ledger(),
        records=wiring.records(),
        policy=policy,
        running=UsedImages.read(setting("REGISTRY"), running.named, running.clusters),
        terms=AuditTerms.of(policy, wiring.grants().waivers(), now),
        home=home,
        sboms=ReadSboms(wiring.registry),
        is_continuous=EcrScans(stored).is_continuous,
        satisfies=VERSIONS.satisfies,
    )
    return AuditRepositories(
        auditors=[settings, images], policy=policy, home=home, workers=wiring.workers(), sleep=sleep
    )
