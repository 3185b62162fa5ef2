"""The scheduled audit over S3: batches, lost ones, repeated steps, what runs, and the report after the one before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imagegate.audit.account import AccountFacts, WhoMay
from imagegate.audit.finding import FindingState
from imagegate.audit.report import AuditReport
from imagegate.aws.audit.reports import S3AuditReports
from imagegate.aws.audit.runs import S3AuditRuns
from imagegate.baseline.plan import FoundRepository
from imagegate.baseline.registry import FoundRegistry
from imagegate.baseline.repository_policy import GateRegistry
from imagegate.baseline.section import RegistryBaseline
from imagegate.baseline.terms import Encryption, TagMutability
from imagegate.cleanup.usage import UsedImages
from imagegate.errors import AccessRefusedError
from imagegate.findings.versions import VERSIONS
from imagegate.ports.audit import AuditedSettings, ReadRegistry, ReadRepository
from imagegate.ports.audit_runs import AuditBatch, AuditReports, AuditRuns, RunningNames
from imagegate.workflow.audit.images import AuditImages
from imagegate.workflow.audit.sboms import ReadSboms
from imagegate.workflow.audit.scheduled import A_BATCH, ScheduledAudit
from imagegate.workflow.audit.settings import AuditSettings
from imagegate.workflow.audit.walk import AuditRepositories
from imagegate.workflow.watch.sweep import Workers
from tests.component.auditing import A_DAY, HOME, Auditing
from tests.fakes import FakeNotifications, InTurn
from tests.fakes.world import NOW, POLICY, REGISTRY

ACCOUNT, REGION = REGISTRY.split(".")[0], REGISTRY.split(".")[3]
RUN = "run-1"
pytestmark = pytest.mark.usefixtures("aws_account")


@pytest.fixture(autouse=True)
def _bucket(aws_account: None) -> Iterator[None]:
    with mock_aws():
        s3: Any = boto3.client("s3")
        s3.create_bucket(Bucket="records")
        yield


@dataclass
class FakeSettings:
    """Repositories without lifecycle policies; those of `scanned` are scanned."""

    repositories: list[str]
    scanned: bool = True
    fault: Exception | None = None

    def names(self) -> Iterator[str]:
        yield from self.repositories

    def read_repository(self, name: str) -> ReadRepository | None:
        found = FoundRepository(
            name, HOME + name, TagMutability(True), self.scanned, Encryption("AES256", None), None, None, {}
        )
        return ReadRepository(found, "SCAN_ON_PUSH" if self.scanned else "MANUAL")

    def read_registry(self, **_needed: Any) -> ReadRegistry:
        if self.fault:
            raise self.fault
        return ReadRegistry(FoundRegistry({}, [], None, {}, {}))


@dataclass
class Scheduled:
    """A scheduled audit and its world."""

    settings: FakeSettings
    world: Auditing = field(default_factory=Auditing)
    running: RunningNames | Exception = field(default_factory=RunningNames)
    notifications: FakeNotifications = field(default_factory=FakeNotifications)
    account: AccountFacts = field(
        default_factory=lambda: AccountFacts(root_has_mfa=True, trails=["t"], endpoints=["e"])
    )

    @property
    def audit(self) -> ScheduledAudit:
        port: AuditedSettings = self.settings
        registry = GateRegistry(ACCOUNT, REGION, gate_roles=("arn:aws:iam::1:role/gate",))
        settings = AuditSettings(
            settings=port,
            images=self.world.images,
            policy=POLICY,
            baseline=RegistryBaseline(),
            registry=registry,
        )
        runs, reports = S3AuditRuns("records"), S3AuditReports("records")
        _runs: AuditRuns = runs
        _reports: AuditReports = reports

        def walk(running: RunningNames) -> AuditRepositories:
            images = AuditImages(
                inventory=self.world.parts.inventory,
                ledger=self.world.ledger,
                records=self.world.records,
                policy=POLICY,
                running=UsedImages.read(REGISTRY, running.named),
                terms=self.world.audit_terms,
                home=HOME,
                sboms=ReadSboms(lambda: self.world.registry),
                is_continuous=lambda _name: False,
                satisfies=VERSIONS.satisfies,
            )
            return AuditRepositories(
                auditors=[settings, images],
                policy=POLICY,
                home=HOME,
                workers=Workers(InTurn(), 2),
                sleep=lambda _seconds: None,
            )

        return ScheduledAudit(
            runs=runs,
            reports=reports,
            settings=settings,
            registry=registry,
            policy=POLICY,
            walk=walk,
            running=self._read_running,
            waivers=lambda: (),
            notifications=self.notifications,
            account=lambda _names: self.account,
            allowed=("public.ecr.aws/datadog",),
        )

    def _read_running(self) -> RunningNames:
        if isinstance(self.running, Exception):
            raise self.running
        return self.running

    def run(self, run: str = RUN, lost: int = 0, at: Any = NOW) -> AuditReport:
        """Run all steps; the batch with the number `lost` fails."""
        audit = self.audit
        audit.begin(run)
        for batch in audit.runs.batches(run):
            if batch.number != lost:
                audit.audit(run, batch)
        return audit.finish(run, at)


def scheduled(number: int = 23) -> Scheduled:
    names = [f"app{one:02}-dev" for one in range(number)]
    made = Scheduled(FakeSettings(names))
    for name in names:
        made.world.images.push(name, "a", "1.0", days=1)
    return made


def checks_of(report: AuditReport, repository: str) -> set[str]:
    return {one.check.id for one in report.findings if one.resource.repository == repository}


def test_every_repository_is_in_one_batch_and_in_the_report() -> None:
    made = scheduled()
    report = made.run()
    batches = S3AuditRuns("records").batches(RUN)
    assert [len(one.repositories) for one in batches] == [A_BATCH, A_BATCH, 3]
    assert report.results.repositories == report.results.images == 23
    assert report == S3AuditReports("records").latest()
    assert not any(one.resource.repository for one in report.results.not_assessed)


def test_a_batch_that_fails_costs_the_report_its_own_repositories_only() -> None:
    made = scheduled()
    report = made.run(lost=3)
    unread = {one.resource.repository for one in report.results.not_assessed}
    assert unread - {None} == {"app20-dev", "app21-dev", "app22-dev"}
    assert report.results.repositories == 23
    assert checks_of(report, "app19-dev")
    assert not checks_of(report, "app20-dev")
    assert "app20-dev" in made.notifications.messages[0].text


def test_what_could_not_be_read_this_time_is_not_resolved() -> None:
    made = scheduled(11)
    assert "repository-lifecycle-missing" in checks_of(made.run(), "app10-dev")
    again = made.run("run-2", lost=2, at=NOW + A_DAY)
    [finding] = [
        one
        for one in again.findings
        if one.resource.repository == "app10-dev" and one.check.id == "repository-lifecycle-missing"
    ]
    assert (finding.state, finding.first_seen) == (FindingState.OPEN, NOW)


def test_a_finding_that_is_mended_is_resolved_and_one_that_is_new_is_an_alert() -> None:
    made = scheduled(3)
    made.run()
    made.settings.scanned = False
    worse = made.run("run-2", at=NOW + A_DAY)
    assert {one.state for one in worse.findings if one.check.id == "repository-scan-off"} == {
        FindingState.NEW
    }
    made.settings.scanned = True
    mended = made.run("run-3", at=NOW + 2 * A_DAY)
    assert {one.state for one in mended.findings if one.check.id == "repository-scan-off"} == {
        FindingState.RESOLVED
    }
    assert [one.attributes["alert"] for one in made.notifications.messages] == ["log", "alert", "log"]


def test_a_step_that_runs_twice_counts_once() -> None:
    made = scheduled()
    once = made.run()
    audit = made.audit
    audit.audit(RUN, AuditBatch(1, audit.runs.batches(RUN)[0].repositories))
    again = audit.finish(RUN, NOW)
    assert again.results.counts == once.results.counts
    assert len(again.findings) == len(once.findings)


def test_images_that_run_from_elsewhere_are_found_unless_the_stack_allows_them() -> None:
    made = scheduled(1)
    made.running = RunningNames(
        (
            ("docker.io/library/nginx:1", "the task a"),
            ("docker.io/library/nginx:1@sha256:" + "a" * 64, "the task a"),
            ("public.ecr.aws/datadog/agent:7", "the task a"),
            (f"{REGISTRY}/tools:1", "the function f:1"),
            (f"{REGISTRY}/app00-dev:1.0", "the service s"),
        ),
        ("arn:cluster",),
    )
    report = made.run()
    foreign = {one.resource.arn for one in report.findings if one.check.id == "image-runs-foreign"}
    assert foreign == {"docker.io/library/nginx:1", f"{REGISTRY}/tools:1"}
    assert report.results.counts["image-runs-foreign"].passed == 2
    reasons = [one.reason for one in report.results.not_assessed if one.check.id == "image-runs-foreign"]
    assert "arn:cluster" in reasons[0]
    # The batches know what runs from the first step.
    assert "image-runs-ungated" in checks_of(report, "app00-dev")


def test_nobody_who_tells_what_runs_is_no_pass() -> None:
    made = scheduled(1)
    made.running = AccessRefusedError("ecs:ListClusters")
    report = made.run()
    assert report.results.counts["image-runs-foreign"].passed == 0
    unread = {one.check.id: one.reason for one in report.results.not_assessed}
    assert unread.keys() == {"image-runs-foreign", "image-runs-ungated"}
    assert "ecs:ListClusters" in unread["image-runs-ungated"]


def test_a_registry_whose_settings_cannot_be_read_leaves_the_repositories() -> None:
    made = scheduled(2)
    made.settings.fault = AccessRefusedError("ecr:DescribeRegistry")
    report = made.run()
    assert {one.check.id for one in report.results.not_assessed} >= {"registry-policy", "registry-scan-type"}
    assert report.results.repositories == 2


def test_a_registry_without_repositories_has_a_report() -> None:
    made = Scheduled(FakeSettings([]))
    report = made.run()
    assert (report.results.repositories, list(report.standing)) == (0, [])


def test_the_account_is_audited_once_with_what_nobody_tells() -> None:
    made = scheduled(1)
    powers = (
        WhoMay("access-sign", "sign", "app00-dev", "dev", ("arn:aws:iam::1:role/other",)),
        WhoMay("access-delete", "delete", "app00-dev", "dev", ("arn:aws:iam::1:role/admin",)),
        WhoMay("access-push", "push", "app00-dev", "dev", ()),
    )
    made.account = AccountFacts(
        users_without_mfa=["alice", "bob"], powers=powers, unread={"access-trail": "AccessDenied"}
    )
    report = made.run()
    found = [
        (one.check.id, one.resource.name) for one in report.findings if one.check.id.startswith("access")
    ]
    assert sorted(found) == [
        ("access-endpoint", "arn:aws:iam::123456789012:root"),
        ("access-root-mfa", "arn:aws:iam::123456789012:root"),
        ("access-sign", "app00-dev"),
        ("access-user-mfa", "arn:aws:iam::123456789012:user/alice"),
        ("access-user-mfa", "arn:aws:iam::123456789012:user/bob"),
    ]
    counts = report.results.counts
    assert (counts["access-delete"].passed, counts["access-push"].passed, counts["access-trail"].passed) == (
        1,
        1,
        0,
    )
