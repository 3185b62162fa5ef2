"""Checks of the settings of the registry: how it scans, where its images are copied, and who gets in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from imagegate.audit.access import WRITE, explain_grants, grants_of, is_known
from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import AdvisedRemedy, AuditedResource, AuditFinding, ResourceKind
from imagegate.audit.report import CheckOutcome, CheckPassed, NotAssessed
from imagegate.audit.settings import Answer, SettingFault
from imagegate.baseline.registry import ENHANCED, FoundRegistry, plan_registry
from imagegate.baseline.repository_policy import PULL
from imagegate.baseline.terms import RegistryTerms

if TYPE_CHECKING:
    from imagegate.baseline.repository_policy import GateRegistry
    from imagegate.baseline.terms import RepositoryTerms
    from imagegate.policy.policy import Scanner

_REGISTRY_ACTIONS = ("ecr:ReplicateImage", "ecr:BatchImportUpstreamImage", "ecr:CreateRepository")
_APPLY = AdvisedRemedy("bring the registry to the baseline", "imagegate baseline apply '(registry)'")


class RegistryPart(StrEnum):
    """The parts of a registry's settings. Each is read by a call of its own, which can fail by itself."""

    SCANNING = "scanning configuration"
    REPLICATION = "replication configuration"
    POLICY = "registry policy"
    CACHE = "pull-through cache rules"
    TEMPLATES = "creation templates"
    SIGNING = "signing configuration"
    ACCOUNT = "account settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """The settings of a registry as they are, and as they should be. `unread`: the parts that could not be read.

    `scanner`: the scanning that the policy is written for, or None without a policy. `patterns`: names of repositories
    with `*`, and the settings that rules of the registry give them.
    """

    registry: GateRegistry
    found: FoundRegistry
    terms: RegistryTerms = field(default_factory=RegistryTerms)
    patterns: Mapping[str, RepositoryTerms] = field(default_factory=dict)
    scanner: Scanner | None = None
    unread: Mapping[RegistryPart, str] = field(default_factory=dict)


def registry_resource(registry: GateRegistry) -> AuditedResource:
    """Return the registry as a resource. AWS has no ARN for it; this name has the form of one."""
    home = f"arn:{registry.partition}:ecr:{registry.region}:{registry.account}"
    return AuditedResource(ResourceKind.REGISTRY, f"{home}:registry")


def check_registry(settings: RegistrySettings) -> Iterator[CheckOutcome]:
    """Yield the outcome of each check of the registry."""
    resource = registry_resource(settings.registry)
    for name, (look, parts) in _LOOKS.items():
        unread = [settings.unread[part] for part in parts if part in settings.unread]
        answer = None if unread else look(settings)
        if unread:
            yield NotAssessed(CATALOGUE[name], resource, unread[0])
        elif isinstance(answer, SettingFault):
            yield AuditFinding(
                check=CATALOGUE[name], resource=resource, detail=answer.detail, remedy=answer.remedy
            )
        elif answer:
            yield CheckPassed(CATALOGUE[name])


def _scan_type(settings: RegistrySettings) -> Answer:
    wanted = settings.terms.scan_type or (settings.scanner and settings.scanner.upper())
    scan_type = settings.found.scanning.get("scanType", "BASIC")
    if wanted is None:
        return None
    if scan_type == wanted:
        return True
    text = "set the type in the baseline and apply it, or write the policy for the other scanner"
    more = ": rules about fixes and exploits have no data" if wanted == ENHANCED else ""
    remedy = _APPLY if settings.terms.scan_type else AdvisedRemedy(text)
    return SettingFault(f"{scan_type.lower()} scanning, and should be {wanted.lower()}{more}", remedy)


def _residency(settings: RegistrySettings) -> Answer:
    allowed = settings.terms.allowed_regions
    if allowed is None:
        return None
    regions = {region for region, _ in _destinations(settings)}
    outside = sorted(regions - set(allowed))
    remedy = _replicate("take the Region out of the rule, or name it in allowed_regions of the baseline")
    return SettingFault(f"a rule copies images to {', '.join(outside)}", remedy) if outside else True


def _replication_account(settings: RegistrySettings) -> Answer:
    named = {account for rule in settings.terms.replication for _, account in rule.destinations}
    accounts = {account for _, account in _destinations(settings)}
    others = sorted(accounts - named - {settings.registry.account})
    remedy = _replicate("take the account out of the rule, or name it in replication of the baseline")
    return (
        SettingFault(f"a rule copies images to the account {', '.join(others)}", remedy) if others else True
    )


def _destinations(settings: RegistrySettings) -> Iterator[tuple[str, str]]:
    for rule in settings.found.replication:
        yield from ((one["region"], one["registryId"]) for one in rule["destinations"])


def _replicate(text: str) -> AdvisedRemedy:
    return AdvisedRemedy(f"{text}, by aws ecr put-replication-configuration", "aws ecr describe-registry")


def _policy(settings: RegistrySettings) -> Answer:
    known = {settings.registry.account, *(settings.terms.replication_from or ())}
    grants = (
        one
        for one in grants_of(settings.found.policy, (*_REGISTRY_ACTIONS, *PULL, *WRITE))
        if one.is_public
        or not is_known(one, known)
        or (one.account != settings.registry.account and not set(one.actions) <= set(_REGISTRY_ACTIONS))
    )
    text = (
        "name the account in replication_from of the baseline, or take it out by aws ecr put-registry-policy"
    )
    return explain_grants(grants, AdvisedRemedy(text, "aws ecr get-registry-policy"))


def _settings(settings: RegistrySettings) -> Answer:
    plan = plan_registry(settings.terms, settings.patterns, settings.found, settings.registry)
    # The type of scanning and the Regions have checks of their own.
    remarks = [one.setting for one in plan.remarks if one.is_unmet and one.setting != "replication"]
    names = list(dict.fromkeys([*(one.setting for one in plan.changes), *remarks]))
    if names:
        return SettingFault(f"different: {', '.join(names)}", _APPLY)
    is_silent = settings.terms == RegistryTerms() and not settings.patterns
    return None if is_silent else True


Inspect = Callable[[RegistrySettings], Answer]
_LOOKS: Mapping[str, tuple[Inspect, Collection[RegistryPart]]] = {
    "registry-scan-type": (_scan_type, (RegistryPart.SCANNING,)),
    "registry-residency": (_residency, (RegistryPart.REPLICATION,)),
    "registry-replication-account": (_replication_account, (RegistryPart.REPLICATION,)),
    "registry-policy": (_policy, (RegistryPart.POLICY,)),
    "registry-settings": (_settings, tuple(RegistryPart)),
}
