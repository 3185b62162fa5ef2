"""The card of a message for Slack and Microsoft Teams, through Amazon Q Developer in chat applications.

Source: Amazon Q Developer in chat applications administrator guide, "Custom notifications": the schema and its limits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from imagegate.text import one_line, shorten

if TYPE_CHECKING:
    from imagegate.notices.message import Message

_TITLE, _DESCRIPTION, _STEP, _STEPS, _SUMMARY, _THREAD = 250, 8_000, 350, 10, 250, 250
# A fact of the mail in two columns. The card leaves them out: the command for all of it is one of its steps.
_FACT = re.compile(r"[A-Z][A-Za-z ]{0,11} {2,}\S|Digest {2,}")
_COMMAND = re.compile(r"^(?P<label>[A-Z].*?:? +|  )(?P<command>imagegate [a-z].*)$")
# The words before our own commands. A line with others may be of a person who wants to have a command called.
LABELS = frozenset(
    {
        *(
            "All",
            "All findings",
            "Approve it",
            "As a page",
            "Blocked",
            "Check",
            "Keep it out",
            "Let it in",
            "More",
            "Put back",
        ),
        *("See", "Who did it", "Why", "Release it again", "Let one finding pass for a while"),
        *("If this is not right, end it now", "If you still want it there, request it again"),
        "More began than were counted here. All of them",
    }
)


def chat_card(message: Message) -> dict[str, Any]:
    """Return the custom notification of a message. All messages about one image are one thread."""
    commands = {line: match for line in message.lines if (match := _command(line))}
    rows = [line for line in message.lines if line in commands or not _FACT.match(line)]
    steps = [_step(commands[row]) for row in rows if row in commands]
    steps = [step for step in steps if len(step) <= _STEP]  # half a command helps nobody
    text = "\n".join(_plain(row) for row in rows if row not in commands).strip()
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return {
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": one_line(_plain(message.subject), _TITLE),
            "description": shorten(text, _DESCRIPTION),
            "nextSteps": steps[:_STEPS],
        },
        "metadata": {
            "threadId": one_line(_thread(message), _THREAD),
            "summary": one_line(_plain(message.subject), _SUMMARY),
            "eventType": message.detail_type,
            "enableCustomActions": False,
        },
    }


def _thread(message: Message) -> str:
    repository, digest = message.detail.get("repository"), message.detail.get("digest")
    return f"{repository}@{digest}" if repository and digest else str(message.detail["id"])


def _command(line: str) -> re.Match[str] | None:
    match = _COMMAND.match(line) or _COMMAND.match(line.strip())
    return match if match and _label(match) in {"", *LABELS} else None


def _label(match: re.Match[str]) -> str:
    return match["label"].strip().removesuffix(":")


def _step(match: re.Match[str]) -> str:
    label = _label(match)
    command = f"`{_plain(match['command'].strip()).replace('`', '')}`"
    return f"{_plain(label)}: {command}" if label else command


def _plain(text: str) -> str:
    """Return the text without what a chat would read as a mention or as a link with another name."""
    return text.replace("<", "‹").replace("](", "] (")
