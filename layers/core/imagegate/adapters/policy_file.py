"""The policy file: from its bytes to a `Policy`, or to every fault in it with its line and path."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from imagegate.adapters.marked_yaml import Document, Fault, Path, describe, did_you_mean, read
from imagegate.adapters.policy_stages import stage_faults
from imagegate.domain.errors import InvalidPolicyError
from imagegate.domain.finding import Severity
from imagegate.domain.image import Digest
from imagegate.domain.policy import (
    DEFAULT_MAX_FINDINGS,
    Action,
    Arrival,
    Limit,
    Mode,
    Policy,
    RepositoryPattern,
    Stage,
)
from imagegate.domain.waiver import Waiver

FILE = "policy.yaml"

_DURATION = re.compile(r"([0-9]{1,6})([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_SHORTEST, _LONGEST = timedelta(seconds=30), timedelta(hours=24)
# What tags consist of (OCI distribution specification), and the wildcards.
_TAG_PATTERN = re.compile(r"[A-Za-z0-9_.*?\[\]!-]+")


def parse(content: bytes, *, prefix: str = "", name: str = FILE) -> Policy:
    """Raise `InvalidPolicyError`, one line per fault: `policy.yaml:LINE: path: what is wrong`.

    `prefix`: what every guarded repository's name begins with, as the stack's permissions have it.
    """
    document = read(content)
    faults = list(document.faults)
    model = None
    if isinstance(document.data, dict):
        model = _validated(document, faults)
        faults += stage_faults(document, prefix)
    elif not faults:
        faults.append(Fault(1, (), f"must be a mapping, not {describe(document.data)}"))
    if faults or model is None:
        lines = dict.fromkeys(f"{name}:{fault.line}: {fault}" for fault in sorted(faults, key=_position))
        raise InvalidPolicyError("\n".join(lines))
    return model.as_policy(Digest.of(content))


def _position(fault: Fault) -> tuple[int, str]:
    return fault.line, str(fault)


def _duration(value: object) -> timedelta:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"must be a time such as 45s, 30m or 2h, not {describe(value)}")
    span = timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    if not _SHORTEST <= span <= _LONGEST:
        raise ValueError(f"must be from 30s to 24h, not {value}")
    return span


def _limit(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | dict):
        raise ValueError(f"must be a number, or {{limit: 5, action: enforce}}, not {describe(value)}")
    return value if isinstance(value, dict) else {"limit": value}


def _tag_pattern(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"must be text (in quotes), not {describe(value)}")
    if not _TAG_PATTERN.fullmatch(value):
        raise ValueError(f"no tag can match {value!r}")
    return value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _LimitModel(_Model):
    limit: Annotated[int, Field(ge=0)]
    action: Literal["enforce", "warn", "off"] = "enforce"

    def as_limit(self) -> Limit:
        return Limit(self.limit, Action(self.action))


_AnyLimit = Annotated[_LimitModel | None, BeforeValidator(_limit)]


class _MaxModel(_Model):
    """`untriaged` is what enhanced scanning calls `undefined`."""

    critical: _AnyLimit = None
    high: _AnyLimit = None
    medium: _AnyLimit = None
    low: _AnyLimit = None
    informational: _AnyLimit = None
    undefined: _AnyLimit = None
    untriaged: _AnyLimit = None

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if self.undefined and self.untriaged:
            raise ValueError("undefined and untriaged are the same; give one of them")
        return self

    def as_limits(self) -> dict[Severity, Limit]:
        models = {name: getattr(self, name) for name in type(self).model_fields}
        given = {Severity.parse(name): model.as_limit() for name, model in models.items() if model}
        return {**DEFAULT_MAX_FINDINGS, **given}


class _FindingsModel(_Model):
    max: _MaxModel = Field(default_factory=_MaxModel)


class _ScanModel(_Model):
    timeout: Annotated[timedelta, BeforeValidator(_duration)] = timedelta(minutes=30)


_IsGated = Literal["gated", "not_gated"]


class _ArrivalsModel(_Model):
    """Pushes are always gated: that is what a stage is."""

    replication: _IsGated = "gated"
    pull_through_cache: _IsGated = "gated"

    def not_gated(self) -> frozenset[Arrival]:
        said = {Arrival.REPLICATION: self.replication, Arrival.PULL_THROUGH_CACHE: self.pull_through_cache}
        return frozenset(arrival for arrival, word in said.items() if word == "not_gated")


def _day(value: object) -> date:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else date.fromisoformat("")
    except ValueError:
        raise ValueError(f"must be a day such as 2027-01-31, not {describe(value)}") from None


class _WaiverModel(_Model):
    rule: Literal["scan.unsupported"]
    repositories: Annotated[str, Field(min_length=1)]
    owner: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]
    expires: Annotated[date, BeforeValidator(_day)]

    def as_waiver(self) -> Waiver:
        return Waiver(self.rule, self.repositories, self.owner, self.reason, self.expires)


class _StageModel(_Model):
    repositories: str
    promotes_to: str | None = None
    promote_tags: Annotated[list[Annotated[str, BeforeValidator(_tag_pattern)]], Field(min_length=1)] = ["*"]
    mode: Literal["enforce", "observe"] = "enforce"
    approval: Literal["none", "required"] = "none"
    scan: _ScanModel = Field(default_factory=_ScanModel)
    findings: _FindingsModel = Field(default_factory=_FindingsModel)
    arrivals: _ArrivalsModel = Field(default_factory=_ArrivalsModel)
    sign_platforms: bool = False

    def as_stage(self, name: str) -> Stage:
        return Stage(
            name=name,
            repositories=RepositoryPattern(self.repositories),
            promotes_to=self.promotes_to,
            promote_tags=tuple(self.promote_tags),
            mode=Mode(self.mode),
            approval_required=self.approval == "required",
            scan_timeout=self.scan.timeout,
            max_findings=self.findings.max.as_limits(),
            not_gated=self.arrivals.not_gated(),
            sign_platforms=self.sign_platforms,
        )


class _PolicyModel(_Model):
    version: Literal[1]
    stages: Annotated[dict[str, _StageModel], Field(min_length=1)]
    waivers: list[_WaiverModel] = Field(default_factory=list)

    def as_policy(self, digest: Digest) -> Policy:
        stages = {name: stage.as_stage(name) for name, stage in self.stages.items()}
        return Policy(digest, stages, tuple(waiver.as_waiver() for waiver in self.waivers))


def _validated(document: Document, faults: list[Fault]) -> _PolicyModel | None:
    try:
        return _PolicyModel.model_validate(document.data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            path = tuple(detail["loc"])
            faults.append(Fault(document.line_of(path), path, _explain(detail, path)))
    return None


def _explain(detail: Any, path: Path) -> str:
    """Pydantic's error types as a person says them (pydantic documentation, "Validation Errors")."""
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return "unknown key" + did_you_mean(path[-1], _model_at(path[:-1]).model_fields)
        case "missing":
            return "is missing"
        case "literal_error":
            return f"must be {context['expected']}, not {describe(value)}" + _close(
                value, context["expected"]
            )
        case "value_error":
            return str(context["error"])
        case "too_short" | "string_too_short":
            return "must not be empty"
        case "greater_than_equal":
            return f"must be {context['ge']} or more, not {value}"
        case kind:
            return f"must be {_EXPECTED.get(kind, detail['msg'])}, not {describe(value)}"


_EXPECTED = {
    "int_type": "a whole number",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "bool_type": "true or false",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def _close(value: object, expected: str) -> str:
    return did_you_mean(value, re.findall(r"'([^']*)'", expected))


def _model_at(path: Path) -> type[_Model]:
    if path[:1] == ("waivers",):
        return _WaiverModel
    if len(path) < 3:
        return _StageModel if path else _PolicyModel
    return _PARTS.get(path[-1], _LimitModel)


_PARTS: dict[str | int, type[_Model]] = {
    "scan": _ScanModel,
    "findings": _FindingsModel,
    "max": _MaxModel,
    "arrivals": _ArrivalsModel,
}
