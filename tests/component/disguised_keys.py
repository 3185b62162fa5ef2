"""Disguises by keys: Go's decoder folds them, merges what is there twice, and takes null for nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from typing import Any

from tests.component.disguised_documents import Pairs, Raw, objects_in, replaced

Mutate = Callable[[random.Random, Any, Any], Any]

_LETTERS = {"s": "\u017f", "S": "\u017f", "k": "\u212a", "K": "\u212a"}
# Letters that only look alike, or that other languages fold.
_ALIKE = {
    "i": "\u0131",
    "I": "\u0130",
    "a": "\u0430",
    "e": "\u0435",
    "o": "\u03bf",
    "s": "\u0455",
    "f": "\ufb00",
}


def _cases(chance: random.Random, key: str) -> str:
    ways: list[Callable[[str], str]] = [
        *(str.upper, str.title, str.swapcase, str.capitalize, str.lower),
        lambda text: "".join(chance.choice((one.lower(), one.upper())) for one in text),
    ]
    return chance.choice(ways)(key)


def _letters(chance: random.Random, key: str) -> str:
    places = [place for place, letter in enumerate(key) if letter in _LETTERS]
    if not places:
        return _cases(chance, key)
    place = chance.choice(places)
    return key[:place] + _LETTERS[key[place]] + key[place + 1 :]


def _alike(chance: random.Random, key: str) -> str:
    places = [place for place, letter in enumerate(key) if letter in _ALIKE] or [0]
    place = chance.choice(places)
    ways = (
        key[:place] + _ALIKE.get(key[place], key[place]) + key[place + 1 :],
        f"{key} ",
        f"\0{key}",
        f"{key}\u200b",
    )
    return chance.choice(ways)


def escaped(chance: random.Random, key: str) -> Raw:
    """Return it with some of its letters as `\\u` escapes: the same key to everybody."""
    letters = (f"\\u{ord(one):04x}" if chance.randrange(3) == 0 else json.dumps(one)[1:-1] for one in key)
    return Raw('"' + "".join(letters) + '"')


def _spelled(chance: random.Random, key: str) -> str:
    """Return another key that Go takes for this one, or this one in other letters."""
    other = chance.choice((_cases, _letters))(chance, str(key))
    return escaped(chance, other) if chance.randrange(3) == 0 else other


def _member(chance: random.Random, document: Any, other: Any) -> tuple[Pairs, int, Any]:
    """Return an object of the document, the place of one of its members, and what the other document has there."""
    places = [
        (had, place, theirs) for had, theirs in _both(document, other) for place, (key, _) in enumerate(had)
    ]
    had, place, theirs = chance.choice(places)
    key, value = had[place]
    evil = theirs.get(key) if isinstance(theirs, Pairs) else None
    return had, place, value if evil is None else evil


def _both(one: Any, other: Any) -> Iterable[tuple[Pairs, Any]]:
    return zip(objects_in(one), [*objects_in(other), *([None] * 1000)], strict=False)


def key_in_other_case(chance: random.Random, document: Any, other: Any) -> Any:
    had, place, evil = _member(chance, document, other)
    changed = Pairs(had)
    changed[place] = (_cases(chance, had[place][0]), evil)
    return replaced(document, had, changed)


def key_in_folded_letters(chance: random.Random, document: Any, other: Any) -> Any:
    had, place, evil = _member(chance, document, other)
    changed, key = Pairs(had), _letters(chance, had[place][0])
    changed[place] = (escaped(chance, key) if chance.randrange(2) else key, evil)
    return replaced(document, had, changed)


def key_in_like_letters(chance: random.Random, document: Any, other: Any) -> Any:
    had, _, evil = _member(chance, document, other)
    if not had:
        return document
    key = _alike(chance, chance.choice(had)[0])
    return replaced(document, had, Pairs([*had, (key, evil)]))


def key_in_escapes(chance: random.Random, document: Any, _other: Any) -> Any:
    had, place, _ = _member(chance, document, document)
    changed = Pairs(had)
    changed[place] = (escaped(chance, had[place][0]), had[place][1])
    return replaced(document, had, changed)


def twin_in_other_letters(chance: random.Random, document: Any, other: Any) -> Any:
    had, place, evil = _member(chance, document, other)
    return _beside(chance, document, had, (_spelled(chance, had[place][0]), evil))


def key_twice(chance: random.Random, document: Any, other: Any) -> Any:
    had, place, evil = _member(chance, document, other)
    key = had[place][0]
    return _beside(chance, document, had, (escaped(chance, key) if chance.randrange(2) else key, evil))


def null_twin(chance: random.Random, document: Any, other: Any) -> Any:
    had, place, _ = _member(chance, document, other)
    key = had[place][0]
    return _beside(chance, document, had, (key if chance.randrange(2) else _spelled(chance, key), None))


def merged_twin(chance: random.Random, document: Any, other: Any) -> Any:
    """Add an object or a list twice, the second time with a part of its members: Go merges them."""
    places = [
        (had, key, theirs.get(key))
        for had, theirs in _both(document, other)
        for key, value in had
        if isinstance(value, (Pairs, list)) and isinstance(theirs, Pairs) and theirs.get(key)
    ]
    had, key, evil = chance.choice(places)
    part = _part(chance, evil) if isinstance(evil, Pairs) else [_part(chance, entry) for entry in evil]
    return _beside(chance, document, had, (key if chance.randrange(3) else _spelled(chance, key), part))


def _part(chance: random.Random, value: Any) -> Any:
    """Leave out what is optional, or anything."""
    if not isinstance(value, Pairs):
        return value
    needed = [had for had in value if had[0] in ("mediaType", "digest", "size", "type", "os", "architecture")]
    return Pairs(
        needed if needed and chance.randrange(2) else chance.sample(value, chance.randint(0, len(value)))
    )


def second_list(chance: random.Random, document: Any, other: Any) -> Any:
    """Add the other document's config, layers or manifests, by the key in another case."""
    keys = [key for key, _ in document if key in ("config", "layers", "manifests", "rootfs")]
    if not keys:
        return document
    key = chance.choice(keys)
    return _beside(chance, document, document, (_spelled(chance, key), other.get(key)))


