"""Lifecycle rules of a repository, read strictly: a document that ECR would refuse is refused, with every fault.

Source: Amazon ECR user guide, "Lifecycle policy properties in Amazon ECR"; the service model for the sizes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from imagegate.errors import RejectedInputError
from imagegate.strict_json import read_object, shown

_LONGEST, _SHORTEST = 30_720, 100  # characters; PutLifecyclePolicy, lifecyclePolicyText
_MOST_RULES = 50
_MOST_WILDCARDS = 4  # in one pattern
_LEAST_ARCHIVED_DAYS = 90
_WILDCARD = re.compile(r"(?<!\\)\*")  # in our patterns, `\*` is a character that no tag has


class InvalidLifecycleError(RejectedInputError):
    """A lifecycle policy that ECR refuses; the message has all faults."""


class TagStatus(StrEnum):
    TAGGED = "tagged"
    UNTAGGED = "untagged"
    ANY = "any"


class StorageClass(StrEnum):
    STANDARD = "standard"
    ARCHIVE = "archive"


class CountType(StrEnum):
    MORE_THAN = "imageCountMoreThan"
    PUSHED = "sinceImagePushed"
    PULLED = "sinceImagePulled"
    TRANSITIONED = "sinceImageTransitioned"


class LifecycleAction(StrEnum):
    EXPIRE = "expire"
    TRANSITION = "transition"  # to the archive


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """One rule. `patterns`: globs of tags, each of which must match a tag of the image; a prefix is a glob here."""

    priority: int
    tag_status: TagStatus
    count_type: CountType
    count: int  # images, or days
    action: LifecycleAction = LifecycleAction.EXPIRE
    storage_class: StorageClass = StorageClass.STANDARD
    patterns: tuple[str, ...] = ()
    description: str = ""

    def selects(self, tags: frozenset[str]) -> bool:
        """Say whether an image with these tags fits the rule's selection of tags."""
        match self.tag_status:
            case TagStatus.ANY:
                return True
            case TagStatus.UNTAGGED:
                return not tags
            case TagStatus.TAGGED:
                return all(any(_matches(pattern, tag) for tag in tags) for pattern in self.patterns)

    def as_json(self) -> dict[str, Any]:
        """Return the rule as ECR's documents have it."""
        selection: dict[str, Any] = {"tagStatus": str(self.tag_status)}
        if self.patterns:
            selection["tagPatternList"] = list(self.patterns)
        if self.storage_class is StorageClass.ARCHIVE:
            selection["storageClass"] = str(self.storage_class)
        selection["countType"] = str(self.count_type)
        if self.count_type is not CountType.MORE_THAN:
            selection["countUnit"] = "days"
        action = {"type": str(self.action)}
        if self.action is LifecycleAction.TRANSITION:
            action["targetStorageClass"] = str(StorageClass.ARCHIVE)
        return {
            "rulePriority": self.priority,
            "description": self.description,
            "selection": {**selection, "countNumber": self.count},
            "action": action,
        }


def _matches(pattern: str, tag: str) -> bool:
    """Compare as ECR does: `*` is zero or more characters, and all else is literal."""
    return re.fullmatch(".*".join(map(re.escape, _WILDCARD.split(pattern))), tag, re.DOTALL) is not None


def parse_lifecycle(content: bytes) -> tuple[LifecycleRule, ...]:
    """Return the rules by ascending priority. Raises `InvalidLifecycleError` with every fault of the document."""
    raw = read_object(content, "the lifecycle policy", InvalidLifecycleError)
    faults = list(_document_faults(raw, len(content.decode())))
    if not faults:
        faults = [
            f"rule {number}: {fault}"
            for number, rule in enumerate(raw["rules"], 1)
            for fault in _faults(rule)
        ]
    rules = () if faults else tuple(sorted(map(_rule, raw["rules"]), key=lambda rule: rule.priority))
    faults += _faults_between(rules)
    if faults:
        raise InvalidLifecycleError("ECR refuses this lifecycle policy: " + "; ".join(faults))
    return rules


def _document_faults(raw: Mapping[str, Any], length: int) -> Iterator[str]:
    if set(raw) != {"rules"} or not isinstance(raw["rules"], list):
        yield "it has to be an object with `rules`, a list, and nothing else"
        return
    if not 1 <= len(raw["rules"]) <= _MOST_RULES:
        yield f"it has {len(raw['rules'])} rules; 1 to {_MOST_RULES} are allowed"
    if not _SHORTEST <= length <= _LONGEST:
        yield f"it has {length} characters; {_SHORTEST} to {_LONGEST} are allowed"


_RULE_KEYS = {"rulePriority", "description", "selection", "action"}
_SELECTION_KEYS = {
    *("tagStatus", "tagPatternList", "tagPrefixList", "storageClass"),
    *("countType", "countUnit", "countNumber"),
}


