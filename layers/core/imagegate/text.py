"""Text from outside as one printable line: names, versions, tags, labels, reasons and errors that others wrote.

Rules: a line ends only at its end, and controls neither a terminal nor a log nor the order in which people read it.
Other white space becomes a plain space; invisible characters are shown as escapes (`\\x1b`, `\\u202e`).
Each kind of output applies this in one place: mail (`Message`), terminal, Markdown, SARIF, HTML, JSON, log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

# Unicode, DerivedCoreProperties, Default_Ignorable_Code_Point: printable for Python, but invisible. U+FE0F is kept:
# it is part of an emoji. Format characters (Cf) are not printable for Python.
_UNSEEN = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef"
    "\u2800"  # a blank of braille
)
_INVISIBLE = re.compile(f"[{_UNSEEN}]")
# RFC 3986: the characters of a URL.
_URL = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+", re.IGNORECASE)
# Amazon SNS API reference, Publish: fewer than 100 ASCII characters, no control characters.
_SUBJECT_LIMIT = 99
MESSAGE_LIMIT = 500  # characters of an error message of a service
_LONGEST_TEXTS, _SHORTEST, _LONGEST = 100_000, 60, 4_000  # bytes of all in JSON, and of each


def printable(text: str, limit: int | None = None) -> str:
    """Return the text as one printable line, with its plain spaces as they are."""
    if not text.isprintable() or _INVISIBLE.search(text):
        text = re.sub(r"[^\S ](?:\s*[^\S ])?", " ", text)
        text = "".join(character if _is_seen(character) else _escaped(character) for character in text)
    return text if limit is None else shorten(text, limit)


def shorten(text: str, limit: int) -> str:
    """Return the text with at most so many characters: what is cut off ends in `…`."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def one_line(text: str, limit: int | None = None) -> str:
    """Return the text as one printable line with single spaces, cut with `…` if it is longer than `limit`."""
    return printable(" ".join(printable(text).split()), limit)


def fit_texts(texts: Sequence[str]) -> list[str]:
    """Return the texts, cut with `…` so that all of them have at most 100,000 bytes in JSON, or 60 each."""
    most = max(_SHORTEST, min(_LONGEST, _LONGEST_TEXTS // max(1, len(texts))))
    return [_fit(text, most) for text in texts]


def _fit(text: str, most: int) -> str:
    kept = text[:most]
    while len(json.dumps(kept)) > most:  # a character has up to twelve bytes
        kept = kept[: len(kept) * 7 // 8]
    return text if kept == text else f"{kept}…"


def is_one_line(text: str) -> bool:
    """Say whether the text is one printable line already."""
    return printable(text) == text


def counted(number: int, noun: str) -> str:
    """Return the number with the noun, in its plural unless the number is one: `1 image`, `2 repositories`."""
    if number == 1:
        return f"{number} {noun}"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}es" if noun.endswith(("x", "s")) else f"{number} {noun}s"


def list_some(shown: Sequence[str], number: int) -> str:
    """Return the texts and how many more there are: `a, b and 7 more`. `number`: of all, shown or not."""
    rest = number - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def subject_line(text: str) -> str:
    """Return the text as the subject of a mail: one short line of ASCII."""
    ascii_only = "".join(c if " " <= c <= "~" else "?" for c in one_line(text))
    return ascii_only if len(ascii_only) <= _SUBJECT_LIMIT else ascii_only[: _SUBJECT_LIMIT - 3] + "..."


def json_text(document: Any, **how: Any) -> str:
    """Return printable JSON with invisible characters as `\\u202e`; programs read the same values from it.

    `how`: options of `json.dumps`.
    """
    written = json.dumps(document, ensure_ascii=False, **how)
    if written.isascii() and "\x7f" not in written:
        return written
    # Outside of strings JSON is ASCII, and its only control characters are the line ends of the indentation.
    return "".join(c if c == "\n" or _is_seen(c) else _json_escaped(c) for c in written)


def escape_unencodable(error: UnicodeError) -> tuple[str, int]:
    """Return escapes like `\\u2192` for characters that the encoding of a stream lacks; also JSON stays what it is.

    It is an error handler for `codecs.register_error`. Raises the error again if it is none of encoding.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_json_escaped, error.object[error.start : error.end])), error.end


def web_link(text: str) -> str | None:
    """Return the text if it is an https or http link with a host, else None."""
    if not _URL.fullmatch(text):
        return None
    try:
        return text if urlsplit(text).hostname else None
    except ValueError:
        return None


def lines_only(document: Any) -> Any:
    """Return the document with each of its strings, at any depth, as one printable line."""
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
    """Return the escape; RFC 8259, "Strings": of a character beyond U+FFFF, a surrogate pair."""
    pair = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pair[at : at + 2].hex()}" for at in range(0, len(pair), 2))
