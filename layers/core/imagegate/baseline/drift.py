"""Drift: settings that differ from the baseline, and the recorded call that may have changed them.

Source: Amazon ECR user guide, "Logging Amazon ECR actions with AWS CloudTrail": the names of events are those of the
API. A call without a repository changes the registry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagegate.baseline.plan import SettingsPlan

# The settings of a plan that a call changes, by their first word. An empty one: a call that may change all of them.
SETTING_CALLS: Mapping[str, str] = {
    "CreateRepository": "",
    "PutImageTagMutability": "tag mutability",
    "PutImageScanningConfiguration": "scan on push",
    "PutLifecyclePolicy": "lifecycle",
    "DeleteLifecyclePolicy": "lifecycle",
    "SetRepositoryPolicy": "policy",
    "DeleteRepositoryPolicy": "policy",
    "TagResource": "tags",
    "UntagResource": "tags",
    "PutRegistryScanningConfiguration": "scanning",
    "PutReplicationConfiguration": "replication",
    "PutRegistryPolicy": "policy",
    "DeleteRegistryPolicy": "policy",
    "CreatePullThroughCacheRule": "cache",
    "UpdatePullThroughCacheRule": "cache",
    "DeletePullThroughCacheRule": "cache",
    "CreateRepositoryCreationTemplate": "template",
    "UpdateRepositoryCreationTemplate": "template",
    "DeleteRepositoryCreationTemplate": "template",
    "PutSigningConfiguration": "signing",
    "DeleteSigningConfiguration": "signing",
    "PutAccountSetting": "",
}
_CREATION = "create_repository"
_WORDS = (str, int, bool, type(None))


@dataclass(frozen=True, slots=True)
class SettingsCall:
    """A call that changed settings, as CloudTrail recorded it. `by`: the ARN of the caller, or the service."""

    subject: str  # the repository, or REGISTRY
    operation: str
    by: str
    source: str  # IP address, or the service that called
    at: datetime

    def may_change(self, setting: str) -> bool:
        """Say whether this call may be the reason why a setting of its subject is different."""
        kind = SETTING_CALLS.get(self.operation, "")
        return not kind or setting == kind or setting.startswith(f"{kind} ")

    def is_by(self, roles: Collection[str]) -> bool:
        """Say whether a session of one of these roles (ARNs) made the call."""
        role = self.by.split("/")[1] if ":assumed-role/" in self.by else ""
        return role in {arn.rpartition("/")[2] for arn in roles}


@dataclass(frozen=True, slots=True)
class SettingDrift:
    """One setting that differs. `known_as`: a name for exactly this difference."""

    setting: str
    text: str
    known_as: str


@dataclass(frozen=True, slots=True)
class SubjectDrift:
    """The settings of a repository, or of the registry, that differ; or that did and were put back.

    `fault`: why they were not put back, although the policy says so. `known`: the names of differences of before.
    """

    subject: str
    settings: tuple[SettingDrift, ...]
    is_restored: bool = False
    fault: str = ""
    known: frozenset[str] = frozenset()


def find_drift(plan: SettingsPlan) -> tuple[SettingDrift, ...]:
    """Return the settings that differ from the baseline. A repository that does not exist has none."""
    if any(change.operation == _CREATION for change in plan.changes):
        return ()
    changes = (
        SettingDrift(one.setting, _text(one.before, one.after), _name(one.before, one.after))
        for one in plan.changes
    )
    remarks = (
        SettingDrift(one.setting, one.text, _name(one.text))
        for one in plan.remarks
        if one.is_unmet or one.setting == "policy"  # somebody lets more in
    )
    return (*changes, *remarks)


def _text(before: Any, after: Any) -> str:
    if isinstance(before, _WORDS) and isinstance(after, _WORDS):
        return f"is {setting_word(before)}, and should be {setting_word(after)}"
    return "there is none" if before is None else "differs from the baseline"


def setting_word(value: Any) -> str:
    """Return the value of a setting as people read it: `none`, `true`."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _name(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