def null_or_nothing(chance: random.Random, document: Any, other: Any) -> Any:
    had, place, _ = _member(chance, document, other)
    changed = Pairs(had)
    if chance.randrange(2):
        changed[place] = (had[place][0], None)
    else:
        del changed[place]
    return replaced(document, had, changed)


def other_order(chance: random.Random, document: Any, _other: Any) -> Any:
    had = chance.choice(list(objects_in(document)))
    return replaced(document, had, Pairs(chance.sample(had, len(had))))


def unknown_key(chance: random.Random, document: Any, other: Any) -> Any:
    """Add a key that no client knows, with what would matter elsewhere in it."""
    had, _, evil = _member(chance, document, other)
    inner = Pairs([("User", "0"), ("user", "1"), ("layers", evil), ("Layers", None)])
    key = chance.choice(("x-note", "moby.buildkit.buildinfo.v0", "container_config", "id", "", "\U0001f433"))
    return _beside(chance, document, had, (key, chance.choice((inner, [inner], "text", 1.5, None))))


def _beside(chance: random.Random, document: Any, had: Pairs, member: tuple[str, Any]) -> Any:
    place = chance.randint(0, len(had))
    return replaced(document, had, Pairs([*had[:place], member, *had[place:]]))


BY_KEYS: dict[str, Mutate] = {
    "a key in another case": key_in_other_case,
    "a key in letters that Go folds": key_in_folded_letters,
    "a key in letters that look alike": key_in_like_letters,
    "a key in escapes": key_in_escapes,
    "a key and its twin in other letters": twin_in_other_letters,
    "a key twice": key_twice,
    "a key and null": null_twin,
    "a key twice, to be merged": merged_twin,
    "a second list in other letters": second_list,
    "null or nothing": null_or_nothing,
    "keys in another order": other_order,
    "a key that nobody knows": unknown_key,
}
