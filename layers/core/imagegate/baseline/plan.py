"""The plan for one repository: what it has, what it should have, and the calls that lead there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from imagegate.baseline.lifecycle_rules import lifecycle_document
from imagegate.baseline.repository_policy import LONGEST, GateRegistry, lets_more_in, own_statements
from imagegate.baseline.statements import with_own
from imagegate.baseline.terms import Encryption, RepositoryTerms, TagMutability


@dataclass(frozen=True, slots=True)
class Change:
    """One call of ECR that changes a setting. `operation` and `request` are those of its API."""

    subject: str  # the repository, or REGISTRY
    setting: str
    before: Any
    after: Any
    operation: str
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence for people. `is_unmet`: the baseline does not hold, and no call can change that."""

    subject: str
    setting: str
    text: str
    is_unmet: bool = False


@dataclass(frozen=True, slots=True)
class SettingsPlan:
    """The changes of one subject, in the order of the calls, and the remarks."""

    subject: str
    changes: tuple[Change, ...] = ()
    remarks: tuple[Remark, ...] = ()

    @property
    def is_met(self) -> bool:
        return not self.changes and not any(remark.is_unmet for remark in self.remarks)


@dataclass(frozen=True, slots=True)
class FoundRepository:
    """A repository as ECR describes it."""

    name: str
    arn: str
    tag_mutability: TagMutability
    scan_on_push: bool
    encryption: Encryption
    lifecycle: Mapping[str, Any] | None = None
    policy: Mapping[str, Any] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    is_scanned_by_rule: bool = False  # on push, by a rule of the registry


def plan_repository(
    name: str, terms: RepositoryTerms, found: FoundRepository | None, registry: GateRegistry
) -> SettingsPlan:
    """Return the plan. `found` is None if there is no such repository: the plan begins with its creation."""
    if found is None:
        created = _created(name, terms, registry)
        changes = (_creation(name, terms), *_document_changes(terms, created, registry))
        return SettingsPlan(name, changes, tuple(_remarks(terms, created, registry)))
    changes = (*_setting_changes(terms, found), *_document_changes(terms, found, registry))
    return SettingsPlan(name, changes, tuple(_remarks(terms, found, registry)))


def _created(name: str, terms: RepositoryTerms, registry: GateRegistry) -> FoundRepository:
    """Return the repository as CreateRepository leaves it."""
    arn = f"arn:{registry.partition}:ecr:{registry.region}:{registry.account}:repository/{name}"
    return FoundRepository(
        name,
        arn,
        terms.tag_mutability or TagMutability(is_immutable=False),
        bool(terms.scan_on_push),
        terms.encryption or Encryption("AES256"),
        tags=terms.tags,
    )


def _creation(name: str, terms: RepositoryTerms) -> Change:
    after = ", ".join(str(one) for one in (terms.tag_mutability, terms.encryption) if one)
    request = creation_request(name, terms)
    return Change(name, "repository", None, after or "created", "create_repository", request)


def creation_request(name: str, terms: RepositoryTerms) -> dict[str, Any]:
    """Return the request of CreateRepository."""
    request: dict[str, Any] = {"repositoryName": name}
    if terms.tag_mutability:
        request |= mutability_request(terms.tag_mutability)
    if terms.scan_on_push is not None:
        request["imageScanningConfiguration"] = {"scanOnPush": terms.scan_on_push}
    if terms.encryption:
        request["encryptionConfiguration"] = encryption_request(terms.encryption)
    if terms.tags:
        request["tags"] = tag_list(terms.tags)
    return request


def mutability_request(mutability: TagMutability) -> dict[str, Any]:
    """Return the mutability as ECR's requests have it."""
    request: dict[str, Any] = {"imageTagMutability": mutability.mode}
    if mutability.exceptions:
        filters = [{"filterType": "WILDCARD", "filter": one} for one in mutability.exceptions]
        request["imageTagMutabilityExclusionFilters"] = filters
    return request


