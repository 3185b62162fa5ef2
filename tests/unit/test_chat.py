"""The card for Slack and Teams: what AWS documents for custom notifications, whatever an image is called."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from imagegate.notices.announcement import announce
from imagegate.notices.chat import chat_card
from imagegate.notices.message import event_detail, with_owner
from imagegate.oci.image import ImageRef
from imagegate.release.release import Outcome, Release
from tests.unit.samples import digest, reason, release
from tests.unit.test_announcement import CONSOLE, ENDINGS, MANY_TAGS, outcomes, releases

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
# Amazon Q Developer in chat applications guide, "Custom notifications": parameters and OpenAPI schema.
SCHEMA = {
    "type": "object",
    "required": ["version", "source", "content"],
    "additionalProperties": False,
    "properties": {
        "version": {"const": "1.0"},
        "source": {"const": "custom"},
        "id": TEXT,
        "content": {
            "type": "object",
            "required": ["description"],
            "additionalProperties": False,
            "properties": {
                "textType": {"const": "client-markdown"},
                "title": {**TEXT, "maxLength": 250},
                "description": {**TEXT, "maxLength": 8000},
                "nextSteps": {"type": "array", "items": {**TEXT, "maxLength": 350}},
                "keywords": {"type": "array", "items": {**TEXT, "maxLength": 75}},
            },
        },
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "threadId": TEXT,
                "summary": TEXT,
                "eventType": TEXT,
                "relatedResources": {"type": "array", "items": TEXT},
                "additionalContext": {"type": "object", "additionalProperties": TEXT},
                "enableCustomActions": {"type": "boolean"},
            },
        },
    },
}
DOCUMENTED = Draft202012Validator(SCHEMA)


@given(releases, outcomes)
def test_a_card_is_what_aws_documents(ending: Release, outcome: Outcome) -> None:
    DOCUMENTED.validate(chat_card(announce(ending, outcome, console=CONSOLE)))


@pytest.mark.parametrize("outcome", Outcome)
def test_the_largest_card_is_what_aws_documents(outcome: Outcome) -> None:
    worst = release(
        image=ImageRef("r" * 256, digest()),
        tags=MANY_TAGS,
        detail="\U0001f600" * 32_768,
        reasons=[reason(message="ü" * 3000)] * 10_000,
        remedies=("`" * 3000,) * 10_000,
    )
    message = announce(worst, outcome, console=CONSOLE)
    DOCUMENTED.validate(chat_card(message))
    # Amazon EventBridge user guide, "Adding events with PutEvents": 256 KB for an entry in older Regions.
    assert len(json.dumps(event_detail(message)).encode()) < 250_000


@given(st.text(alphabet="<>@!|[]()`#a", max_size=20))
def test_no_text_mentions_people_or_hides_a_link(text: str) -> None:
    named = chat_card(
        announce(release(tags=frozenset({text}), reasons=[reason(message=f"x{text}")]), Outcome.BLOCKED)
    )
    shown = json.dumps(named["content"])
    assert "<" not in shown
    assert "](" not in shown


def test_a_card_has_what_happened_and_commands_as_next_steps() -> None:
    card = chat_card(announce(ENDINGS[Outcome.BLOCKED], Outcome.BLOCKED, console=CONSOLE))
    content = card["content"]
    assert content["title"] == "BLOCKED: shop/api-dev:1.0 at the dev gate: 3 CRITICAL (at most 0)"
    assert content["description"].startswith("shop/api-dev:1.0 was blocked at the dev gate")
    assert "Upgrade openssl to 3.0.14" in content["description"]
    assert [step.partition(": `imagegate ")[0] for step in content["nextSteps"]] == [
        "Let one finding pass for a while",
        "More",
    ]


def test_all_messages_about_one_image_are_one_thread() -> None:
    threads = {
        chat_card(announce(release(attempt=n), out))["metadata"]["threadId"]
        for n in (1, 2)
        for out in Outcome
    }
    assert threads == {f"shop/api-dev@{digest()}"}
    other = announce(release(image=ImageRef("shop/api-dev", digest("other"))), Outcome.BLOCKED)
    assert chat_card(other)["metadata"]["threadId"] not in threads


def test_the_owner_is_an_attribute_and_in_the_event() -> None:
    message = announce(release(), Outcome.BLOCKED)
    routed = with_owner(message, {"shop/api-dev": "payments"}.get)
    assert routed.attributes == {**message.attributes, "owner": "payments"}
    assert event_detail(routed)["owner"] == "payments"
    assert event_detail(routed)["alert"] == "block"
    assert with_owner(message, lambda _: None) == message


FAULT = "AccessDeniedException: request 1"


@pytest.mark.parametrize(
    ("before", "after", "alert"),
    [
        ({"reasons": [reason()]}, {"reasons": [reason()]}, "log"),
        ({"reasons": [reason()]}, {"reasons": [reason(message="4 CRITICAL")]}, "block"),
        ({"reasons": [reason()]}, {"reasons": [reason(), reason("findings.high", "6 HIGH")]}, "block"),
        ({"outcome": Outcome.FAILED, "detail": FAULT}, {"reasons": [reason()]}, "block"),
    ],
)
def test_the_same_trouble_alerts_once(before: dict[str, Any], after: dict[str, Any], alert: str) -> None:
    earlier = release(**{"outcome": Outcome.BLOCKED, **before})
    later = release(outcome=Outcome.BLOCKED, attempt=2, **after)
    assert announce(later, Outcome.BLOCKED, before=earlier).attributes["alert"] == alert


def test_a_fault_is_the_same_whatever_request_it_names() -> None:
    earlier, later = (
        release(outcome=Outcome.FAILED, attempt=n, detail=f"AccessDeniedException: request {n}")
        for n in (1, 2)
    )
    assert announce(later, Outcome.FAILED, before=earlier).attributes["alert"] == "log"
    other = release(outcome=Outcome.FAILED, attempt=2, detail="States.Timeout: request 2")
    assert announce(other, Outcome.FAILED, before=earlier).attributes["alert"] == "alert"
