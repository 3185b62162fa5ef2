"""Checks of the account around the registry: who may do what, multi-factor authentication, trail, VPC endpoints.

A list of who may is what IAM's simulation says of users and roles. It does not know who may take a role, nor policies
of organizations that name conditions; a repository's own policy is checked with its settings.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import AdvisedRemedy, AuditedResource, AuditFinding, ResourceKind
from imagegate.audit.report import CheckOutcome, CheckPassed, NotAssessed
from imagegate.policy.policy import Entry
from imagegate.text import list_some

if TYPE_CHECKING:
    from imagegate.baseline.repository_policy import GateRegistry
    from imagegate.policy.policy import Policy

ACCOUNT_CHECKS = tuple(
    CATALOGUE[name]
    for name in (
        *("access-push", "access-sign", "access-delete", "access-pull", "access-root-mfa", "access-user-mfa"),
        *("access-trail", "access-endpoint"),
    )
)
# These compare with the roles that the gate itself needs.
POWER_CHECKS = ACCOUNT_CHECKS[:4]
_MOST_NAMED = 10
# That may delete: the clean-up, and administrators; that may pull: those who deploy, too.
_FEW = {"access-delete": 5, "access-pull": 20}
_SEE = "imagegate access --who can {action} {repository}"
_MFA = AdvisedRemedy(
    "give it a second factor, or take its password away", "aws iam enable-mfa-device --user-name {user}"
)
_ROOT = AdvisedRemedy("give the root user a second factor: sign in as root, Security credentials, Assign MFA")
_TRAIL = AdvisedRemedy(
    "make a trail of management events in all Regions",
    "aws cloudtrail create-trail --is-multi-region-trail --name NAME",
)
_ENDPOINT = AdvisedRemedy(
    "pull and push without the internet: make interface endpoints for ecr.api and ecr.dkr"
)


@dataclass(frozen=True, slots=True)
class WhoMay:
    """The principals that may do something with one resource, beside those that the gate needs."""

    check: str
    action: str  # as `imagegate access` names it
    repository: str
    stage: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GuardedPlace:
    """A repository as an example of its stage, the stage's signing profile, and the roles that the gate itself needs.

    `checks`: the powers that nobody else should have there. `own`: by check, ARNs of roles.
    """

    repository: str
    stage: str
    repository_arn: str
    profile_arn: str
    checks: tuple[str, ...]
    own: Mapping[str, Collection[str]]


def guarded_places(
    names: Iterable[str],
    policy: Policy,
    registry: GateRegistry,
    profile_of: Callable[[str], str],
    signers: Collection[str],
) -> Iterator[GuardedPlace]:
    """Yield one repository of each stage. Only a stage that others promote into is filled by the gate alone.

    `profile_of` returns the ARN of a stage's signing profile; `signers`: ARNs of the roles that may sign.
    """
    home = f"arn:{registry.partition}:ecr:{registry.region}:{registry.account}:repository/"
    of_stages: dict[str, str] = {}
    for name in sorted(names):
        if stage := policy.stage_of(name):
            of_stages.setdefault(stage.name, name)
    for stage_name, name in of_stages.items():
        stage = policy.stages[stage_name]
        checks = ["access-sign"]
        checks += ["access-push"] if stage.entry is Entry.PROMOTION else []
        checks += ["access-delete", "access-pull"] if stage.promotes_to is None else []
        own = {"access-push": registry.gate_roles, "access-sign": signers}
        yield GuardedPlace(name, stage_name, home + name, profile_of(stage_name), tuple(checks), own)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """The facts about the account. `unread`: the checks that could not be made, and why."""

    root_has_mfa: bool = False
    users_without_mfa: Sequence[str] = ()
    trails: Sequence[str] = ()  # that record now
    endpoints: Sequence[str] = ()
    powers: Sequence[WhoMay] = ()
    unread: Mapping[str, str] = field(default_factory=dict)


def check_account(facts: AccountFacts, registry: GateRegistry) -> Iterator[CheckOutcome]:
    """Check the account, one thing after the other."""
    arn = f"arn:{registry.partition}:iam::{registry.account}:root"
    account = AuditedResource(ResourceKind.ACCOUNT, arn)
    for name, why in facts.unread.items():
        yield NotAssessed(CATALOGUE[name], account, why)
    single = (
        ("access-root-mfa", facts.root_has_mfa, "the root user signs in with a password alone", _ROOT),
        ("access-trail", bool(facts.trails), "no trail of AWS CloudTrail records in this Region", _TRAIL),
        (
            "access-endpoint",
            bool(facts.endpoints),
            "every pull and push goes through the internet",
            _ENDPOINT,
        ),
    )
    for name, is_good, fault, remedy in single:
        if name not in facts.unread:
            yield _result(name, account, "" if is_good else fault, remedy)
    if "access-user-mfa" not in facts.unread:
        yield from _users(facts, registry, account)
    yield from (_power(one, registry) for one in facts.powers if one.check not in facts.unread)


def _users(facts: AccountFacts, registry: GateRegistry, account: AuditedResource) -> Iterator[CheckOutcome]:
    if not facts.users_without_mfa:
        yield _result("access-user-mfa", account, "", _MFA)
    for user in facts.users_without_mfa:
        arn = f"arn:{registry.partition}:iam::{registry.account}:user/{user}"
        remedy = AdvisedRemedy(_MFA.text, (_MFA.command or "").replace("{user}", user))
        fault = "it signs in to the console with a password alone"
        yield _result("access-user-mfa", AuditedResource(ResourceKind.PRINCIPAL, arn), fault, remedy)


def _power(power: WhoMay, registry: GateRegistry) -> CheckOutcome:
    home = f"arn:{registry.partition}:ecr:{registry.region}:{registry.account}:repository/"
    resource = AuditedResource(
        ResourceKind.REPOSITORY, home + power.repository, power.repository, stage=power.stage
    )
    limit = _FEW.get(power.check, 0)
    named = list_some(power.others[:_MOST_NAMED], len(power.others))
    command = _SEE.format(action=power.action, repository=power.repository)
    remedy = AdvisedRemedy("take the permission away, or let the boundary of the baseline do it", command)
    return _result(power.check, resource, named if len(power.others) > limit else "", remedy)


def _result(check: str, resource: AuditedResource, fault: str, remedy: AdvisedRemedy) -> CheckOutcome:
    if not fault:
        return CheckPassed(CATALOGUE[check])
    return AuditFinding(check=CATALOGUE[check], resource=resource, detail=fault, remedy=remedy)
