"""The schema that editors complete by: it is the shapes' own, explains every key, and refuses nothing accepted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from imagegate.policy.file.load import load_policy
from imagegate.policy.file.yaml import read_yaml
from imagegate_cli.policy.schema import schema, text
from tests.component.policies import SAMPLES, SCHEMA, TODAY, three
from tests.component.policy_damage import damaged
from tests.component.test_policy_rule_faults import BAD_RULES
from tests.component.test_policy_rules import FILTERS_AS_WRITTEN, RULES_AS_WRITTEN, written
from tests.component.test_policy_waivers import BAD_WAIVERS, FINDING, RULE, file

VALIDATOR = Draft202012Validator(schema())
# What only the parser knows: it is about other parts of the file, about names, or about what is in quotes.
BETWEEN_PARTS = re.compile(
    "has no value|has no limit|there is no stage|built on itself|could have signed|forbids every tag|are the same"
    "|covers every|names n|must say what is waived|belongs to a waiver|not both|no package URL type|must be versions"
    "|in quotes|a label is text|beside value|2027-02-31|must be a package URL|would prohibit|must be from"
    "|more than nothing"
)


def as_editors_see(data: Any) -> Any:
    """Read the file as YAML 1.2: a text that looks like a number is one, while the parser takes it for text."""
    if isinstance(data, dict):
        return {key: as_editors_see(part) for key, part in data.items()}
    if isinstance(data, list):
        return [as_editors_see(part) for part in data]
    is_number = isinstance(data, str) and re.fullmatch(r"-?(\.[0-9]+|[0-9]+(\.[0-9]*)?)", data)
    return float(data) if is_number else data


def is_valid(content: str | bytes) -> bool:
    data = read_yaml(content.encode() if isinstance(content, str) else content).data
    return VALIDATOR.is_valid(data) and VALIDATOR.is_valid(as_editors_see(data))


def test_the_checked_in_schema_is_up_to_date() -> None:
    assert SCHEMA.read_text() == text(), "imagegate policy schema > layers/policy/policy.schema.json"


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


def properties(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        for name, inner in part.get("properties", {}).items():
            yield f"{path}.{name}", inner
        for name, inner in part.items():
            yield from properties(inner, f"{path}.{name}")
    elif isinstance(part, list):
        for inner in part:
            yield from properties(inner, path)


def test_every_key_is_explained() -> None:
    definitions = schema()["$defs"]

    def explained(part: dict[str, Any]) -> bool:
        name = part.get("$ref", "").rpartition("/")[2]
        return bool(part.get("description") or definitions.get(name, {}).get("description"))

    assert [path for path, part in properties(schema()) if not explained(part)] == []


def test_every_reference_leads_somewhere() -> None:
    made = schema()
    named = set(re.findall(r"#/\$defs/(\w+)", json.dumps(made)))
    assert named == set(made["$defs"])


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_samples_are_valid_and_name_the_schema(path: Any) -> None:
    assert is_valid(path.read_bytes())
    first = path.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve() == SCHEMA


SPELLINGS = [
    *(written(path, value) for path, value, _ in RULES_AS_WRITTEN),
    *(written(path, f"{{value: {value}, action: warn}}") for path, value, _ in RULES_AS_WRITTEN),
    *(written(path, "{action: off}") for path, _, _ in RULES_AS_WRITTEN),
    *(written(path, "off") for path, _, _ in RULES_AS_WRITTEN),
    *(f"findings: {{{name}: {value}}}" for name, value in FILTERS_AS_WRITTEN.items()),
    *(f"findings: {{{name}: {{value: {value}, action: off}}}}" for name, value in FILTERS_AS_WRITTEN.items()),
    "findings: {only_fixable: true, no_grace: {epss: 0.5, known_exploited: off}, grace: {untriaged: 3}}",
    "findings: {max: {untriaged: {limit: 3, action: warn}, low: {limit: 5}}}",
    "packages: {prohibited: [a, {name: b, versions: 2.17}, 'pkg:npm/c@1.0']}",
    "image: {labels: {value: [a], action: warn}, tags: [1.0]}, alerts: {untriaged: log, none: alert}",
    "scan: {max_scan_age: off, timeout: 90s}, promote_tags: [1.0]",
]


@pytest.mark.parametrize("dev", SPELLINGS)
def test_every_spelling_that_is_accepted_is_valid(dev: str) -> None:
    content = three(dev)
    assert load_policy(content.encode(), today=TODAY).faults == ()
    assert is_valid(content)


@pytest.mark.parametrize("waiver", [FINDING, RULE, FINDING + ", ticket: 12.5, until: fix_available"])
def test_waivers_are_valid(waiver: str) -> None:
    assert is_valid(file(waiver, terms="max_days: 30, ticket: optional"))


def test_the_last_stage_of_an_older_file_may_promote_to_nothing() -> None:
    content = three().replace("repositories: prod", "repositories: prod, promotes_to: ")
    assert load_policy(content.encode()).faults == ()
    assert is_valid(content)


SHAPE_FAULTS = [text for text, fault in BAD_RULES if not BETWEEN_PARTS.search(fault)]


@pytest.mark.parametrize("dev", SHAPE_FAULTS)
def test_a_value_of_the_wrong_shape_is_not_valid(dev: str) -> None:
    assert not is_valid(three(dev))


@pytest.mark.parametrize(("waiver", "right", "wrong", "fault"), BAD_WAIVERS)
def test_a_waiver_of_the_wrong_shape_is_not_valid(waiver: str, right: str, wrong: str, fault: str) -> None:
    assert is_valid(file(waiver.replace(right, wrong, 1))) is bool(BETWEEN_PARTS.search(fault))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("version: 1", "version: 2"),
        ("version: 1\n", ""),
        ("scanner: enhanced", "scanner: inspector"),
        ("defaults: {}", "defaults: {repositories: x}"),
        ("defaults: {}", "defaults:"),
        ("  base:", "  Base:"),
        ("repositories: base", "mode: observe"),
    ],
)
def test_a_file_of_the_wrong_shape_is_not_valid(right: str, wrong: str) -> None:
    assert right in three()
    assert is_valid(three())
    assert not is_valid(three().replace(right, wrong, 1))


@given(damaged())
def test_no_file_that_the_parser_accepts_is_refused(content: bytes) -> None:
    if load_policy(content).policy is not None:
        assert is_valid(content)
