"""The form of all messages: a subject and lines for people, a detail for machines, attributes for subscriptions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagegate.text import json_text, one_line, printable, subject_line

if TYPE_CHECKING:
    from imagegate.release.release import Release

TEXT_LIMIT = 300  # characters of a text from outside
_LINE_LIMIT = 4_000  # links to decide are long, and must stay whole


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
        printed = {name: one_line(value, TEXT_LIMIT) for name, value in self.attributes.items()}
        object.__setattr__(self, "attributes", printed)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def image_name(release: Release) -> str:
    """Return the image by its first tag, or by its short digest if it has no tag."""
    tags = sorted(release.tags)
    tag = f":{tags[0]}" if tags else f"@{release.image.digest.short}"
    return release.image.repository + tag


def aligned(facts: Mapping[str, object]) -> list[str]:
    """Return one line per fact, with the values in one column."""
    return [f"{name:<13}{value}" for name, value in facts.items()]


def as_sns_message(message: Message) -> str:
    """Return the text for mail and the JSON for machines, by protocol (`MessageStructure=json`).

    Source: Amazon SNS, "Publishing with different payloads".
    """
    machine = json_text(message.detail, sort_keys=True)
    protocols = dict.fromkeys(("sqs", "lambda", "http", "https", "firehose"), machine)
    return json.dumps(
        {
            "default": message.text,
            "email": message.text,
            **protocols,
            "email-json": machine,
        },
        ensure_ascii=False,
    )
