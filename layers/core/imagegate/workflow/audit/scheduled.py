"""A scheduled audit: list the repositories, audit them batch by batch, and put the report together.

The steps pass on documents, not memory, so that a batch that fails costs the report only its own repositories: these
are named as not assessed. A step that runs twice writes the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from imagegate.audit.account import ACCOUNT_CHECKS, check_account
from imagegate.audit.checks import CATALOGUE, AuditSubject
from imagegate.audit.history import follow, waive
from imagegate.audit.registry_settings import registry_resource
from imagegate.audit.report import AuditPart, AuditReport, NotAssessed, add_parts, part_of
from imagegate.audit.running import RUNNING_CHECKS, check_running
from imagegate.notices.governance.audit import audit_notice
from imagegate.ports.audit_runs import AuditBatch, RunningNames

if TYPE_CHECKING:
    from imagegate.audit.account import AccountFacts
    from imagegate.audit.checks import AuditCheck
    from imagegate.baseline.repository_policy import GateRegistry
    from imagegate.policy.policy import Policy
    from imagegate.policy.waiver import Waiver
    from imagegate.ports.audit_runs import AuditReports, AuditRuns
    from imagegate.ports.services import Notifications
    from imagegate.workflow.audit.settings import AuditSettings
    from imagegate.workflow.audit.walk import AuditRepositories

A_BATCH = 10  # repositories; the largest of Amazon ECR take half a minute each
_REGISTRY_CHECKS = tuple(one for one in CATALOGUE.values() if one.subject is AuditSubject.REGISTRY)
REGISTRY_RESULTS = 0  # the number of the results that are of no repository; batches begin with 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledAudit:
    """The steps of a scheduled audit.

    `walk` returns what audits repositories, with what runs; `running` reads what runs, and raises what the services
    raise; `account` reads the account, for the names of all repositories, and never raises. `allowed`: the name
    prefixes of images that may run without a gate.
    """

    runs: AuditRuns
    reports: AuditReports
    settings: AuditSettings
    registry: GateRegistry
    policy: Policy
    walk: Callable[[RunningNames], AuditRepositories]
    running: Callable[[], RunningNames]
    waivers: Callable[[], Sequence[Waiver]]
    notifications: Notifications
    account: Callable[[Sequence[str]], AccountFacts]
    allowed: tuple[str, ...] = ()

    def begin(self, run: str) -> str:
        """List the repositories, audit the registry and what runs. Return the key of the batches.

        Raises what the list of the repositories raises: without it there is no audit.
        """
        names = list(self.settings.settings.names())
        running = self._running()
        self.runs.keep_running(run, running)
        account = part_of(check_account(self.account(names), self.registry), made=ACCOUNT_CHECKS)
        parts = add_parts([self._registry(), self._running_images(running), account])
        self.runs.keep_results(run, REGISTRY_RESULTS, [("", parts)])
        some = (tuple(names[start:][:A_BATCH]) for start in range(0, len(names), A_BATCH))
        batches = [AuditBatch(number, those) for number, those in enumerate(some, REGISTRY_RESULTS + 1)]
        return self.runs.keep_batches(run, batches)

    def audit(self, run: str, batch: AuditBatch) -> None:
        """Store the results of the audit of a batch's repositories."""
        walk = self.walk(self.runs.running(run))
        self.runs.keep_results(run, batch.number, walk.run(batch.repositories))

    def finish(self, run: str, now: datetime) -> AuditReport:
        """Put the report together, store it as the latest one, and send the summary.

        The report before is read first: its document needs more memory than a report, and is gone when this one grows.
        """
        previous = self.reports.latest()
        report = AuditReport(
            taken_at=now,
            account=self.registry.account,
            region=self.registry.region,
            policy=str(self.policy.digest),
            results=add_parts(self._parts(run)),
        )
        report = follow(previous, report)
        waivers = (*self.policy.waivers, *self.waivers())
        report = waive(report, waivers, self.policy.waiver_terms, now)
        self.reports.keep(report)
        self.notifications.publish(audit_notice(report))
        return report

    def _parts(self, run: str) -> Iterator[AuditPart]:
        """Yield all results; of a batch without any, that nothing is known about its repositories."""
        walk = self.walk(RunningNames())
        yield part_of((), made=[check for one in walk.auditors for check in one.checks])
        yield from (part for _, part in self.runs.results(run, REGISTRY_RESULTS) or ())
        for batch in self.runs.batches(run):
            known = dict(self.runs.results(run, batch.number) or ())
            for name in batch.repositories:
                yield known[name] if name in known else walk.lost(name)

    def _running(self) -> RunningNames:
        try:
            return self.running()
        except Exception as fault:  # noqa: BLE001 - the rest is still audited, and the fault is in the report
            return RunningNames(fault=f"nobody can tell what runs: {type(fault).__name__}: {fault}")

    def _running_images(self, running: RunningNames) -> AuditPart:
        if running.fault:
            return self._unread((*RUNNING_CHECKS, CATALOGUE["image-runs-ungated"]), running.fault)
        outcomes = check_running(running.named, running.clusters, self.registry, self.policy, self.allowed)
        return part_of(outcomes, made=RUNNING_CHECKS)

    def _registry(self) -> AuditPart:
        try:
            return self.settings.audit_registry()
        except Exception as fault:  # noqa: BLE001 - as above
            return self._unread(_REGISTRY_CHECKS, f"{type(fault).__name__}: {fault}")

    def _unread(self, checks: Sequence[AuditCheck], reason: str) -> AuditPart:
        return part_of(NotAssessed(check, registry_resource(self.registry), reason) for check in checks)
