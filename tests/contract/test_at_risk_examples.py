"""The rules in `examples/at-risk/`: which events start a build, and what the build gets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
FILES = {path.stem: path for path in sorted((ROOT / "examples/at-risk").glob("*.yaml"))}
TEMPLATES: dict[str, dict[str, Any]] = {name: yaml_parse(path.read_text()) for name, path in FILES.items()}
EVENT = json.loads((ROOT / "events/image_at_risk.json").read_text())
REPOSITORY = EVENT["detail"]["repository"]


def rule(name: str) -> dict[str, Any]:
    properties: dict[str, Any] = TEMPLATES[name]["Resources"]["ImageAtRisk"]["Properties"]
    return properties


def matches(name: str, **changes: Any) -> bool:
    pattern = json.loads(
        json.dumps(rule(name)["EventPattern"]).replace('{"Ref": "Repository"}', f'"{REPOSITORY}"')
    )
    event = {**EVENT, "detail": {**EVENT["detail"], "needsBuild": True, "current": True, **changes}}
    return bool(EventPattern.load(json.dumps(pattern)).matches_event(event))


@pytest.mark.parametrize("name", FILES)
def test_a_build_starts_for_a_current_image_that_no_release_replaces(name: str) -> None:
    assert matches(name)
    for other in ({"needsBuild": False}, {"current": False}, {"repository": "other-production"}):
        assert not matches(name, **other)


@pytest.mark.parametrize("name", FILES)
def test_the_input_is_json_with_the_image(name: str) -> None:
    [target] = rule(name)["Targets"]
    transformer = target["InputTransformer"]
    values = {
        key: EVENT["detail"][path.removeprefix("$.detail.")]
        for key, path in transformer["InputPathsMap"].items()
    }
    text = re.sub(r"<(\w+)>", lambda found: json.dumps(values[found[1]]), transformer["InputTemplate"])
    assert json.loads(text)
    assert EVENT["detail"]["digest"] in text


@pytest.mark.parametrize("name", FILES)
def test_a_role_may_do_one_thing(name: str) -> None:
    [policy] = TEMPLATES[name]["Resources"]["Role"]["Properties"]["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert isinstance(statement["Action"], str)
    assert statement["Resource"] != "*"
