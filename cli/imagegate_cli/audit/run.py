"""An audit from here: the settings of the registry and of each repository, its images, and the report before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from imagegate.audit.history import follow, waive
from imagegate.audit.registry_settings import registry_resource
from imagegate.audit.report import AuditPart, AuditReport, NotAssessed, add_parts, part_of
from imagegate.workflow.audit.walk import AuditRepositories, RepositoryAuditor
from imagegate.workflow.watch.sweep import Workers
from imagegate_cli.faults import NotFoundError, explain

if TYPE_CHECKING:
    from imagegate.audit.checks import AuditCheck
    from imagegate.baseline.repository_policy import GateRegistry
    from imagegate.policy.policy import Policy
    from imagegate.policy.waiver import Waiver
    from imagegate.workflow.audit.settings import AuditSettings

_THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAudit:
    """Audits the registry of this account and Region.

    `waivers`: those of the policy and those granted beside it. `absent`: checks that cannot be made at all, and why.
    """

    policy: Policy
    registry: GateRegistry
    settings: AuditSettings
    auditors: Sequence[RepositoryAuditor]
    absent: Sequence[tuple[Sequence[AuditCheck], str]] = ()
    waivers: Sequence[Waiver] = ()
    around: Sequence[
        Callable[[Sequence[str]], AuditPart]
    ] = ()  # with the names of all repositories; never raise
    sleep: Callable[[float], None]

    def report(
        self,
        now: datetime,
        *,
        scope: Sequence[str] = (),
        previous: AuditReport | None = None,
        step: Callable[[str], None] = lambda _name: None,
    ) -> AuditReport:
        """Return the report of all repositories, or of those that match the scope. `step` gets each name.

        A part that cannot be read is not assessed. Raises `NotFoundError` if no repository matches the scope.
        """
        parts = add_parts(self._parts(scope, step))
        report = AuditReport(
            taken_at=now,
            account=self.registry.account,
            region=self.registry.region,
            policy=str(self.policy.digest),
            scope=tuple(scope),
            results=parts,
        )
        waivers = (*self.policy.waivers, *self.waivers)
        return waive(follow(previous, report), waivers, self.policy.waiver_terms, now)

    def _parts(self, scope: Sequence[str], step: Callable[[str], None]) -> Iterator[AuditPart]:
        if not scope:
            yield self._registry()
        for checks, reason in self.absent:
            yield self._unread(checks, reason)
        made = [check for one in self.auditors for check in one.checks]
        try:
            names = [name for name in self.settings.settings.names() if _matches(name, scope)]
        except Exception as error:  # noqa: BLE001 - nothing about repositories is known
            yield self._unread(made, f"the repositories cannot be listed: {explain(error)}")
            return
        if scope and not names:
            raise NotFoundError(f"no repository of the registry is named {', '.join(scope)}")
        yield part_of((), made=made)
        if not scope:
            yield from (audit(names) for audit in self.around)
        home = f"arn:{self.registry.partition}:ecr:{self.registry.region}:{self.registry.account}:repository/"
        with ThreadPoolExecutor(_THREADS) as pool:
            walk = AuditRepositories(
                auditors=self.auditors,
                policy=self.policy,
                home=home,
                workers=Workers(pool, _THREADS),
                sleep=self.sleep,
            )
            for name, part in walk.run(names):
                step(name)
                yield part

    def _registry(self) -> AuditPart:
        try:
            return self.settings.audit_registry()
        except Exception as error:  # noqa: BLE001 - the repositories are still audited
            return self._unread(self.settings.registry_checks, explain(error))

    def _unread(self, checks: Iterable[AuditCheck], reason: str) -> AuditPart:
        resource = registry_resource(self.registry)
        return part_of(NotAssessed(check, resource, reason) for check in checks)


def _matches(name: str, scope: Sequence[str]) -> bool:
    return not scope or any(fnmatchcase(name, glob) for glob in scope)
