"""`REPOSITORY[:TAG|@DIGEST]`, as people write it to this sandbox."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    r"(?:(?:localhost|[\d.]+):\d+/)?"  # the sandbox's own address, in case it was pasted
    rf"(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127})|@(?P<digest>sha256:[a-f0-9]{64}))?"
)


class InvalidSandboxReferenceError(ValueError):
    """The text does not name an image or a repository."""


@dataclass(frozen=True, slots=True)
class SandboxReference:
    """A repository, or one image of it by tag or by digest."""

    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        match = _REFERENCE.fullmatch(text)
        if not match:
            raise InvalidSandboxReferenceError(f"not REPOSITORY[:TAG|@DIGEST]: {text!r}")
        return cls(**match.groupdict())

    def __str__(self) -> str:
        suffix = f":{self.tag}" if self.tag else f"@{self.digest}" if self.digest else ""
        return self.repository + suffix
