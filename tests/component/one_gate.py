"""One gate with its fakes: each method is one call of one function."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from imagegate.events.decisions import DecisionModel
from imagegate.findings.finding import Finding
from imagegate.findings.scan import WaitOutcome
from imagegate.findings.versions import VERSIONS
from imagegate.oci.image import OCI_INDEX, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.policy import Policy
from imagegate.release.release import Outcome, Release, ReleaseId
from imagegate.release.start import Ignore, Push
from imagegate.workflow.announce import AnnounceRelease, AnnounceRoute
from imagegate.workflow.await_scan import AwaitScan, ScanCompleted
from imagegate.workflow.decide.approve import DecideApproval
from imagegate.workflow.decide.break_glass import GrantBreakGlass
from imagegate.workflow.decide.carry_out import CarryOutDecision
from imagegate.workflow.decide.order import OrderRelease
from imagegate.workflow.decide.revoke import RevokeSignatures
from imagegate.workflow.decide.rollback import PlanRollback, RollBack
from imagegate.workflow.decide.waive import GrantWaiver
from imagegate.workflow.examination.examine import ExamineImage
from imagegate.workflow.judge import JudgeImage, JudgeResult
from imagegate.workflow.promote import PromoteImage, PromoteResult
from imagegate.workflow.reasons import CheckReason
from imagegate.workflow.sign import SignImage, SignResult
from imagegate.workflow.start import StartRelease
from imagegate.workflow.stopped import ResumeStopped
from imagegate.workflow.watch.reconcile import Reconcile, Reconciled
from imagegate.workflow.watch.sweep import Workers
from tests.fakes import (
    DEV,
    LATER,
    NOW,
    POLICY,
    FakeApprovalLinks,
    FakeGrants,
    FakeIntelligence,
    FakeLedger,
    FakeNotifications,
    FakePeople,
    FakeRecords,
    FakeRegistry,
    FakeScans,
    FakeSigner,
    FakeStarter,
    FakeUsage,
    FakeWorkflow,
    InTurn,
)


@dataclass
class World:
    """One gate with its fakes; each method is one call of one function."""

    registry: FakeRegistry = field(default_factory=FakeRegistry)
    elsewhere: FakeRegistry = field(default_factory=FakeRegistry)  # of another account
    scans: FakeScans = field(default_factory=FakeScans)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    records: FakeRecords = field(default_factory=FakeRecords)
    grants: FakeGrants = field(default_factory=FakeGrants)
    intelligence: FakeIntelligence = field(default_factory=FakeIntelligence)
    signer: FakeSigner = field(default_factory=FakeSigner)
    links: FakeApprovalLinks = field(default_factory=FakeApprovalLinks)
    mails: FakeNotifications = field(default_factory=FakeNotifications)
    people: FakePeople = field(default_factory=FakePeople)
    usage: FakeUsage = field(default_factory=FakeUsage)
    workflow: FakeWorkflow = field(default_factory=FakeWorkflow)
    starter: FakeStarter = field(default_factory=FakeStarter)
    notifications: FakeNotifications = field(default_factory=FakeNotifications)
    policy: Policy = POLICY
    canary: str = ""

    def starting(self) -> StartRelease:
        return StartRelease(
            images=self.registry,
            ledger=self.ledger,
            workflow=self.workflow,
            records=self.records,
            policy=self.policy,
            installed_at=NOW - timedelta(days=1),
            registry=lambda: self.registry,
        )

    def __post_init__(self) -> None:
        self.scans.registry = self.registry

    def start(
        self, image: ImageRef, tag: str | None = "1.0", result: str = "SUCCESS", at: datetime = NOW
    ) -> Release | Ignore:
        return self.starting().on_push(Push(image, at, result, tag), max(at, NOW))

    def wait(self, image: ImageRef, token: str = "token") -> WaitOutcome | None:
        step = AwaitScan(images=self.registry, scans=self.scans, ledger=self.ledger, tasks=self.workflow)
        return step.register(ReleaseId(image, 1), token, NOW)

    def completed(self) -> ScanCompleted:
        return ScanCompleted(scans=self.scans, ledger=self.ledger, tasks=self.workflow, starter=self.starter)

    def reconcile(self, now: datetime = NOW) -> Reconciled:
        result = self.reconciling().run(now)
        assert result is not None
        return result

    def reconciling(self) -> Reconcile:
        return Reconcile(
            images=self.registry,
            ledger=self.ledger,
            completed=self.completed(),
            stopped=self.stopped(),
            grants=self.grants,
            records=self.records,
            notifications=self.notifications,
            policy=self.policy,
            installed_at=NOW - timedelta(days=1),
            versions=VERSIONS,
            workers=Workers(InTurn(), 4),
            stopwatch=lambda: lambda: 0.0,
            canary=self.canary,
        )

    def stopped(self) -> ResumeStopped:
        return ResumeStopped(
            ledger=self.ledger,
            executions=self.workflow,
            starter=self.starter,
            announcing=self.announcing(),
        )

    def judge(self, image: ImageRef, attempt: int = 1, now: datetime = NOW) -> JudgeResult:
        return self.judging().run(ReleaseId(image, attempt), now)

    def judging(self) -> JudgeImage:
        examine = ExamineImage(
            images=self.registry,
            scans=self.scans,
            ledger=self.ledger,
            records=self.records,
            grants=self.grants,
            registry=lambda: self.registry,
            signer=lambda: self.signer,
            intelligence=lambda: self.intelligence,
            versions=VERSIONS,
        )
        return JudgeImage(
            examine=examine,
            images=self.registry,
            ledger=self.ledger,
            records=self.records,
            grants=self.grants,
        )

    def sign(self, decision: Digest | None) -> SignResult:
        assert decision is not None
        step = SignImage(
            images=self.registry,
            ledger=self.ledger,
            records=self.records,
            registry=self.registry,
            signer=self.signer,
        )
        return step.run(decision, LATER)

    def promote(self, image: ImageRef, *, blobs: int = 1000) -> PromoteResult:
        left = iter([True] * blobs + [False] * 1000)
        return self.promoting().run(ReleaseId(image, 1), lambda: next(left), LATER)

    def promoting(self) -> PromoteImage:
        return PromoteImage(
            images=self.registry,
            ledger=self.ledger,
            records=self.records,
            registry=self.registry,
            signer=self.signer,
            grants=self.grants,
            registry_at=lambda _: self.elsewhere,
            new_repositories=lambda _: self.registry,
        )

    def announce(self, image: ImageRef, outcome: Outcome, fault: str = "") -> AnnounceRoute:
        return self.announcing().run(ReleaseId(image, 1), outcome, fault, LATER).route

    def announcing(self) -> AnnounceRelease:
        return AnnounceRelease(
            ledger=self.ledger,
            records=self.records,
            notifications=self.notifications,
            links=lambda: self.links,
            mails=lambda: self.mails,
        )

    # what people decide

    def decide(self, decision: DecisionModel, caller: str, now: datetime) -> dict[str, Any]:
        return self.deciding().run(decision.as_request(), caller, now)

    def deciding(self) -> CarryOutDecision:
        return CarryOutDecision(
            grants=self.grants,
            ledger=self.ledger,
            records=self.records,
            images=self.registry,
            starter=self.starter,
            notifications=self.notifications,
            policy=lambda: self.policy,
            registry=lambda: self.registry,
            signer=lambda: self.signer,
            usage=lambda: self.usage,
            people=lambda: self.people,
            links=lambda: self.links,
            versions=lambda: VERSIONS,
        )

    def waivers(self) -> GrantWaiver:
        return GrantWaiver(
            grants=self.grants,
            ledger=self.ledger,
            records=self.records,
            starter=self.starter,
            policy=self.policy,
            versions=VERSIONS,
        )

    def glass(self) -> GrantBreakGlass:
        return GrantBreakGlass(
            grants=self.grants, ledger=self.ledger, starter=self.starter, notifications=self.notifications
        )

    def revocations(self) -> RevokeSignatures:
        return RevokeSignatures(
            ledger=self.ledger,
            registry=lambda: self.registry,
            signer=lambda: self.signer,
            usage=self.usage,
            notifications=self.notifications,
            policy=self.policy,
        )

    def planning(self) -> PlanRollback:
        return PlanRollback(
            images=self.registry,
            ledger=self.ledger,
            registry=lambda: self.registry,
            signer=lambda: self.signer,
            policy=self.policy,
        )

    def rollbacks(self) -> RollBack:
        return RollBack(plan=self.planning(), ledger=self.ledger, notifications=self.notifications)

    def orders(self) -> OrderRelease:
        return OrderRelease(
            grants=self.grants,
            ledger=self.ledger,
            images=self.registry,
            starter=self.starter,
            policy=self.policy,
        )

    def reasons(self) -> CheckReason:
        return CheckReason(grants=self.grants, ledger=self.ledger, records=self.records, policy=self.policy)

    def approvals(self) -> DecideApproval:
        return DecideApproval(
            grants=self.grants,
            ledger=self.ledger,
            records=self.records,
            images=self.registry,
            starter=self.starter,
            people=self.people,
            notifications=self.notifications,
        )

    def judged(self, findings: list[Finding] | None = None, tag: str = "1.0") -> tuple[ImageRef, JudgeResult]:
        image = self.registry.push_image(DEV, tag)
        self.scans.finish(image, findings or [])
        self.start(image, tag)
        return image, self.judge(image)

    def index(
        self, *architectures: str, tag: str = "1.0", attestation: bool = False, note: str = ""
    ) -> tuple[ImageRef, list[ImageRef]]:
        """Push an index; return it and its platforms."""
        platforms = [
            self.registry.push_image(DEV, "", seed=architecture, architecture=architecture)
            for architecture in architectures
        ]
        entries = [
            {
                **self.registry.manifests[platform].descriptor.as_json(),
                "platform": {"os": "linux", "architecture": architecture},
                **({"annotations": {"note": note}} if note else {}),
            }
            for platform, architecture in zip(platforms, architectures, strict=True)
        ]
        if attestation:
            entries.append(attestation_entry(self.registry.push_attestation(DEV, platforms[0])))
        return self.push_index(entries, tag), platforms

    def push_index(self, entries: list[dict[str, Any]], tag: str) -> ImageRef:
        raw = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        index = Manifest.parse(json.dumps(raw).encode())
        self.registry.push_manifest(DEV, index, tag)
        return ImageRef(DEV, index.digest)

    def signed(self) -> ImageRef:
        image, judged = self.judged()
        self.sign(judged.decision)
        return image


def attestation_entry(manifest: Manifest) -> dict[str, Any]:
    """Return the index entry of an attestation, as buildx writes it."""
    assert manifest.subject
    return {
        **manifest.descriptor.as_json(),
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": str(manifest.subject.digest),
        },
    }
