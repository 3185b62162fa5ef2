"""The shapes of the rules about findings and packages."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from imagegate.findings.finding import FindingKind, Severity
from imagegate.policy.file.schema.packages import Prohibited, ProhibitedShape
from imagegate.policy.file.schema.shape import FilterShape, RuleShape, Shape, rule
from imagegate.policy.file.values import OFF, Grace, Probability, Vulnerability
from imagegate.policy.file.yaml import describe
from imagegate.policy.rules import Action, FindingRules, GraceStart, Limit, NoGrace, ProhibitedPackage

# `untriaged` is what enhanced scanning calls `undefined`.
SeverityName = Literal["critical", "high", "medium", "low", "informational", "undefined", "untriaged"]


class PackagesShape(Shape):
    """The rules about the packages that the scanner names."""

    prohibited: RuleShape[Annotated[list[Prohibited], Field(min_length=1)]] | None = Field(
        default=None,
        description="Packages that no image may have: name, versions and ecosystem, or a package URL.",
        examples=[[{"name": "log4j-core", "versions": "<2.17.1", "ecosystem": "maven"}]],
    )


_Number = Annotated[int, Field(ge=0, le=1_000_000)]


class LimitShape(RuleShape[_Number]):
    """The limit of findings of one severity."""


class MaxShape(Shape):
    """Limits by severity. One that is not given keeps its default: critical 0, high 5, medium 20, undefined 20."""

    critical: LimitShape | None = Field(default=None, description="At most so many CRITICAL findings.")
    high: LimitShape | None = Field(default=None, description="At most so many HIGH findings.")
    medium: LimitShape | None = Field(default=None, description="At most so many MEDIUM findings.")
    low: LimitShape | None = Field(default=None, description="At most so many LOW findings.")
    informational: LimitShape | None = Field(
        default=None, description="At most so many INFORMATIONAL findings."
    )
    undefined: LimitShape | None = Field(
        default=None,
        description="At most so many findings that are not rated yet (enhanced scanning: UNTRIAGED).",
    )


def _limits(shape: MaxShape | None) -> dict[Severity, Limit]:
    given = {name: getattr(shape, name) for name in MaxShape.model_fields} if shape else {}
    limits = {Severity.parse(name): rule(limit, int) for name, limit in given.items()}
    return {severity: limit for severity, limit in limits.items() if limit is not None}


def _limit_or_off(shape: RuleShape[_Number] | None) -> Limit | None:
    """Return the limit of a kind of findings, or None if the policy does not have the rule: that is not off."""
    if shape is None:
        return None
    return rule(shape, int) or Limit(0, Action.OFF)


class GraceShape(Shape):
    """The time until a new finding counts, by severity."""

    critical: Grace = Field(default=None, description="Time for a CRITICAL finding.")
    high: Grace = Field(default=None, description="Time for a HIGH finding.")
    medium: Grace = Field(default=None, description="Time for a MEDIUM finding.")
    low: Grace = Field(default=None, description="Time for a LOW finding.")
    informational: Grace = Field(default=None, description="Time for an INFORMATIONAL finding.")
    undefined: Grace = Field(default=None, description="Time for a finding that is not rated yet.")


def _spans(shape: GraceShape | None) -> dict[Severity, timedelta]:
    given = {name: getattr(shape, name) for name in GraceShape.model_fields} if shape else {}
    return {Severity.parse(name): span for name, span in given.items() if span is not None}


def _off_is_false(value: object) -> object:
    return False if value == OFF else value


_Switch = Annotated[bool, BeforeValidator(_off_is_false), WithJsonSchema({"enum": [True, False, OFF]})]


class NoGraceShape(Shape):
    """Findings that have no grace, of any severity."""

    known_exploited: _Switch = Field(
        default=False, description="Findings that are known to be exploited (CISA's KEV)."
    )
    exploit_available: _Switch = Field(
        default=False, description="Findings that an exploit is available for."
    )
    epss: Probability = Field(
        default=None, description="From this probability of exploitation within 30 days on (EPSS, 0 to 1)."
    )

    def no_grace(self) -> NoGrace:
        return NoGrace(self.known_exploited, self.exploit_available, self.epss)


def _severities(value: object) -> object:
    """Read a list; `true` is all severities, `false` none."""
    if isinstance(value, bool):
        return [severity.lower() for severity in Severity] if value else []
    if not isinstance(value, list):
        raise ValueError(f"must be a list of severities, true or false, not {describe(value)}")
    return value


_Severities = Annotated[
    list[SeverityName],
    BeforeValidator(_severities),
    WithJsonSchema(
        {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"enum": list(get_args(SeverityName))}}]}
    ),
]


class FindingsShape(Shape):
    """The rules about findings: which count, and how many may."""

    max: MaxShape | None = Field(
        default=None, description="At most so many vulnerabilities of each severity, in each image."
    )
    only_fixable: FilterShape[_Severities] | None = Field(
        default=None,
        description="Of these severities only findings with a fix count; true: of all. Needs scanner: enhanced.",
        examples=[["low", "medium"], True],
    )
    grace: FilterShape[GraceShape] | None = Field(
        default=None,
        description="Time to fix a new finding, by severity: until then it does not count. A number is one of days.",
        examples=[{"critical": "2d", "high": "14d"}],
    )
    grace_starts: Literal["seen", "fix_available"] = Field(
        default="seen",
        description="What starts the time: seen, the finding in the application; fix_available, a fix for it.",
    )
    no_grace: FilterShape[NoGraceShape] | None = Field(
        default=None, description="Findings that get no time. Needs scanner: enhanced."
    )
    deny: RuleShape[Annotated[list[Vulnerability], Field(min_length=1)]] | None = Field(
        default=None,
        description="Vulnerabilities that no image may have, by name; no filter applies to them.",
        examples=[["CVE-2021-44228"]],
    )
    secrets: RuleShape[_Number] | None = Field(
        default=None,
        description="At most so many secrets, of any severity. Without this rule they count by severity.",
    )
    misconfigurations: RuleShape[_Number] | None = Field(
        default=None,
        description="At most so many misconfigurations, of any severity. Without this rule they count by severity.",
    )
    licenses: RuleShape[_Number] | None = Field(
        default=None,
        description="At most so many findings about licenses. Without this rule they count by severity.",
    )
    no_worse_than: FilterShape[Literal["next_stage"]] | None = Field(
        default=None,
        description="next_stage: findings that the image released into the next stage also has do not count.",
        examples=["next_stage"],
    )

    def finding_rules(self, packages: PackagesShape) -> FindingRules:
        only_fixable = self.only_fixable.active_value if self.only_fixable else None
        no_grace = self.no_grace.active_value if self.no_grace else None
        return FindingRules(
            max=_limits(self.max),
            only_fixable=frozenset(map(Severity.parse, only_fixable or ())),
            grace=_spans(self.grace.active_value if self.grace else None),
            grace_starts=GraceStart(self.grace_starts),
            no_grace=no_grace.no_grace() if no_grace else NoGrace(),
            no_worse_than_next=bool(self.no_worse_than and self.no_worse_than.active_value),
            deny=rule(self.deny, frozenset),
            prohibited=rule(packages.prohibited, _packages),
            max_of_kind={kind: limit for kind, limit in self._limits_of_kinds() if limit is not None},
        )

    def _limits_of_kinds(self) -> Iterator[tuple[FindingKind, Limit | None]]:
        yield FindingKind.SECRET, _limit_or_off(self.secrets)
        yield FindingKind.MISCONFIGURATION, _limit_or_off(self.misconfigurations)
        yield FindingKind.LICENSE, _limit_or_off(self.licenses)


def _packages(shapes: Iterable[ProhibitedShape]) -> tuple[ProhibitedPackage, ...]:
    return tuple(package for shape in shapes for package in shape.packages())
