"""Disguises by values and by bytes: other types, other spellings, other encodings."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.component.disguised_documents import Pairs, Raw, bytes_of, objects_in, replaced, text_of
from tests.component.disguised_keys import Mutate, escaped

_NUMBERS = (
    "{}.0",
    "{}e0",
    "{}E+0",
    "0{}",
    "-{}",
    "{}.5",
    '"{}"',
    "[{}]",
    "{}0",
    "true",
    "-0",
    "99999999999999999999",
)
_SPACES = (" ", "\n", "\t", "\r\n", "\f", "\v", "\u00a0", "\ufeff", "\u2028", "\0")


def _place(chance: random.Random, document: Any, is_meant: Callable[[Any], bool]) -> tuple[Pairs, int] | None:
    places = [
        (had, place)
        for had in objects_in(document)
        for place, (_, value) in enumerate(had)
        if is_meant(value)
    ]
    return chance.choice(places) if places else None


def _with(document: Any, place: tuple[Pairs, int], value: Any) -> Any:
    had, number = place
    return replaced(document, had, Pairs([*had[:number], (had[number][0], value), *had[number + 1 :]]))


def number_otherwise(chance: random.Random, document: Any, _other: Any) -> Any:
    place = _place(chance, document, lambda value: isinstance(value, int))
    if place is None:
        return document
    value = place[0][place[1]][1]
    return _with(document, place, Raw(chance.choice(_NUMBERS).format(value)))


def text_otherwise(chance: random.Random, document: Any, _other: Any) -> Any:
    place = _place(chance, document, lambda value: isinstance(value, str))
    if place is None:
        return document
    text = str(place[0][place[1]][1])
    space = chance.choice(_SPACES)
    ways = (
        *(f"{text}{space}", f"{space}{text}", text.upper(), text.title(), "", f"{text};{space}charset=utf-8"),
        *(f"{text}\ud800", text.replace("s", "\u017f"), text.replace("a", "\u0430"), escaped(chance, text)),
    )
    return _with(document, place, chance.choice(ways))


def another_type(chance: random.Random, document: Any, _other: Any) -> Any:
    place = _place(chance, document, lambda _: True)
    if place is None:
        return document
    value = place[0][place[1]][1]
    others: tuple[Any, ...] = (7, "7", True, None, [], Pairs(), [value], Pairs([("0", value)]), 0, "")
    return _with(document, place, chance.choice(others))


def others_value(chance: random.Random, document: Any, other: Any) -> Any:
    """Take one value of the other document: a digest, a size, a list that does not belong here."""
    theirs = chance.choice(list(objects_in(other)))
    place = _place(chance, document, lambda _: True)
    if place is None or not theirs:
        return document
    return _with(document, place, chance.choice(theirs)[1])


def other_bytes(chance: random.Random, document: Any, other: Any) -> Any:
    content, text = bytes_of(document), text_of(document)
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: b"\xef\xbb\xbf" + content,
        lambda: text.encode(
            chance.choice(("utf-16", "utf-16-le", "utf-32", "utf-7", "utf-8-sig")), "surrogatepass"
        ),
        lambda: content + chance.choice((b"x", b"{}", b"\0", b",", b"]", b"\xff", bytes_of(other))),
        lambda: chance.choice((b"\0", b"[]", b"//\n", b"\xc2\xa0", b"\f")) + content,
        lambda: content.replace(b"linux", b"linux\xff", 1),
        lambda: content.replace(b'"', b"'", 1),
        lambda: content.replace(b"}", b",}", 1),
        lambda: content.replace(b": ", b': NaN, "x": ', 1),
        lambda: content.replace(b": ", b": /* */ ", 1),
        lambda: content.replace(b"application", b"appl\x01ication", 1),
        lambda: content.replace(b"{", b'{"x": ' + b"[" * 40 + b"]" * 40 + b", ", 1),
        lambda: content.replace(b"{", b'{"x": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b", ", 1),
        lambda: content[: -chance.randint(1, 20)],
        lambda: b"[" + content + b"]",
    )
    return chance.choice(ways)()


def other_space(chance: random.Random, document: Any, _other: Any) -> Any:
    space = chance.choice((b" ", b"\n", b"\r\n\t", b" " * 1000))
    return space + bytes_of(document).replace(b", ", space + b"," + space) + space


BY_VALUES: dict[str, Mutate] = {
    "a number otherwise": number_otherwise,
    "a text otherwise": text_otherwise,
    "a value of another type": another_type,
    "a value of another document": others_value,
    "other bytes": other_bytes,
    "other space": other_space,
}
