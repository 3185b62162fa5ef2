"""Containers and the images that they name, as people write them into task definitions.

Source: the reference grammar of the distribution specification's registries: `host/path[:tag][@digest]`, where a name
without a host is Docker Hub's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from imagegate.errors import RejectedInputError
from imagegate.oci.image import Digest

_DOCKER_HUB = "docker.io"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")


class InvalidReferenceError(RejectedInputError):
    """Not the name of an image."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a task: `image` as it was written, `digest` as Amazon ECS resolved it, where it did."""

    name: str
    image: str
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name in its parts. `tag` is `latest` where neither a tag nor a digest was written."""

    host: str
    path: str
    tag: str | None
    digest: Digest | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise `InvalidReferenceError`, or `InvalidDigestError` for what is no sha256 digest."""
        name, at, digest = text.partition("@")
        host, path = _host_and_path(name)
        path, colon, tag = path.partition(":")
        if not _PATH.fullmatch(path) or (colon and not _TAG.fullmatch(tag)):
            raise InvalidReferenceError(f"not the name of an image: {text!r}")
        return cls(host, path, tag or (None if at else "latest"), Digest.parse(digest) if at else None)

    @property
    def name(self) -> str:
        return f"{self.host}/{self.path}"

    def is_in(self, registry: str) -> bool:
        """Whether it is in `ACCOUNT.dkr.ecr.REGION.SUFFIX`, by whichever of its names."""
        return self.host in _names_of(registry)

    def is_below(self, prefix: str) -> bool:
        """Whole parts of the name count: `quay.io/team` covers `quay.io/team/tool`, and never `quay.io/teams`."""
        return f"{self.name}/".startswith(prefix.rstrip("/") + "/")


def resolve_digests(written: Iterable[Container], seen: Iterable[Container]) -> list[Container]:
    """The containers that people wrote, with the digests that Amazon ECS found for them.

    What ECS itself adds to a task (agents of GuardDuty and Service Connect) is nobody's image and left out.
    """
    by_name = {container.name: container for container in seen}
    return [
        replace(container, digest=found.digest, image=found.image or container.image)
        if (found := by_name.get(container.name))
        else container
        for container in written
    ]


def parse_prefixes(text: str) -> tuple[str, ...]:
    """`public.ecr.aws/datadog, quay.io/team`: names that images may have though no gate has seen them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def is_covered(reference: Reference, allowed: Sequence[str]) -> bool:
    return any(reference.is_below(prefix) for prefix in allowed)


def _host_and_path(name: str) -> tuple[str, str]:
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        return head.lower(), rest
    return _DOCKER_HUB, name if slash else f"library/{name}"


def _names_of(registry: str) -> frozenset[str]:
    """Amazon ECR user guide, "Making requests to Amazon ECR registries": dual-stack and FIPS endpoints."""
    account, _, rest = registry.partition(".dkr.ecr.")
    region, _, suffix = rest.partition(".")
    return frozenset(
        {
            registry,
            f"{account}.dkr.ecr-fips.{region}.{suffix}",
            f"{account}.dkr-ecr.{region}.on.aws",
            f"{account}.dkr-ecr-fips.{region}.on.aws",
        }
    )
