"""The rule for the chat takes the card of what somebody should read, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonpath_ng.parser import parse as parse_path
from moto.events.models import EventPattern

from imagegate.notices.announcement import announce
from imagegate.notices.chat import chat_card
from imagegate.notices.message import event_detail
from imagegate.release.release import Outcome
from tests.contract.test_template import RESOURCES
from tests.unit.samples import release

RULE: dict[str, Any] = RESOURCES["CardsForTheChat"]["Properties"]


def event(attention: str) -> dict[str, Any]:
    detail = event_detail(announce(release(attention=attention), Outcome.RELEASED))
    return {
        "source": "imagegate",
        "account": "123456789012",
        "detail-type": "Image Released",
        "detail": detail,
    }


@pytest.mark.parametrize(("attention", "is_shown"), [("alert", True), ("log", False)])
def test_only_what_somebody_should_read_goes_to_the_chat(attention: str, is_shown: bool) -> None:
    pattern = json.dumps({**RULE["EventPattern"], "account": ["123456789012"]})
    assert bool(EventPattern.load(pattern).matches_event(event(attention))) is is_shown


def test_the_topic_gets_the_card_alone() -> None:
    [target] = RULE["Targets"]
    [found] = parse_path(target["InputPath"]).find(event("alert"))
    assert found.value == chat_card(announce(release(attention="alert"), Outcome.RELEASED))


def test_nothing_of_the_chat_is_made_unless_it_is_asked_for() -> None:
    assert {RESOURCES[name]["Condition"] for name in ("Chat", "ChatPolicy", "CardsForTheChat")} == {
        "HasChatTopic"
    }
