"""The plan for what is one document for the whole registry: scanning, replication, policy, caches, templates.

A put replaces the whole document, so that the rules of others are sent back as they are. Rules have no names: one that
the baseline does not have any more stays, as a rule of somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from imagegate.baseline.account import plan_account, plan_signing
from imagegate.baseline.plan import Change, Remark, SettingsPlan
from imagegate.baseline.repository_policy import GateRegistry, allow
from imagegate.baseline.statements import with_own
from imagegate.baseline.templates import plan_templates
from imagegate.baseline.terms import Frequency, RegistryTerms, ReplicationRule, RepositoryTerms

REGISTRY = "(registry)"  # no repository can have this name
_REPLICATED = ("ecr:CreateRepository", "ecr:ReplicateImage")
ENHANCED = "ENHANCED"
_MORE_OFTEN = (Frequency.CONTINUOUS, Frequency.ON_PUSH, Frequency.MANUAL)


@dataclass(frozen=True, slots=True)
class FoundRegistry:
    """The documents of a registry as ECR has them. Caches and templates are by prefix."""

    scanning: Mapping[str, Any]
    replication: Sequence[Mapping[str, Any]]
    policy: Mapping[str, Any] | None = None
    cache: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    templates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    signing: Sequence[Mapping[str, Any]] = ()
    account: Mapping[str, str] = field(default_factory=dict)


def plan_registry(
    terms: RegistryTerms,
    patterns: Mapping[str, RepositoryTerms],
    found: FoundRegistry,
    registry: GateRegistry,
    *,
    is_whole: bool = False,
) -> SettingsPlan:
    """Return the plan. `patterns`: names of repositories with `*`, and the settings of each.

    `is_whole`: with the settings that are there already, too.
    """
    parts = (
        *_scanning(terms, patterns, found.scanning, is_whole=is_whole),
        *_replication(terms, found.replication, registry, is_whole=is_whole),
        *_policy(terms, found.policy, registry, is_whole=is_whole),
        *_cache(terms, {} if is_whole else found.cache),
        *plan_templates(terms.template_role, patterns, found.templates, registry, is_whole=is_whole),
        *plan_signing(terms.signing, found.signing, is_whole=is_whole),
        *plan_account(terms.account, found.account, is_whole=is_whole),
    )
    changes = tuple(part for part in parts if isinstance(part, Change))
    return SettingsPlan(REGISTRY, changes, tuple(part for part in parts if isinstance(part, Remark)))


def _scanning(
    terms: RegistryTerms, patterns: Mapping[str, RepositoryTerms], found: Mapping[str, Any], *, is_whole: bool
) -> Iterator[Change | Remark]:
    scan_type = terms.scan_type or found.get("scanType", "BASIC")
    wanted = {
        glob: frequency
        for glob, one in patterns.items()
        if (frequency := one.scanning or _basic_scanning(one, scan_type))
    }
    if not wanted and terms.scan_type is None:
        return
    if scan_type != ENHANCED and Frequency.CONTINUOUS in wanted.values():
        text = "continuous scanning needs registry: {scanning: enhanced}"
        yield Remark(REGISTRY, "scanning", text, is_unmet=True)
        return
    rules = merge_scanning(wanted, found.get("rules", []))
    is_other = scan_type != found.get("scanType") or _rule_set(rules) != _rule_set(found.get("rules", []))
    if is_other or is_whole:
        request = {"scanType": scan_type, "rules": rules}
        before = {"scanType": found.get("scanType"), "rules": list(found.get("rules", []))}
        yield Change(REGISTRY, "scanning", before, request, "put_registry_scanning_configuration", request)
    for text in _scanned_by_others(wanted, found.get("rules", [])):
        yield Remark(REGISTRY, "scanning", text)
    if scan_type == ENHANCED:
        for glob, one in patterns.items():
            if one.scanning is None:
                text = f"the baseline has no rule for {glob}: without one, nothing is scanned there"
                yield Remark(REGISTRY, "scanning", text)


def _scanned_by_others(wanted: Mapping[str, Frequency], rules: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield which rules of others scan more often than the baseline says: the most frequent rule counts."""
    for frequency, theirs in sorted(_rule_set(rules)):
        for glob, ours in wanted.items():
            # A filter without a wildcard covers each name that has it as a part.
            covers = fnmatchcase(glob, theirs if "*" in theirs else f"*{theirs}*")
            if theirs not in wanted and covers and _MORE_OFTEN.index(frequency) < _MORE_OFTEN.index(ours):
                yield f"{glob} should be scanned {ours}, and a rule of somebody else for {theirs} says {frequency}"


def _basic_scanning(terms: RepositoryTerms, scan_type: str) -> Frequency | None:
    """Return the frequency of a rule that basic scanning needs: a template cannot say that a repository is scanned."""
    is_needed = scan_type != ENHANCED and terms.create_on_push and terms.scan_on_push
    return Frequency.ON_PUSH if is_needed else None


