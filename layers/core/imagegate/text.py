"""Text from outside as one printable line: names, versions, tags, labels, reasons and errors that others wrote.

Rules: a line that is shown breaks nowhere but at its end, and steers nothing: no terminal, no reader's eye, no log.
White space that is not a plain space becomes one; what cannot be seen is shown as an escape (`\\x1b`, `\\u202e`).
Each kind of output applies this at one place: mail (`Message`), terminal, Markdown, SARIF, HTML, JSON, log.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

# Unicode, DerivedCoreProperties, Default_Ignorable_Code_Point: printable for Python, and seen by nobody. U+FE0F stays:
# it is part of an emoji. Format characters (Cf) are not printable for Python.
_UNSEEN = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef"
    "\u2800"  # a blank of braille
)
_INVISIBLE = re.compile(f"[{_UNSEEN}]")
# RFC 3986: what a URL is written with.
_URL = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+", re.IGNORECASE)
# Amazon SNS API reference, Publish: fewer than 100 ASCII characters, no control characters.
_SUBJECT_LIMIT = 99
MESSAGE_LIMIT = 500  # of what a service says is wrong: more is no explanation


def printable(text: str, limit: int | None = None) -> str:
    """Return the text as one line that can be printed, with its plain spaces as they are."""
    if not text.isprintable() or not text.isascii():
        text = re.sub(r"[^\S ](?:\s*[^\S ])?", " ", text)
        text = "".join(character if _is_seen(character) else _escaped(character) for character in text)
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def one_line(text: str, limit: int | None = None) -> str:
    """Return the text as one printable line with single spaces, cut with `…` where it is longer than `limit`."""
    return printable(" ".join(printable(text).split()), limit)


def is_one_line(text: str) -> bool:
    """Whether the text can be shown as it is."""
    return printable(text) == text


def subject_line(text: str) -> str:
    """Return the text as the subject of a mail may be: one line of ASCII, and short."""
    ascii_only = "".join(c if " " <= c <= "~" else "?" for c in one_line(text))
    return ascii_only if len(ascii_only) <= _SUBJECT_LIMIT else ascii_only[: _SUBJECT_LIMIT - 3] + "..."


def json_text(document: Any, **how: Any) -> str:
    """Return JSON that can be printed; what cannot be seen is written `\\u202e`. Programs read the same values.

    `how`: as `json.dumps` takes it.
    """
    written = json.dumps(document, ensure_ascii=False, **how)
    if written.isascii() and "\x7f" not in written:
        return written
    # Outside of strings there is nothing but ASCII, and no control character but the line ends of the indentation.
    return "".join(c if c == "\n" or _is_seen(c) else _json_escaped(c) for c in written)


def web_link(text: str) -> str | None:
    """Return the text if it is a link that may be followed: https or http, with a host; else None."""
    if not _URL.fullmatch(text):
        return None
    try:
        return text if urlsplit(text).hostname else None
    except ValueError:
        return None


def lines_only(document: Any) -> Any:
    """Return a document of strings, lists and objects with each string, at any depth, as one line."""
    if isinstance(document, str):
        return one_line(document)
    if isinstance(document, dict):
        return {one_line(key): lines_only(value) for key, value in document.items()}
    return [lines_only(value) for value in document] if isinstance(document, list | tuple) else document


def _is_seen(character: str) -> bool:
    return character.isprintable() and not _INVISIBLE.match(character)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escaped(character: str) -> str:
    """RFC 8259, "Strings": a character beyond U+FFFF is a pair."""
    pair = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pair[at : at + 2].hex()}" for at in range(0, len(pair), 2))
