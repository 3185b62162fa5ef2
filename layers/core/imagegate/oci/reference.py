"""Containers, and the references of their images as people write them into task definitions.

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
HTTPS = ":443"  # the port that a registry has anyway
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")


class InvalidReferenceError(RejectedInputError):
    """The text is not the name of an image."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a task. `image`: as it was written. `digest`: as Amazon ECS resolved it, or None."""

    name: str
    image: str
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """The parts of an image's name. `tag` is `latest` if neither a tag nor a digest was written."""

    host: str
    path: str
    tag: str | None
    digest: Digest | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a name. Raises `InvalidReferenceError`, or `InvalidDigestError` for a malformed digest."""
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
        """Return True if it is in the registry `ACCOUNT.dkr.ecr.REGION.SUFFIX`, under any of the registry's names."""
        return self.host in names_of(registry)

    def is_below(self, prefix: str) -> bool:
        """Return True if whole parts of the name match: `quay.io/team` has `quay.io/team/tool`, not `quay.io/teams`."""
        return f"{self.name}/".startswith(prefix.rstrip("/") + "/")


def resolve_digests(defined: Iterable[Container], running: Iterable[Container]) -> list[Container]:
    """Return the containers of a task definition with the digests that Amazon ECS resolved.

    Containers that ECS adds to a task (agents of GuardDuty and Service Connect) are left out.
    """
    by_name = {container.name: container for container in running}
    return [_resolve(container, by_name.get(container.name)) for container in defined]


def _resolve(container: Container, running: Container | None) -> Container:
    if running is None:
        return container
    return replace(container, digest=running.digest, image=running.image or container.image)


def parse_prefixes(text: str) -> tuple[str, ...]:
    """Split `public.ecr.aws/datadog, quay.io/team`: the prefixes of images that need no gate."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def is_covered(reference: Reference, allowed: Sequence[str]) -> bool:
    return any(reference.is_below(prefix) for prefix in allowed)


def _host_and_path(name: str) -> tuple[str, str]:
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        return head.lower().removesuffix(HTTPS), rest
    return _DOCKER_HUB, name if slash else f"library/{name}"


def names_of(registry: str) -> frozenset[str]:
    """Return all names of a registry, with dual-stack and FIPS endpoints.

    Source: Amazon ECR user guide, "Making requests to Amazon ECR registries".
    """
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