def _faults(rule: Any) -> Iterator[str]:
    """Yield the faults of one rule by itself."""
    if not isinstance(rule, dict):
        yield "is no object"
        return
    selection, action = rule.get("selection"), rule.get("action")
    yield from (f"unknown key {shown(key)}" for key in sorted(set(rule) - _RULE_KEYS))
    if not _is_number(rule.get("rulePriority")):
        yield "rulePriority has to be a whole number from 1 on"
    if not isinstance(rule.get("description", ""), str):
        yield "description has to be text"
    if not isinstance(selection, dict) or not isinstance(action, dict):
        yield "selection and action have to be objects"
        return
    yield from (f"unknown key selection.{key}" for key in sorted(set(selection) - _SELECTION_KEYS))
    words = [*_word_faults(selection, action)]
    yield from words
    yield from () if words else _selection_faults(selection, action)
    yield from _tag_faults(selection)


def _word_faults(selection: Mapping[str, Any], action: Mapping[str, Any]) -> Iterator[str]:
    kinds: tuple[tuple[str, Any, type[StrEnum]], ...] = (
        ("selection.tagStatus", selection.get("tagStatus"), TagStatus),
        ("selection.countType", selection.get("countType"), CountType),
        ("selection.storageClass", selection.get("storageClass", "standard"), StorageClass),
        ("action.type", action.get("type"), LifecycleAction),
    )
    for name, value, kind in kinds:
        if value not in list(kind):
            yield f"{name} has to be {', '.join(kind)}, not {shown(value)}"
    if not _is_number(selection.get("countNumber")):
        yield "selection.countNumber has to be a whole number from 1 on"


def _selection_faults(selection: Mapping[str, Any], action: Mapping[str, Any]) -> Iterator[str]:
    count_type = selection["countType"]
    if count_type == CountType.MORE_THAN and "countUnit" in selection:
        yield "selection.countUnit is not allowed with imageCountMoreThan"
    if count_type != CountType.MORE_THAN and selection.get("countUnit") != "days":
        yield f"selection.countUnit has to be days with {count_type}"
    is_transition = action["type"] == LifecycleAction.TRANSITION
    if set(action) != ({"type", "targetStorageClass"} if is_transition else {"type"}):
        yield "action has to be a type, and for a transition a targetStorageClass"
    elif is_transition and action["targetStorageClass"] != StorageClass.ARCHIVE:
        yield "action.targetStorageClass has to be archive"
    is_archived = selection.get("storageClass") == StorageClass.ARCHIVE
    if count_type == CountType.PULLED and not is_transition:
        yield "sinceImagePulled goes with transition only"
    if is_archived != (count_type == CountType.TRANSITIONED):
        yield "sinceImageTransitioned goes with storageClass archive, and no other countType does"
    if is_archived and is_transition:
        yield "an image in the archive can only expire"
    if is_archived and selection["countNumber"] < _LEAST_ARCHIVED_DAYS:
        yield f"images stay in the archive for {_LEAST_ARCHIVED_DAYS} days at least"


def _tag_faults(selection: Mapping[str, Any]) -> Iterator[str]:
    lists = [key for key in ("tagPatternList", "tagPrefixList") if key in selection]
    is_tagged = selection.get("tagStatus") == TagStatus.TAGGED
    if len(lists) != is_tagged:
        yield "tagPatternList or tagPrefixList, one of them, goes with tagStatus tagged, and none with the others"
    for key in lists:
        entries = selection[key]
        if (
            not isinstance(entries, list)
            or not entries
            or not all(isinstance(one, str) and one for one in entries)
        ):
            yield f"selection.{key} has to be a list of texts"
        elif key == "tagPatternList" and any(one.count("*") > _MOST_WILDCARDS for one in entries):
            yield f"a pattern has at most {_MOST_WILDCARDS} wildcards"


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _rule(raw: Mapping[str, Any]) -> LifecycleRule:
    selection = raw["selection"]
    # A `*` in a prefix is no wildcard, and cannot match anything: no tag has one.
    prefixes = tuple(prefix.replace("*", r"\*") + "*" for prefix in selection.get("tagPrefixList", ()))
    return LifecycleRule(
        priority=raw["rulePriority"],
        tag_status=TagStatus(selection["tagStatus"]),
        count_type=CountType(selection["countType"]),
        count=selection["countNumber"],
        action=LifecycleAction(raw["action"]["type"]),
        storage_class=StorageClass(selection.get("storageClass", "standard")),
        patterns=tuple(selection.get("tagPatternList", ())) or prefixes,
        description=raw.get("description", ""),
    )


def _faults_between(rules: tuple[LifecycleRule, ...]) -> Iterator[str]:
    """Yield what the rules must not have in common."""
    priorities = Counter(rule.priority for rule in rules)
    yield from (f"the priority {number} is there twice" for number, count in priorities.items() if count > 1)
    for storage_class in StorageClass:
        same = [rule for rule in rules if rule.storage_class is storage_class]
        patterns = Counter(pattern for rule in same for pattern in rule.patterns)
        yield from (f"{shown(text)} is in two lists" for text, count in patterns.items() if count > 1)
        if sum(rule.tag_status is TagStatus.UNTAGGED for rule in same) > 1:
            yield f"two rules select untagged images of the class {storage_class}"
        if any(rule.tag_status is TagStatus.ANY for rule in same[:-1]):
            yield f"the rule for any image must be the last one of the class {storage_class}"
