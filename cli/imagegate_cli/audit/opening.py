"""The parts of an audit: with a deployed stack, and without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagegate.audit.account import (
    ACCOUNT_CHECKS,
    POWER_CHECKS,
    GuardedPlace,
    check_account,
    guarded_places,
)
from imagegate.audit.image import AuditTerms
from imagegate.audit.report import part_of
from imagegate.audit.running import RUNNING_CHECKS, check_running
from imagegate.aws.audit.account import AwsAccount
from imagegate.aws.audit.reports import S3AuditReports
from imagegate.aws.audit.settings import EcrAuditSettings
from imagegate.aws.cleanup.images import EcrStoredImages
from imagegate.aws.cleanup.users import AwsImageUsers
from imagegate.aws.ecr.registry import own_registry
from imagegate.baseline.repository_policy import GateRegistry
from imagegate.cleanup.usage import UsedImages
from imagegate.errors import AccessRefusedError
from imagegate.findings.versions import VERSIONS
from imagegate.oci.reference import parse_prefixes
from imagegate.workflow.audit.images import AuditImages
from imagegate.workflow.audit.sboms import ReadSboms
from imagegate.workflow.audit.settings import AuditSettings
from imagegate_cli.audit.run import LocalAudit
from imagegate_cli.context import CommandLine, now, pauses
from imagegate_cli.faults import CANNOT_TELL, NotFoundError, explain
from imagegate_cli.output.terminal import say
from imagegate_cli.policy.source import PolicyFile, deployed_policy, examined_file

if TYPE_CHECKING:
    from imagegate.audit.checks import AuditCheck
    from imagegate.audit.report import AuditPart, AuditReport
    from imagegate.policy.policy import Policy
    from imagegate.workflow.audit.walk import RepositoryAuditor
    from imagegate_cli.stack import Stack

_NO_STACK = "there is no stack here, and with it no ledger"
Absent = list[tuple[Sequence["AuditCheck"], str]]


@dataclass(frozen=True, slots=True)
class OpenedAudit:
    """An audit and the place of its reports, which only a stack has."""

    audit: LocalAudit
    reports: S3AuditReports | None

    def previous(self) -> AuditReport | None:
        """Return the report before, or None if there is none or it may not be read."""
        if self.reports is None:
            return None
        try:
            return self.reports.latest()
        except AccessRefusedError as error:
            say(f"the report before cannot be read, so every finding is new: {error}", err=True)
            return None


def open_audit(command_line: CommandLine, file: Path | None) -> OpenedAudit:
    """Return the audit of this account's registry in this Region.

    Raises `NotFoundError` if there is neither a stack nor a policy file. A policy with faults ends the program with 2.
    """
    stack = _stack(command_line, file)
    source = _source(stack, file)
    examined = source.examined
    if examined.policy is None or examined.baseline is None:
        for fault in examined.faults:
            say(f"{source.name}:{fault.line}: {fault}", err=True)
        raise click.exceptions.Exit(CANNOT_TELL)
    registry = _registry(stack)
    settings = AuditSettings(
        settings=EcrAuditSettings(),
        images=EcrStoredImages(_host(registry)),
        policy=examined.policy,
        baseline=examined.baseline,
        registry=registry,
    )
    auditors: list[RepositoryAuditor] = [settings]
    absent: Absent = []
    around = _add_images(auditors, absent, stack, examined.policy)
    audit = LocalAudit(
        policy=examined.policy,
        registry=registry,
        settings=settings,
        auditors=auditors,
        absent=absent,
        waivers=source.grants,
        around=around,
        sleep=pauses().sleep,
    )
    return OpenedAudit(audit, S3AuditReports(stack.output("RecordsBucket")) if stack else None)


def _stack(command_line: CommandLine, file: Path | None) -> Stack | None:
    try:
        return command_line.stack
    except NotFoundError:
        if file is None:
            raise
        return None


def _source(stack: Stack | None, file: Path | None) -> PolicyFile:
    if file is None:
        assert stack is not None
        return deployed_policy(stack)
    source = examined_file(file, now().date())
    grants = tuple(stack.grants.waivers()) if stack else ()
    return PolicyFile(source.name, source.examined, grants)


def _registry(stack: Stack | None) -> GateRegistry:
    if stack is not None:
        roles = tuple(stack.output("PushRoles").split(","))
        return GateRegistry(stack.account, stack.region, stack.arn.split(":")[1], roles)
    from imagegate.aws.clients import client

    sts = client("sts")
    partition, account = sts.get_caller_identity()["Arn"].split(":")[1:5:3]
    return GateRegistry(account, sts.meta.region_name, partition)


def _host(registry: GateRegistry) -> str:
    domain = "amazonaws.com.cn" if registry.partition == "aws-cn" else "amazonaws.com"
    return f"{registry.account}.dkr.ecr.{registry.region}.{domain}"


def _add_images(
    auditors: list[RepositoryAuditor], absent: Absent, stack: Stack | None, policy: Policy
) -> list[Callable[[Sequence[str]], AuditPart]]:
    """Add the audit of images, which needs the ledger and what runs; or the reason why it cannot be made.

    Return the audits of the account around it.
    """
    registry = _registry(stack)
    around: list[Callable[[Sequence[str]], AuditPart]] = [partial(_audit_account, stack, registry, policy)]
    if stack is None:
        absent.append(((*AuditImages.checks, *POWER_CHECKS), _NO_STACK))
    users = {user for stage in policy.stages.values() for user in stage.cleanup.used_by}
    try:
        named, clusters = AwsImageUsers(_host(registry)).running(sorted(users, key=lambda user: user.role))
    except Exception as error:  # noqa: BLE001 - the settings are still audited
        hidden = (*(AuditImages.checks if stack else ()), *RUNNING_CHECKS)
        absent.append((hidden, f"nobody can tell what runs: {explain(error)}"))
        return around
    if stack is not None:
        auditors.append(_images(stack, policy, UsedImages.read(stack.registry, named, clusters)))
    allowed = parse_prefixes(stack.parameters.get("DeploymentCheckAllowedImages", "") if stack else "")
    foreign = part_of(check_running(named, clusters, registry, policy, allowed), made=RUNNING_CHECKS)
    return [*around, lambda _names: foreign]


def _audit_account(
    stack: Stack | None, registry: GateRegistry, policy: Policy, names: Sequence[str]
) -> AuditPart:
    """Audit the account. Without a stack, nothing tells which roles the gate needs, so powers are left out."""
    places: list[GuardedPlace] = []
    if stack is not None:
        profile_of, signers = stack.signing_profiles.__getitem__, [stack.output("SignImageRole")]
        places = list(guarded_places(names, policy, registry, profile_of, signers))
    facts = AwsAccount(pauses().sleep).facts(places)
    return part_of(check_account(facts, registry), made=ACCOUNT_CHECKS)


def _images(stack: Stack, policy: Policy, running: UsedImages) -> AuditImages:
    registry = _registry(stack)
    return AuditImages(
        inventory=stack.cleanup.inventory,
        ledger=stack.ledger,
        records=stack.records,
        policy=policy,
        running=running,
        terms=AuditTerms.of(policy, stack.grants.waivers(), now()),
        home=f"arn:{registry.partition}:ecr:{registry.region}:{registry.account}:repository/",
        sboms=ReadSboms(own_registry),
        is_continuous=stack.scans.is_continuous,
        satisfies=VERSIONS.satisfies,
    )
