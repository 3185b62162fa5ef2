"""Steps, and parts of steps, made of the adapters in `wiring`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagegate import wiring
from imagegate.settings import setting

# Imported where they are used, as in `wiring`.
if TYPE_CHECKING:
    from imagegate.policy.policy import Policy
    from imagegate.workflow.announce import AnnounceRelease
    from imagegate.workflow.await_scan import ScanCompleted
    from imagegate.workflow.examination.examine import ExamineImage
    from imagegate.workflow.settings.compare import CompareSettings
    from imagegate.workflow.settings.drift import WatchSettings
    from imagegate.workflow.stopped import ResumeStopped
    from imagegate.workflow.watch.export_risks import ExportRisks


def examination(**times: Any) -> ExamineImage:
    """Return what examines images. `times`: of its waits, if they are not the usual ones."""
    from imagegate.workflow.examination.examine import ExamineImage

    return ExamineImage(
        images=wiring.images(),
        scans=wiring.scans(),
        ledger=wiring.ledger(),
        records=wiring.records(),
        grants=wiring.grants(),
        registry=wiring.registry,
        signer=wiring.signer,
        intelligence=wiring.intelligence,
        versions=wiring.versions(),
        **times,
    )


def announcing() -> AnnounceRelease:
    """Return what closes releases and announces how they ended."""
    from imagegate.workflow.announce import AnnounceRelease

    return AnnounceRelease(
        ledger=wiring.ledger(),
        records=wiring.records(),
        notifications=wiring.notifications(),
        links=wiring.approval_links,
        mails=wiring.approval_mails,
        console=wiring.console(),
    )


def stopped() -> ResumeStopped:
    """Return what goes on with releases whose execution ended without an outcome."""
    from imagegate.workflow.stopped import ResumeStopped

    return ResumeStopped(
        ledger=wiring.ledger(),
        executions=wiring.workflow(),
        starter=wiring.starter(),
        announcing=announcing(),
    )


def scan_completed() -> ScanCompleted:
    from imagegate.workflow.await_scan import ScanCompleted

    return ScanCompleted(
        scans=wiring.scans(), ledger=wiring.ledger(), tasks=wiring.tasks(), starter=wiring.starter()
    )


def risk_export() -> ExportRisks:
    """Return what keeps the findings in AWS Security Hub."""
    from imagegate.aws.security_hub import AwsSecurityHub
    from imagegate.notices.risk.security_finding import SecurityFindingFormat
    from imagegate.workflow.watch.export_risks import ExportRisks

    findings = SecurityFindingFormat(setting("SECURITY_HUB_PRODUCT"))
    return ExportRisks(AwsSecurityHub(), findings, wiring.policy())


def settings_comparison(policy: Policy) -> CompareSettings:
    """Return what compares repositories and the registry with the baseline of a policy."""
    from imagegate.aws.ecr.settings import EcrSettings
    from imagegate.workflow.settings.compare import CompareSettings

    return CompareSettings(policy, wiring.baseline(policy.digest), wiring.gate_registry(), EcrSettings())


def settings_watch() -> WatchSettings:
    """Return what watches the settings for drift from the deployed baseline."""
    from imagegate.workflow.settings.drift import WatchSettings

    return WatchSettings(
        compare=settings_comparison(wiring.policy()),
        ledger=wiring.ledger(),
        notifications=wiring.notifications(),
    )
