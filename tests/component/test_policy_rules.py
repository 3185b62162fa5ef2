"""The rules of the policy file: each in each of its spellings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from imagegate.findings.finding import Package, Severity
from imagegate.policy.file.inheritance import FILTERS, LIMITS, RULES
from imagegate.policy.file.load import parse_policy
from imagegate.policy.file.schema.policy import GateShape
from imagegate.policy.file.schema.shape import FilterShape, RuleShape, Shape
from imagegate.policy.file.schema.whole import PolicyFileShape
from imagegate.policy.policy import Stage
from imagegate.policy.rules import RULES_OF_KINDS, Action, Attention, GraceStart, NoGrace, Rule
from tests.component.policies import dev_faults, stage, three

# Its path, its plain value, and its long form.
RULES_AS_WRITTEN: list[tuple[str, str, Any]] = [
    ("findings.max.low", "7", 7),
    ("findings.deny", "[CVE-2021-44228, GHSA-jfh8-c2jp-5v3q]", {"CVE-2021-44228", "GHSA-jfh8-c2jp-5v3q"}),
    ("findings.secrets", "0", 0),
    ("findings.misconfigurations", "3", 3),
    ("findings.licenses", "12", 12),
    ("image.max_age", "90d", timedelta(days=90)),
    ("image.max_size", "500MB", 500_000_000),
    ("image.max_size", "1.5GiB", 3 << 29),
    ("image.labels", "[a.b, c]", {"a.b": "*", "c": "*"}),
    ("image.labels", "{a.b: 'x*', c: '1.0'}", {"a.b": "x*", "c": "1.0"}),
    ("image.base_images", "[base]", ("base",)),
    ("image.platforms", "[linux/amd64, linux/arm/v7]", {"linux/amd64", "linux/arm/v7"}),
    ("image.non_root", "true", True),
    ("image.tags", "['v*', 1.0]", ("v*", "1.0")),
    ("image.forbidden_tags", "[latest]", ("latest",)),
    ("evidence.require_provenance", "['https://x/*']", ("https://x/*",)),
]
KINDS = {rule: kind for kind, rule in RULES_OF_KINDS.items()}


def written(path: str, value: str) -> str:
    """Write `image.tags` and `x` as `image: {tags: x}`."""
    *above, last = path.split(".")
    return "".join(f"{key}: {{" for key in above) + f"{last}: {value}" + "}" * len(above)


def rule_at(of: Stage, path: str) -> Rule[Any] | None:
    first, *rest = path.split(".")
    if rest[0] == "max":
        return of.findings.max.get(Severity.parse(rest[1]))
    if path in KINDS:
        return of.findings.max_of_kind.get(KINDS[path])
    rule: Rule[Any] | None = getattr(getattr(of, first), rest[0])
    return rule


@pytest.mark.parametrize(("path", "text", "value"), RULES_AS_WRITTEN)
def test_a_rule_is_its_plain_value_or_a_value_with_an_action_or_off(path: str, text: str, value: Any) -> None:
    assert rule_at(stage(written(path, text)), path) == Rule(value)
    for action in Action:
        long = written(path, f"{{value: {text}, action: {action}}}")
        assert rule_at(stage(long), path) == Rule(value, action)
    assert rule_at(stage(written(path, f"{{value: {text}}}")), path) == Rule(value)
    off = rule_at(stage(written(path, "off")), path)
    # A kind that is off is not judged at all; one that is not written counts by severity.
    assert off == (Rule(0, Action.OFF) if path in KINDS else None)


@pytest.mark.parametrize("path", ["image.non_root", "evidence.require_signature"])
def test_a_requirement_set_to_false_is_no_rule(path: str) -> None:
    assert rule_at(stage(written(path, "false")), path) is None


@pytest.mark.parametrize(("text", "asked"), [("cyclonedx", "cyclonedx"), ("spdx", "spdx"), ("off", None)])
def test_an_sbom_is_requested_in_one_format_or_not_at_all(text: str, asked: str | None) -> None:
    assert stage(f"evidence: {{sbom: {text}}}").evidence.sbom == asked
    assert stage("").evidence.sbom is None
    assert stage("evidence: {sbom: off}", "evidence: {sbom: spdx}").evidence.sbom is None


def test_the_stage_before_can_have_signed() -> None:
    text = three().replace(
        "prod: {repositories: prod}", "prod: {repositories: prod, evidence: {require_signature: true}}"
    )
    assert parse_policy(text.encode()).stages["prod"].evidence.require_signature == Rule(True)


def test_older_files_say_limit_for_the_value_of_a_limit() -> None:
    assert stage("findings: {max: {low: {limit: 3, action: warn}}}").findings.max[Severity.LOW] == Rule(
        3, Action.WARN
    )
    assert dev_faults("findings: {max: {low: {limit: 3, value: 4}}}") == [
        "findings.max.low.value: value and limit are the same; give one of them"
    ]
    assert dev_faults("image: {max_age: {limit: 3d}}") == [
        "image.max_age.limit: unknown key (did you mean value?)"
    ]


def test_filters_say_which_findings_count() -> None:
    rules = stage(
        "findings: {only_fixable: [low, untriaged], grace: {critical: 2d, high: 14, medium: 12h}, "
        "grace_starts: fix_available, no_worse_than: next_stage, "
        "no_grace: {known_exploited: true, exploit_available: off, epss: 0.5}}"
    ).findings
    assert rules.only_fixable == {Severity.LOW, Severity.UNDEFINED}
    assert rules.grace == {
        Severity.CRITICAL: timedelta(days=2),
        Severity.HIGH: timedelta(days=14),
        Severity.MEDIUM: timedelta(hours=12),
    }
    assert rules.grace_starts is GraceStart.FIX_AVAILABLE
    assert rules.no_grace == NoGrace(known_exploited=True, epss=0.5)
    assert rules.no_worse_than_next


@pytest.mark.parametrize(("text", "severities"), [("true", set(Severity)), ("false", set()), ("[]", set())])
def test_only_fixable_is_for_all_for_none_or_for_some(text: str, severities: set[Severity]) -> None:
    assert stage(f"findings: {{only_fixable: {text}}}").findings.only_fixable == severities


FILTERS_AS_WRITTEN = {
    "only_fixable": "[low]",
    "grace": "{high: 2d}",
    "no_grace": "{epss: 0}",
    "no_worse_than": "next_stage",
}


@pytest.mark.parametrize(("name", "text"), FILTERS_AS_WRITTEN.items())
def test_a_filter_is_used_or_not_and_never_only_warns(name: str, text: str) -> None:
    plain = stage(f"findings: {{{name}: {text}}}")
    assert plain != stage()
    assert stage(f"findings: {{{name}: {{value: {text}, action: enforce}}}}") == plain
    assert stage(f"findings: {{{name}: {{value: {text}, action: off}}}}") == stage()
    assert stage(f"findings: {{{name}: off}}") == stage()
    [fault] = dev_faults(f"findings: {{{name}: {{value: {text}, action: warn}}}}")
    assert fault.startswith(
        f"findings.{name}.action: must be 'enforce' or 'off': a filter says which findings count"
    )


@pytest.mark.parametrize(
    ("text", "epss"), [("0", 0.0), ("1", 1.0), ("0.05", 0.05), (".5", 0.5), ("'0.5'", 0.5), ("off", None)]
)
def test_epss_is_a_probability(text: str, epss: float | None) -> None:
    assert stage(f"findings: {{no_grace: {{epss: {text}}}}}").findings.no_grace == NoGrace(epss=epss)


def test_alerts_that_are_not_given_keep_their_default() -> None:
    alerts = stage("alerts: {none: alert, untriaged: log}").alerts
    assert alerts[None] is Attention.ALERT
    assert alerts[Severity.UNDEFINED] is Attention.LOG
    assert alerts[Severity.CRITICAL] is Attention.ALERT


def test_an_old_scan_is_not_good_enough_where_the_stage_says_so() -> None:
    assert stage("scan: {max_scan_age: 7d}").max_scan_age == timedelta(days=7)
    assert stage("scan: {max_scan_age: off}", defaults="scan: {max_scan_age: 7d}").max_scan_age is None


def maven(name: str) -> Package:
    return Package(name, ecosystem="maven")


def npm(name: str) -> Package:
    return Package(name, ecosystem="npm")


LOG4J = [maven("log4j-core"), maven("org.apache.logging.log4j:log4j-core")]
BARE = Package("log4j-core")
GO = "github.com/a/b"
OPENSSL = Package("openssl")
# How they are written, packages that are meant, and others that are not.
PROHIBITED = [
    ("log4j-core", [*LOG4J, BARE], [Package("log4j-core2"), npm("x/log4j-core")]),
    ("{name: log4j-core, ecosystem: maven}", [*LOG4J, BARE], [npm("log4j-core")]),
    ("{name: 'log4j*'}", LOG4J, [Package("xlog4j")]),
    ('"pkg:maven/org.apache.logging.log4j/log4j-core"', [*LOG4J, BARE], [maven("a:log4j-core")]),
    ('"pkg:npm/event-stream"', [npm("event-stream")], [npm("@x/event-stream")]),
    ('"pkg:npm/%40angular/core"', [npm("@angular/core")], [npm("core")]),
    ('"pkg:npm/@angular/core"', [npm("@angular/core")], [npm("core")]),
    (f'"pkg:golang/{GO}"', [Package(GO, ecosystem="golang")], [Package("b", ecosystem="golang")]),
    ('"pkg:deb/debian/openssl"', [OPENSSL], [Package("openssl", ecosystem="rpm")]),
    ('"pkg:pypi/a%2Ab"', [Package("a*b", ecosystem="pypi")], [Package("axb", ecosystem="pypi")]),
]


@pytest.mark.parametrize(("text", "meant", "others"), PROHIBITED)
def test_a_prohibited_package_is_the_one_that_scanners_name(
    text: str, meant: list[Package], others: list[Package]
) -> None:
    rule = stage(f"packages: {{prohibited: [{text}]}}").findings.prohibited
    assert rule is not None
    assert all(any(one.names(package) for one in rule.value) for package in meant)
    assert not any(one.names(package) for one in rule.value for package in others)


def test_versions_are_a_range_or_the_one_of_the_package_url() -> None:
    rule = stage('packages: {prohibited: [{name: a, versions: ">=2, <3", ecosystem: npm}, "pkg:npm/b@1.0"]}')
    assert rule.findings.prohibited is not None
    assert [one.versions for one in rule.findings.prohibited.value] == [">=2, <3", "=1.0"]


def test_the_table_of_rules_is_the_one_of_the_shapes() -> None:
    """The rules with a long form are those that have one in the shapes."""

    def places(shape: Any, path: tuple[str, ...] = ()) -> Any:
        for name, field in shape.model_fields.items():
            for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(inner, type) and issubclass(inner, RuleShape | FilterShape):
                    yield (*path, name), issubclass(inner, FilterShape)
                elif hasattr(inner, "model_fields"):
                    yield from places(inner, (*path, name))

    known = dict(places(GateShape))
    assert {place for place in known if place[:2] != LIMITS} == RULES
    assert {place for place, is_filter in known.items() if is_filter} == FILTERS


def test_a_part_that_is_not_given_is_as_if_it_was_given_empty() -> None:
    """The defaults are made without validation, which would build the schema of each part once more."""

    def defaults(shape: type[Shape]) -> Iterator[Shape]:
        for field in shape.model_fields.values():
            value = field.get_default(call_default_factory=True, validated_data={})
            if isinstance(value, Shape):
                yield value
                yield from defaults(type(value))

    made = list(defaults(PolicyFileShape))
    assert len(made) > 10
    for value in made:
        assert value == type(value).model_validate({}), type(value)
