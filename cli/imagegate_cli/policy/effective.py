"""The effective policy of a stage after inheritance: each setting and rule with its value, action and origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from imagegate.findings.finding import Severity
from imagegate.policy.file.inheritance import FILTERS, LIMITS
from imagegate.policy.file.load import LoadedPolicy
from imagegate.policy.file.schema.policy import StageShape
from imagegate.policy.file.values import OFF
from imagegate.policy.file.yaml import Path
from imagegate.policy.rules import DEFAULT_ALERTS, Action

Place = tuple[str, ...]

# In the order in which people look for them.
RULES_IN_ORDER: tuple[Place, ...] = (
    *((*LIMITS, severity.lower()) for severity in Severity),
    *(("findings", key) for key in ("only_fixable", "grace", "no_grace", "no_worse_than", "deny")),
    *(("findings", key) for key in ("secrets", "misconfigurations", "licenses")),
    ("packages", "prohibited"),
    *(("image", key) for key in ("max_age", "max_size", "labels", "base_images", "platforms")),
    *(("image", key) for key in ("non_root", "tags", "forbidden_tags")),
    *(("evidence", key) for key in ("require_signature", "require_provenance")),
)
_SETTINGS: tuple[Place, ...] = (
    *((key,) for key in ("mode", "approval", "soak", "entry", "promotes_to", "promote_tags")),
    *((key,) for key in ("sign_platforms", "security_hub")),
    *(("arrivals", key) for key in ("replication", "pull_through_cache")),
    *(("replication", key) for key in ("regions", "timeout")),
    *(("scan", key) for key in ("timeout", "max_scan_age")),
    ("findings", "grace_starts"),
    ("evidence", "sbom"),
    *(("alerts", (severity or "none").lower()) for severity in DEFAULT_ALERTS),
)
_BUILT_IN = "built in"
_ANY = "any"


@dataclass(frozen=True, slots=True)
class SourceLine:
    """The layer and line of the policy that set a part. A built-in part has no line."""

    layer: str  # built in, defaults, stage NAME
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.layer} (line {self.line})" if self.line else self.layer

    def as_json(self) -> dict[str, Any]:
        return {"layer": self.layer, "line": self.line}


@dataclass(frozen=True, slots=True)
class PolicyPart:
    """A setting, or a rule with its action. `action_source` is the origin of the action alone."""

    path: str
    value: Any
    source: SourceLine
    action: str | None = None
    action_source: SourceLine | None = None

    @property
    def is_filter(self) -> bool:
        return tuple(self.path.split(".")) in FILTERS

    @property
    def is_on(self) -> bool:
        return self.action != Action.OFF and self.value is not False

    @property
    def origin(self) -> str:
        is_split = self.action_source not in (None, self.source)
        return f"{self.source}; {self.action}: {self.action_source}" if is_split else str(self.source)

    def as_json(self) -> dict[str, Any]:
        part: dict[str, Any] = {"path": self.path, "value": self.value, "from": self.source.as_json()}
        if self.action is not None and self.action_source is not None:
            part |= {"action": self.action, "action_from": self.action_source.as_json()}
        return part


def rules(examined: LoadedPolicy, stage: str) -> list[PolicyPart]:
    """Return every rule and filter that has a value, also those that are off."""
    values = ((place, _at(examined, stage, place)) for place in RULES_IN_ORDER)
    return [_rule(examined, stage, place, rule) for place, rule in values if isinstance(rule, dict)]


def settings(examined: LoadedPolicy, stage: str) -> list[PolicyPart]:
    """Return every setting, with the built-in value where the policy has none."""
    return [_setting(examined, stage, place) for place in _SETTINGS]


def _rule(examined: LoadedPolicy, stage: str, place: Place, rule: Mapping[str, Any]) -> PolicyPart:
    value, action = (_source(examined, ("stages", stage, *place, key)) for key in ("value", "action"))
    return PolicyPart(
        path=".".join(place),
        value=rule.get("value"),
        source=value if "value" in rule else action,
        action=str(rule.get("action", Action.ENFORCE)),
        action_source=action if "action" in rule else value,
    )


def _setting(examined: LoadedPolicy, stage: str, place: Place) -> PolicyPart:
    value, path = _at(examined, stage, place), ".".join(place)
    if value is None:
        built_in = _entry(examined, stage) if place == ("entry",) else _built_in(place)
        return PolicyPart(path, built_in, SourceLine(_BUILT_IN))
    return PolicyPart(path, value, _source(examined, ("stages", stage, *place)))


def _entry(examined: LoadedPolicy, stage: str) -> str | None:
    return str(examined.policy.stages[stage].entry) if examined.policy else None


def _at(examined: LoadedPolicy, stage: str, place: Place) -> Any:
    at: Any = examined.gates.stages[stage]
    for key in place:
        at = at.get(key) if isinstance(at, dict) else None
    return at


def _source(examined: LoadedPolicy, path: Path) -> SourceLine:
    written = examined.gates.written.get(path)
    if written is None:
        return SourceLine(_BUILT_IN)
    layer = "defaults" if written[0] == "defaults" else f"stage {written[1]}"
    return SourceLine(layer, examined.document.line_of(written))


def _built_in(place: Place) -> Any:
    if place == ("approval",):
        return "none"
    if place[0] == "alerts":
        return str(DEFAULT_ALERTS[None if place[1] == "none" else Severity.parse(place[1])])
    value: Any = StageShape(repositories=_ANY)
    for key in place:
        value = getattr(value, key)
    if isinstance(value, timedelta):
        return f"{value // timedelta(minutes=1)}m" if value else OFF
    return value
