"""The section `baseline` that says what repositories have now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagegate.baseline.plan import FoundRepository


def section_of(found: Mapping[str | None, Sequence[FoundRepository]]) -> dict[str, Any]:
    """Return the section, as the policy file has it. `found`: repositories by their stage, None without a stage.

    A stage gets the settings that all its repositories share; each repository gets its others. Statements of repository
    policies are left out: they stay where they are.
    """
    stages: dict[str, Any] = {}
    repositories: dict[str, Any] = {}
    for stage, members in found.items():
        settings = {one.name: _settings(one) for one in members}
        shared = _shared(list(settings.values())) if stage is not None else {}
        if stage is not None:
            stages[stage] = shared
        own = {name: _without(one, shared) for name, one in settings.items()}
        repositories |= {name: one for name, one in own.items() if one}
    parts = {"stages": stages, "repositories": repositories}
    return {name: part for name, part in parts.items() if part}


def _settings(found: FoundRepository) -> dict[str, Any]:
    mutability = found.tag_mutability
    mode = "immutable" if mutability.is_immutable else "mutable"
    encryption = found.encryption
    tags = {key: value for key, value in found.tags.items() if not key.startswith("aws:")}
    settings = {
        "tag_mutability": {"mode": mode, "except": list(mutability.exceptions)}
        if mutability.exceptions
        else mode,
        "scan_on_push": found.scan_on_push,
        "encryption": {"type": encryption.type, "key": encryption.key} if encryption.key else encryption.type,
        "lifecycle": {"document": dict(found.lifecycle)} if found.lifecycle else None,
        "tags": tags or None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _shared(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first, *others = settings or [{}]
    return {
        name: value
        for name, value in first.items()
        if all(_text(one.get(name)) == _text(value) for one in others)
    }


def _without(settings: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in shared}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
