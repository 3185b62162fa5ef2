"""References to images, `REPOSITORY[:TAG|@DIGEST]`, as people write them or paste them from `docker push`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import click

from imagegate.errors import RejectedInputError
from imagegate.oci.image import Digest, ImageRef, repository_name
from imagegate.oci.reference import HTTPS, names_of
from imagegate_cli.context import CommandLine

# The registry's address, which is not part of a repository's name: ECR's, or HOST:PORT.
_REGISTRY = re.compile(r"(?:(\d{12}\.dkr[.-]ecr[.-][a-z0-9.-]+|[a-zA-Z0-9.-]+:\d+)/)?")
_SANDBOX = re.compile(r"(?:localhost|127\.0\.0\.1):\d+")
# OCI distribution specification, "Pulling manifests".
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class RepositoryReference:
    """A repository, or one image of it. With a digest the tag is ignored. `host`: of its registry, "" if not given."""

    repository: str
    tag: str | None = None
    digest: Digest | None = None
    host: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a reference. Raises `RejectedInputError`, which says which part is wrong."""
        registry = _REGISTRY.match(text)
        host, start = (registry[1], registry.end()) if registry else ("", 0)
        name, at, digest = text[start:].partition("@")
        repository, colon, tag = name.partition(":")
        if colon and not _TAG.fullmatch(tag):
            raise RejectedInputError(f"not a tag: {tag!r}")
        return cls(repository_name(repository), tag or None, Digest.parse(digest) if at else None, host or "")

    @property
    def image(self) -> ImageRef | None:
        return ImageRef(self.repository, self.digest) if self.digest else None

    @property
    def names_an_image(self) -> bool:
        return bool(self.tag or self.digest)

    def check_is_in(self, registry: Callable[[], str]) -> None:
        """Raise `RejectedInputError` if it names another registry, in which the same name is another image.

        `registry`: returns that of the stack; called only if the reference names one. One on loopback is the sandbox's.
        """
        if not self.host or _SANDBOX.fullmatch(self.host):
            return
        ours = registry()
        if self.host.lower().removesuffix(HTTPS) not in names_of(ours):
            raise RejectedInputError(f"{self} is in {self.host}, and the stack is of {ours}")

    def __str__(self) -> str:
        if self.digest:
            return f"{self.repository}@{self.digest.short}"
        return f"{self.repository}:{self.tag}" if self.tag else self.repository


def check_is_here(reference: RepositoryReference, context: click.Context | None) -> None:
    """Raise `RejectedInputError` if the reference names another registry than that of the command's stack."""
    command_line = context.find_object(CommandLine) if context else None
    if command_line is not None:
        reference.check_is_in(lambda: command_line.stack.registry)


class ReferenceType(click.ParamType[RepositoryReference]):
    """A reference on the command line. `needs` is the required form; with "" any form is accepted."""

    name = "reference"

    def __init__(self, needs: str = "") -> None:
        self._needs = needs

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> RepositoryReference:
        if isinstance(value, RepositoryReference):
            return value
        try:
            reference = RepositoryReference.parse(value)
            check_is_here(reference, ctx)
        except RejectedInputError as error:
            self.fail(f"{error}; write {self._needs or 'REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST'}")
        if self._needs and not reference.tag:
            self.fail(f"{value!r} names no tag; write {self._needs}")
        return reference
