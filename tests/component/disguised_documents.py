"""Documents as somebody wrote them: keys in their order, also twice; and a repository that keeps any bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from imagegate.oci.image import Digest


class Raw(str):
    """Is written as it is, as a key and as a value."""


class Pairs(list[tuple[str, Any]]):
    """An object: its keys in order, and a key as often as it is here."""

    @classmethod
    def of(cls, **members: Any) -> Pairs:
        return cls(members.items())

    def get(self, name: str) -> Any:
        return next((value for key, value in self if key == name), None)

    def put(self, name: str, value: Any) -> Pairs:
        """Return it with this member, at the place that it had before, or the last."""
        if all(key != name for key, _ in self):
            return Pairs([*self, (name, value)])
        return Pairs((key, value if key == name else had) for key, had in self)

    def without(self, name: str) -> Pairs:
        return Pairs(member for member in self if member[0] != name)


def text_of(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs):
        members = (
            f"{text_of(Raw(key) if isinstance(key, Raw) else key)}: {text_of(had)}" for key, had in value
        )
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(text_of, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def bytes_of(value: Any) -> bytes:
    return value if isinstance(value, bytes) else text_of(value).encode(errors="surrogatepass")


def objects_in(value: Any) -> Iterator[Pairs]:
    """Yield the object and all that are in it."""
    if isinstance(value, Pairs):
        yield value
    for child in (
        [had for _, had in value] if isinstance(value, Pairs) else value if isinstance(value, list) else []
    ):
        yield from objects_in(child)


def replaced(value: Any, old: Pairs, new: Any) -> Any:
    """Return the same document with another object at this place."""
    if value is old:
        return new
    if isinstance(value, Pairs):
        return Pairs((key, replaced(had, old, new)) for key, had in value)
    return [replaced(child, old, new) for child in value] if isinstance(value, list) else value


@dataclass
class Shelf:
    """A repository that takes any bytes under any type; to the gate's steps it is ECR and its registry."""

    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def blob(self, content: bytes, media_type: str) -> Pairs:
        digest = str(Digest.of(content))
        self.blobs[digest] = content
        return Pairs.of(mediaType=media_type, digest=digest, size=len(content))

    def push(self, document: Any, media_type: str, told: str | None = None) -> Pairs:
        """Keep it as `told`: what the registry says that it is, if that is another type than the descriptor's."""
        content = bytes_of(document)
        digest = str(Digest.of(content))
        self.manifests[digest] = content, media_type if told is None else told
        return Pairs.of(mediaType=media_type, digest=digest, size=len(content))