def encryption_request(encryption: Encryption) -> dict[str, str]:
    """Return the encryption as ECR's requests have it."""
    key = {"kmsKey": encryption.key} if encryption.key else {}
    return {"encryptionType": encryption.type, **key}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as ECR's requests have them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _setting_changes(terms: RepositoryTerms, found: FoundRepository) -> Iterator[Change]:
    name = {"repositoryName": found.name}
    wanted = terms.tag_mutability
    if wanted and _mutability_key(wanted) != _mutability_key(found.tag_mutability):
        request = name | mutability_request(wanted)
        before, after = str(found.tag_mutability), str(wanted)
        yield Change(found.name, "tag mutability", before, after, "put_image_tag_mutability", request)
    is_scanned = found.scan_on_push or (bool(terms.scan_on_push) and found.is_scanned_by_rule)
    if terms.scan_on_push not in (None, is_scanned):
        scanning = {"imageScanningConfiguration": {"scanOnPush": terms.scan_on_push}}
        yield Change(
            found.name,
            "scan on push",
            found.scan_on_push,
            terms.scan_on_push,
            "put_image_scanning_configuration",
            name | scanning,
        )
    tags = {key: value for key, value in terms.tags.items() if found.tags.get(key) != value}
    if tags:
        before_tags = {key: found.tags[key] for key in tags if key in found.tags}
        request = {"resourceArn": found.arn, "tags": tag_list(tags)}
        yield Change(found.name, "tags", before_tags, tags, "tag_resource", request)


def _mutability_key(mutability: TagMutability) -> tuple[bool, frozenset[str]]:
    return mutability.is_immutable, frozenset(mutability.exceptions)


def _document_changes(
    terms: RepositoryTerms, found: FoundRepository, registry: GateRegistry
) -> Iterator[Change]:
    name = {"repositoryName": found.name}
    lifecycle = lifecycle_document(terms.lifecycle) if terms.lifecycle else None
    if lifecycle is not None and _in_order(lifecycle) != _in_order(found.lifecycle):
        request = name | {"lifecyclePolicyText": json.dumps(lifecycle)}
        yield Change(found.name, "lifecycle", found.lifecycle, lifecycle, "put_lifecycle_policy", request)
    if terms.access is None:
        return
    policy = with_own(found.policy, own_statements(terms.access, registry))
    if policy == found.policy:
        return
    if policy is None:
        yield Change(found.name, "policy", found.policy, None, "delete_repository_policy", name)
    elif len(json.dumps(policy)) <= LONGEST:
        request = name | {"policyText": json.dumps(policy)}
        yield Change(found.name, "policy", found.policy, policy, "set_repository_policy", request)


def _in_order(lifecycle: Mapping[str, Any] | None) -> Any:
    """Return the rules by priority, which is the order in which ECR applies them, or None without a policy."""
    return lifecycle and sorted(lifecycle.get("rules", []), key=lambda rule: int(rule.get("rulePriority", 0)))


def _remarks(terms: RepositoryTerms, found: FoundRepository, registry: GateRegistry) -> Iterator[Remark]:
    if terms.encryption and not _is_encrypted_as(terms.encryption, found.encryption):
        yield Remark(found.name, "encryption", _way_around(found, terms.encryption), is_unmet=True)
    if terms.access is None:
        return
    yield from (Remark(found.name, "policy", text) for text in lets_more_in(found.policy, terms.access))
    policy = with_own(found.policy, own_statements(terms.access, registry))
    if policy and len(json.dumps(policy)) > LONGEST:
        text = f"with the statements of others it would have more than {LONGEST} characters: shorten them"
        yield Remark(found.name, "policy", text, is_unmet=True)


def _is_encrypted_as(wanted: Encryption, found: Encryption) -> bool:
    if wanted.type != found.type:
        return False
    # An alias that was not resolved is not compared: the key of a repository never changes.
    return wanted.names_an_alias or wanted.key in (None, found.key)


def _way_around(found: FoundRepository, wanted: Encryption) -> str:
    return (
        f"{found.encryption}, and should be {wanted}. ECR fixes it when a repository is created: copy the images that "
        "are needed, with their signatures, to another repository, delete this one, let apply create it again, and "
        "copy them back"
    )