def merge_scanning(
    wanted: Mapping[str, Frequency], rules: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rules of the registry with ours among them: each filter of ours in the rule of its frequency."""
    filters: dict[str, list[str]] = {}
    for rule in rules:
        theirs = [one["filter"] for one in rule["repositoryFilters"] if one["filter"] not in wanted]
        filters.setdefault(rule["scanFrequency"], []).extend(theirs)
    for glob, frequency in wanted.items():
        if frequency is not Frequency.MANUAL:
            filters.setdefault(frequency, []).append(glob)
    return [
        {
            "scanFrequency": frequency,
            "repositoryFilters": [{"filter": one, "filterType": "WILDCARD"} for one in dict.fromkeys(globs)],
        }
        for frequency, globs in filters.items()
        if globs
    ]


def _rule_set(rules: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(rule["scanFrequency"], one["filter"]) for rule in rules for one in rule["repositoryFilters"]}


def _replication(
    terms: RegistryTerms, found: Sequence[Mapping[str, Any]], registry: GateRegistry, *, is_whole: bool
) -> Iterator[Change | Remark]:
    wanted = [_replication_rule(rule, registry) for rule in terms.replication]
    present = [_replication_key(rule) for rule in found]
    missing = [rule for rule in wanted if _replication_key(rule) not in present]
    if missing or (is_whole and wanted):
        configuration = {"rules": [*found, *missing]}
        request = {"replicationConfiguration": configuration}
        before = {"rules": list(found)}
        yield Change(REGISTRY, "replication", before, configuration, "put_replication_configuration", request)
    for region in _regions_outside(terms, found):
        text = f"a rule of somebody else copies images to {region}, which allowed_regions does not have"
        yield Remark(REGISTRY, "replication", text, is_unmet=True)


def _replication_rule(rule: ReplicationRule, registry: GateRegistry) -> dict[str, Any]:
    destinations = [
        {"region": region, "registryId": account or registry.account} for region, account in rule.destinations
    ]
    filters = [{"filter": prefix, "filterType": "PREFIX_MATCH"} for prefix in rule.prefixes]
    return {"destinations": destinations} | ({"repositoryFilters": filters} if filters else {})


def _replication_key(rule: Mapping[str, Any]) -> tuple[Any, Any]:
    destinations = {(one["region"], one["registryId"]) for one in rule["destinations"]}
    return frozenset(destinations), frozenset(one["filter"] for one in rule.get("repositoryFilters") or ())


def _regions_outside(terms: RegistryTerms, found: Sequence[Mapping[str, Any]]) -> list[str]:
    if terms.allowed_regions is None:
        return []
    regions = {one["region"] for rule in found for one in rule["destinations"]}
    return sorted(regions - set(terms.allowed_regions))


def _policy(
    terms: RegistryTerms, found: Mapping[str, Any] | None, registry: GateRegistry, *, is_whole: bool
) -> Iterator[Change]:
    if terms.replication_from is None:
        return
    root = f"arn:{registry.partition}:iam::%s:root"
    repositories = f"arn:{registry.partition}:ecr:{registry.region}:{registry.account}:repository/*"
    principal = {"AWS": [root % account for account in terms.replication_from]}
    statement = allow("ReplicationFrom", principal, _REPLICATED) | {"Resource": repositories}
    policy = with_own(found, [statement] if terms.replication_from else [])
    if policy == found and not (is_whole and policy):
        return
    if policy is None:
        yield Change(REGISTRY, "policy", found, None, "delete_registry_policy", {})
    else:
        request = {"policyText": json.dumps(policy)}
        yield Change(REGISTRY, "policy", found, policy, "put_registry_policy", request)


def _cache(terms: RegistryTerms, found: Mapping[str, Mapping[str, Any]]) -> Iterator[Change | Remark]:
    for prefix, rule in terms.cache.items():
        present, setting = found.get(prefix), f"cache {prefix}"
        secrets = {"credentialArn": rule.credentials, "customRoleArn": rule.role}
        more = {key: value for key, value in secrets.items() if value}
        request = {"ecrRepositoryPrefix": prefix, **more}
        if present is None:
            request["upstreamRegistryUrl"] = rule.upstream
            yield Change(REGISTRY, setting, None, rule.upstream, "create_pull_through_cache_rule", request)
        elif present["upstreamRegistryUrl"] != rule.upstream:
            text = f"it is a copy of {present['upstreamRegistryUrl']}: delete that rule first"
            yield Remark(REGISTRY, setting, text, is_unmet=True)
        elif more and any(present.get(key) != value for key, value in more.items()):
            before = {key: present.get(key) for key in more}
            yield Change(REGISTRY, setting, before, more, "update_pull_through_cache_rule", request)
