"""Walk through repositories: each is audited by several auditors. One that fails is not assessed; the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from imagegate.audit.finding import AuditedResource, ResourceKind
from imagegate.audit.report import AuditPart, NotAssessed, add_parts, part_of
from imagegate.errors import RetryableError

if TYPE_CHECKING:
    from imagegate.audit.checks import AuditCheck
    from imagegate.policy.policy import Policy
    from imagegate.workflow.watch.sweep import Workers

# The seconds to wait after a service was throttled or did not answer, after the SDK's own retries.
_WAITS = (2.0, 5.0, 15.0)


class RepositoryAuditor(Protocol):
    """Audits one repository in some way."""

    @property
    def checks(self) -> Sequence[AuditCheck]:
        """The checks that it makes: not assessed if it fails."""

    def audit(self, repository: str) -> AuditPart:
        """Return the results. Raises any error that makes them worthless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRepositories:
    """Audits repositories, as many at a time as there are workers, so that memory does not grow with their number.

    `home`: the beginning of the ARNs of repositories, up to `repository/`.
    """

    auditors: Sequence[RepositoryAuditor]
    policy: Policy
    home: str
    workers: Workers
    sleep: Callable[[float], None]

    def run(self, repositories: Iterable[str]) -> Iterator[tuple[str, AuditPart]]:
        """Yield each repository with its results, in the order of the names."""
        names = iter(repositories)
        while some := list(islice(names, self.workers.threads)):
            yield from zip(some, self.workers.pool.map(self.audit, some), strict=True)

    def audit(self, repository: str) -> AuditPart:
        """Return the results for one repository; never raises."""
        parts = add_parts(self._audit(auditor, repository) for auditor in self.auditors)
        return replace(parts, repositories=1)

    def _audit(self, auditor: RepositoryAuditor, repository: str) -> AuditPart:
        for seconds in _WAITS:
            try:
                return auditor.audit(repository)
            except RetryableError:
                self.sleep(seconds)
            except Exception as fault:  # noqa: BLE001 - the others are still audited, and the fault is in the report
                return self.not_assessed(auditor.checks, repository, f"{type(fault).__name__}: {fault}")
        try:
            return auditor.audit(repository)
        except Exception as fault:  # noqa: BLE001 - as above
            return self.not_assessed(auditor.checks, repository, f"{type(fault).__name__}: {fault}")

    def lost(self, repository: str) -> AuditPart:
        """Return the part of a repository whose results are missing."""
        checks = [check for auditor in self.auditors for check in auditor.checks]
        why = "the function that audits it failed: see its log, and the execution of the state machine"
        return replace(self.not_assessed(checks, repository, why), repositories=1)

    def not_assessed(self, checks: Iterable[AuditCheck], repository: str, reason: str) -> AuditPart:
        """Return the part that says why nothing is known."""
        stage = self.policy.stage_of(repository)
        resource = AuditedResource(
            ResourceKind.REPOSITORY, self.home + repository, repository, stage=stage.name if stage else None
        )
        return part_of(NotAssessed(check, resource, reason) for check in checks)
