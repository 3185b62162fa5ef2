"""Each kind of mail beside the endings of releases: kept as a whole, and whatever comes, one that SNS takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import AdvisedRemedy, AuditedResource, AuditFinding, FindingState, ResourceKind
from imagegate.audit.report import AuditReport, CheckOutcome, NotAssessed, part_of
from imagegate.baseline.drift import SettingDrift, SettingsCall, SubjectDrift
from imagegate.cleanup.savings import Savings
from imagegate.deployment.check import DeploymentRule, DeploymentRuling
from imagegate.deployment.rollback import Rollback
from imagegate.grants.approval import Approval, ApprovalRequest, Choice
from imagegate.grants.break_glass import BreakGlass
from imagegate.notices import grant_notice, rollback_notice
from imagegate.notices.approval import mail as approval_mail
from imagegate.notices.approval import notice as approval_notice
from imagegate.notices.deletion_notice import image_deleted
from imagegate.notices.deployment_notice import (
    OnError,
    RunningTask,
    ServiceRevision,
    Workload,
    of_deployment,
    of_task,
    unchecked,
)
from imagegate.notices.governance.audit import audit_notice
from imagegate.notices.governance.cleanup import scheduled_cleanup
from imagegate.notices.governance.drift import settings_differ
from imagegate.notices.message import Message, as_sns_message, event_detail
from imagegate.notices.notice import not_reconciled, waiver_ending
from imagegate.notices.risk.notice import many_risks, risk_began, risk_ended
from imagegate.oci.image import ImageRef
from imagegate.oci.reference import Container
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.waiver import Waiver
from imagegate.release.revocation import Revocation, RunsIn
from imagegate.risk.risk import RiskState
from imagegate.text import one_line
from tests.unit.samples import NOON, REGISTRY, digest, release, stage
from tests.unit.test_risk_notice import RISK

MAILS = Path(__file__).parent / "mails"
ANN = "arn:aws:iam::123456789012:user/ann"
CLUSTER = "arn:aws:ecs:eu-central-1:123456789012:cluster/production"


def messages(
    text: str = "not reachable in our setup", tag: str = "1.0", name: str = "shop/api-dev"
) -> dict[str, Message]:
    """Return one message of each kind. `text`: a reason of a person, `tag` and `name`: of the image."""
    image = ImageRef(name, digest())
    held = release(image=image, tags=frozenset({tag}))
    terms = ApprovalTerms(approvers=(ANN,), by_mail=("ann@example.com",))
    request = ApprovalRequest(held.id, "staging", held.policy, terms, NOON)
    waiver = Waiver(
        owner="ann@example.com",
        reason=text,
        expires=NOON.date() + timedelta(days=3),
        vulnerability="CVE-2026-1",
        package="openssl",
        repositories=name,
    )
    glass = BreakGlass(name, digest(), text, NOON + timedelta(days=1), NOON, ANN)
    risk = replace(RISK, image=image, tags=(tag,), runs=(RunsIn(CLUSTER, 4, service="service:api"),))
    revoked = grant_notice.signature_revoked(
        image, Revocation(NOON, ANN, text), stages=["dev"], places=[image], runs_in=risk.runs, earlier=[image]
    )
    rejection = Approval(held.id, "staging", held.policy, Choice.REJECT, ANN, NOON, text)
    return {
        **governance(text, tag, name),
        **deployments(text, tag, name),
        "waiver-ending": waiver_ending(waiver, NOON),
        "not-reconciled": not_reconciled({name: f"AccessDeniedException: {text}"}, NOON),
        "glass-broken": grant_notice.glass_broken(glass),
        "glass-ending": grant_notice.glass_ending(glass),
        "glass-ended": grant_notice.glass_ended(glass),
        "glass-withdrawn": grant_notice.glass_withdrawn(glass, ANN),
        "revoked": revoked,
        "at-risk": risk_began(risk, is_loud=True),
        "not-watched": risk_began(
            replace(risk, state=RiskState.NOT_WATCHED, findings=(), why=(text,)), is_loud=True
        ),
        "risk-over": risk_ended(risk, "would pass its gate now", NOON, is_loud=True),
        "many-at-risk": many_risks([risk] * 3, 1, NOON),
        "rejected": approval_notice.rejected(held, request, rejection),
        "signature-ending": grant_notice.signature_ending(image, NOON + timedelta(days=20), is_loud=True),
        "approval-ending": approval_notice.ending(held, request),
        "approval-expired": approval_notice.expired(held, request),
        "approval-mail": next(
            approval_mail.mails(held, request, lambda link: f"https://example.com/{link.purpose}")
        ),
    }


def governance(text: str, tag: str, name: str) -> dict[str, Message]:
    """Return one message of each kind about the registry as a whole."""
    home = "arn:aws:ecr:eu-central-1:123456789012:repository/"
    repository = AuditedResource(ResourceKind.REPOSITORY, home + name, name, stage="dev")
    image = AuditedResource(ResourceKind.IMAGE, f"{home}{name}/{digest()}", name, str(digest()), tag, "dev")
    outcomes: list[CheckOutcome] = [
        AuditFinding(
            check=CATALOGUE["repository-public"],
            resource=repository,
            detail=text,
            remedy=AdvisedRemedy("remove the statement", "imagegate baseline apply shop/api-dev"),
            owner="payments",
        ),
        AuditFinding(
            check=CATALOGUE["image-old"],
            resource=image,
            detail=text,
            remedy=AdvisedRemedy("build it again from a base of today"),
            state=FindingState.OPEN,
        ),
        NotAssessed(CATALOGUE["access-trail"], image, text),
    ]
    report = AuditReport(
        taken_at=NOON,
        account="123456789012",
        region="eu-central-1",
        results=part_of(outcomes, repositories=1, images=2),
    )
    saved = Savings(images=12, deleted=5, archived=1, bytes_before=9 << 30, bytes_after=4 << 30)
    done = f"5 deleted, 1 archived, 0 left; plan {digest()}"
    setting = SettingDrift("tag mutability", f"is MUTABLE, {text}", "known")
    call = SettingsCall(name, "PutImageTagMutability", ANN, "203.0.113.7", NOON)
    found = SubjectDrift(name, (setting,), fault=f"AccessDeniedException: {text}")
    back = [SubjectDrift(one, (setting,), is_restored=True) for one in (name, "other")]
    return {
        "audit": audit_notice(report),
        "cleanup-planned": scheduled_cleanup({name: str(saved)}, [text], saved, digest(), NOON, planned=1),
        "cleaned-up": scheduled_cleanup({name: done}, [], saved, None, NOON, planned=0),
        "drift": settings_differ([found], call, NOON),
        "put-back": settings_differ(back, None, NOON),
    }


def deployments(text: str, tag: str, name: str) -> dict[str, Message]:
    """Return one message of each kind about deployments, deleted images and rollbacks."""
    image = ImageRef(name, digest())
    gone = release(image=image, tags=frozenset({tag}))
    workload = Workload("production", "service:api")
    revision = ServiceRevision(
        workload, "arn:aws:ecs:eu-central-1:123456789012:service-revision/1", "arn:deployment"
    )
    container = Container("api", f"{REGISTRY}/{name}:{tag}", digest())
    ruling = DeploymentRuling(container, DeploymentRule.REFUSED, text, (text,), image, stage())
    task = RunningTask(
        workload, "arn:aws:ecs:eu-central-1:123456789012:task/1", "arn:definition", (container,)
    )
    back = Rollback(name, digest(), digest("later"), ANN, NOON, text)
    return {
        "deployment-refused": of_deployment(revision, ruling).announcement,
        "runs-ungated": of_task(task, ruling).announcement,
        "deployment-unchecked": unchecked(revision, text, OnError.CLOSED).announcement,
        "deleted": image_deleted(gone, stage(), ["shop/api-build"], is_current=True),
        "rolled-back": rollback_notice.announcement(gone, back),
    }


@pytest.mark.parametrize("kind", messages())
def test_a_mail_of_each_kind_reads_as_it_is_kept(kind: str) -> None:
    """Changed words show in the whole mail. To write the files anew, delete them and run this twice."""
    message, file = messages()[kind], MAILS / f"{kind}.txt"
    mail = f"Subject: {message.subject}\n\n{message.text}"
    if not file.exists():
        file.write_text(mail)
        pytest.fail(f"{file} was written: read it")
    assert mail == file.read_text()


@given(st.text(max_size=150), st.text(max_size=150), st.text(max_size=150).filter(one_line))
def test_whatever_things_are_called_a_subject_is_one_that_sns_takes(text: str, tag: str, name: str) -> None:
    for message in messages(text, tag, name).values():
        assert 1 <= len(message.subject) < 100
        assert all(" " <= character <= "~" for character in message.subject)
        assert all(line.isprintable() for line in message.lines)
        assert all(message.attributes.values())


@pytest.mark.parametrize("character", ["x", "\u00fc", "\U0001f600", '"', "\u202e"], ids=ascii)
def test_the_worst_message_of_each_kind_fits(character: str) -> None:
    """Tags and reasons of 4 KB, whatever they are written in; EventBridge and SNS take 256 KiB."""
    for kind, message in messages(character * 4096, character * 4096, "r" * 256).items():
        assert len(as_sns_message(message).encode()) < 250_000, kind
        assert len(str(event_detail(message)).encode()) < 250_000, kind
