"""The form of all messages: a subject and lines for people, a detail for machines, attributes for subscriptions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imagegate.notices.chat import chat_card
from imagegate.text import json_text, one_line, printable, subject_line

if TYPE_CHECKING:
    from imagegate.release.release import Release

TEXT_LIMIT = 300  # characters of a text from outside
_LINE_LIMIT = 4_000  # links to decide are long, and must stay whole
# Bytes of all forms together. Amazon SNS takes 256 KiB with the attributes (API reference, Publish).
_SNS_LIMIT = 240 * 1024
_TEXT_BYTES = 32 * 1024
_ITEMS_KEPT = (10, 5, 1)


@dataclass(frozen=True, slots=True)
class Message:
    """One message in all its forms. Each of `lines` is one line of the mail; texts in it cannot add another."""

    subject: str
    lines: Sequence[str]
    detail_type: str
    detail: dict[str, Any]
    attributes: dict[str, str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", subject_line(self.subject))
        object.__setattr__(self, "lines", tuple(printable(line, _LINE_LIMIT) for line in self.lines))
        printed = {name: cut_text(value) for name, value in self.attributes.items()}
        object.__setattr__(self, "attributes", printed)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def cut_text(text: str) -> str:
    """Return a text from outside as one line that is not too long for a message."""
    return one_line(text, TEXT_LIMIT)


def with_rest(lines: Sequence[str], number: int) -> list[str]:
    """Return the lines, and one that says how many more there are. `number`: of all, shown or not."""
    return [*lines, *([f"  and {number - len(lines)} more"] if number > len(lines) else [])]


def image_name(release: Release) -> str:
    """Return the image by its first tag, or by its short digest if it has no tag."""
    return release.image.short_name(release.tags)


def with_owner(message: Message, owner_of: Callable[[str], str | None]) -> Message:
    """Return the message with the owner of its repository as an attribute, if the policy names one."""
    repository = message.attributes.get("repository")
    owner = owner_of(repository) if repository else None
    if owner is None:
        return message
    return replace(message, attributes={**message.attributes, "owner": owner})


def with_board(message: Message, link: str) -> Message:
    """Return the message with the link to the board as its last line, if there is a board."""
    return replace(message, lines=(*message.lines, *aligned({"Board": link}))) if link else message


def event_detail(message: Message) -> dict[str, Any]:
    """Return the detail of the event: that of the message, who should see it, and the card for a chat."""
    routing: dict[str, Any] = {
        key: message.attributes[key] for key in ("alert", "owner") if key in message.attributes
    }
    return {**message.detail, **routing, "chat": chat_card(message)}


def aligned(facts: Mapping[str, object]) -> list[str]:
    """Return one line per fact, with the values in one column."""
    return [f"{name:<13}{value}" for name, value in facts.items()]


def as_sns_message(message: Message) -> str:
    """Return the text for mail and the JSON for machines, by protocol (`MessageStructure=json`).

    If that is too long for SNS, lists and texts are cut: the first items of each say the most.

    Source: Amazon SNS, "Publishing with different payloads".
    """
    content = _compose(message.text, message.detail)
    for most in _ITEMS_KEPT:
        if len(content.encode()) <= _SNS_LIMIT:
            break
        text = message.text.encode()[:_TEXT_BYTES].decode(errors="ignore")
        content = _compose(
            f"{text}\n… cut; the decision record has all of it\n", _shortened(message.detail, most)
        )
    return content


def _compose(text: str, detail: dict[str, Any]) -> str:
    machine = json_text(detail, sort_keys=True)
    protocols = dict.fromkeys(("sqs", "lambda", "http", "https", "firehose"), machine)
    return json.dumps(
        {"default": text, "email": text, **protocols, "email-json": machine}, ensure_ascii=False
    )


def _shortened(document: Any, most: int) -> Any:
    """Return the document with so many items of each list, and long texts cut."""
    if isinstance(document, dict):
        return {key: _shortened(value, most) for key, value in document.items()}
    if isinstance(document, list):
        return [_shortened(one, most) for one in document[:most]]
    return document[:TEXT_LIMIT] if isinstance(document, str) else document
