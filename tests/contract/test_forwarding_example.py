"""The template in `examples/forwarding/`: every event of imagegate goes to the tool, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint
from moto.events.models import EventPattern
from samtranslator.yaml_helper import yaml_parse

from imagegate.aws.sns import SOURCE

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples/forwarding/events.yaml"
TEMPLATE: dict[str, Any] = yaml_parse(FILE.read_text())
RESOURCES = {name: one["Properties"] for name, one in TEMPLATE["Resources"].items()}
GUIDE = (ROOT / "docs/how-to/send-messages.md").read_text()


def test_the_linter_of_cloudformation_has_nothing_to_say() -> None:
    assert [str(one) for one in lint(FILE.read_text())] == []


@pytest.mark.parametrize(("source", "is_sent"), [(SOURCE, True), ("aws.ecr", False)])
def test_the_rule_takes_every_event_of_imagegate_and_no_other(source: str, is_sent: bool) -> None:
    event = {"source": source, "detail-type": "Image Blocked", "detail": {}}
    pattern = EventPattern.load(json.dumps(RESOURCES["Events"]["EventPattern"]))
    assert pattern.matches_event(event) is is_sent


def test_the_role_may_do_one_thing_and_the_key_is_not_shown() -> None:
    [policy] = RESOURCES["Role"]["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "events:InvokeApiDestination"
    assert statement["Resource"] == {"Fn::GetAtt": ["Destination", "Arn"]}
    assert TEMPLATE["Parameters"]["Key"]["NoEcho"] is True


def test_the_guide_deploys_it_with_its_parameters() -> None:
    assert f"--template-file {FILE.relative_to(ROOT)}" in GUIDE
    for name in TEMPLATE["Parameters"]:
        assert f" {name}=" in GUIDE
