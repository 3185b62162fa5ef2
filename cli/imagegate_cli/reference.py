"""References to images, `REPOSITORY[:TAG|@DIGEST]`, as people write them or paste them from `docker push`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

import click

from imagegate.errors import RejectedInputError
from imagegate.oci.image import Digest, ImageRef, repository_name

# The registry's address, which is not part of a repository's name: ECR's, or HOST:PORT.
_REGISTRY = re.compile(r"(?:\d{12}\.dkr[.-]ecr[.-][a-z0-9.-]+|[a-zA-Z0-9.-]+:\d+)/")
# OCI distribution specification, "Pulling manifests".
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class RepositoryReference:
    """A repository, or one image of it. With a digest the tag is ignored."""

    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a reference. Raises `RejectedInputError`, which says which part is wrong."""
        bare = _REGISTRY.sub("", text, count=1) if _REGISTRY.match(text) else text
        name, at, digest = bare.partition("@")
        repository, colon, tag = name.partition(":")
        if colon and not _TAG.fullmatch(tag):
            raise RejectedInputError(f"not a tag: {tag!r}")
        return cls(repository_name(repository), tag or None, Digest.parse(digest) if at else None)

    @property
    def image(self) -> ImageRef | None:
        return ImageRef(self.repository, self.digest) if self.digest else None

    @property
    def names_an_image(self) -> bool:
        return bool(self.tag or self.digest)

    def __str__(self) -> str:
        if self.digest:
            return f"{self.repository}@{self.digest.short}"
        return f"{self.repository}:{self.tag}" if self.tag else self.repository


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
        except RejectedInputError as error:
            self.fail(f"{error}; write {self._needs or 'REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST'}")
        if self._needs and not reference.tag:
            self.fail(f"{value!r} names no tag; write {self._needs}")
        return reference
