"""Images: digests, repository names and descriptors.

Rule: a digest identifies an image; a tag never does.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from imagegate.errors import (
    AmbiguousDocumentError,
    CorruptContentError,
    InvalidDigestError,
    RejectedInputError,
)
from imagegate.strict_json import check_keys, known_keys, optional, shown, texts

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
# Amazon ECR API reference, CreateRepository.repositoryName.
_REPOSITORY = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
MANIFEST_MEDIA_TYPES = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)
INDEX_MEDIA_TYPES = (OCI_INDEX, DOCKER_LIST)

_DESCRIPTOR = known_keys(
    *("mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType")
)
_PLATFORM = known_keys("architecture", "os", "os.version", "os.features", "variant", "features")
_PLATFORM_PART = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MAX_SIZE = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A well-formed `sha256:` digest. Holding one means the format was checked."""

    value: str

    @classmethod
    def parse(cls, text: object) -> Self:
        if not isinstance(text, str) or not _SHA256.fullmatch(text):
            raise InvalidDigestError(f"not a sha256 digest: {text!r}")
        return cls(text)

    @classmethod
    def of(cls, content: bytes) -> Self:
        return cls("sha256:" + hashlib.sha256(content).hexdigest())

    @property
    def hex(self) -> str:
        return self.value.removeprefix("sha256:")

    @property
    def short(self) -> str:
        """The digest shortened for people: `sha256:0123456789ab`."""
        return self.value[:19]

    def check(self, content: bytes, name: str) -> bytes:
        """Return `content`, or raise `CorruptContentError` if it has another digest."""
        if Digest.of(content) != self:
            raise CorruptContentError(f"{name}: the bytes have the digest {Digest.of(content)}, not {self}")
        return content

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, order=True)
class ImageRef:
    """One image in one repository of this registry."""

    repository: str
    digest: Digest

    @classmethod
    def of(cls, repository: object, digest: object) -> Self:
        return cls(repository_name(repository), Digest.parse(digest))

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"

    def name(self, tags: Collection[str]) -> str:
        """Return the reference that people use: by its first tag, or by its digest if it has none."""
        return f"{self.repository}:{min(tags)}" if tags else str(self)

    def short_name(self, tags: Collection[str]) -> str:
        """Return the name with a short digest, for texts that nobody pastes into a command."""
        return self.name(tags) if tags else f"{self.repository}@{self.digest.short}"


def repository_name(text: object) -> str:
    """Return a valid repository name. Raises `RejectedInputError`."""
    if not isinstance(text, str) or len(text) > 256 or not _REPOSITORY.fullmatch(text):
        raise RejectedInputError(f"not an ECR repository name: {text!r}")
    return text


@dataclass(frozen=True, slots=True)
class Descriptor:
    """OCI content descriptor (image-spec, descriptor.md). Sizes in bytes."""

    media_type: str
    digest: Digest
    size: int
    platform: str | None = None
    artifact_type: str | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    data: str | None = field(default=None, compare=False, repr=False)  # the embedded content, in base64
    urls: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: Any, name: str = "a descriptor") -> Self:
        """Read a descriptor. Raises `AmbiguousDocumentError` if it is none, or could be read as another one."""
        check_keys(raw, _DESCRIPTOR, name)
        size, media_type = optional(int, raw, "size", name), optional(str, raw, "mediaType", name)
        if size is None or not 0 <= size <= _MAX_SIZE:
            raise AmbiguousDocumentError(f"{name} needs a size in bytes")
        if not media_type:
            raise AmbiguousDocumentError(f"{name} needs a mediaType")
        descriptor = cls(
            media_type=media_type,
            digest=_digest(raw, name),
            size=size,
            platform=_platform(raw["platform"], name) if raw.get("platform") is not None else None,
            artifact_type=optional(str, raw, "artifactType", name) or None,
            annotations=texts(raw, "annotations", name),
            data=optional(str, raw, "data", name),
            urls=_urls(raw, name),
        )
        descriptor._check_embedded(name)
        return descriptor

    def _check_embedded(self, name: str) -> None:
        try:
            _ = self.embedded
        except CorruptContentError as error:
            raise AmbiguousDocumentError(f"{name}: {error}") from error

    @property
    def embedded(self) -> bytes | None:
        """The embedded content (image-spec, "Embedded Content"), or None if there is none.

        Raises `CorruptContentError`, but never for a descriptor that was parsed.
        """
        if self.data is None:
            return None
        try:
            content = b64decode(self.data, validate=True)
        except ValueError as error:
            raise CorruptContentError(f"{self.digest}: the embedded content is not base64") from error
        if len(content) != self.size:
            raise CorruptContentError(f"{self.digest}: {len(content)} bytes are embedded, not {self.size}")
        return self.digest.check(content, "embedded content")

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEX_MEDIA_TYPES

    @property
    def is_foreign(self) -> bool:
        """True if registries need not have this layer (image-spec, "Non-Distributable Layers")."""
        return "nondistributable" in self.media_type or ".foreign." in self.media_type

    def as_json(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}


def _digest(raw: dict[str, Any], name: str) -> Digest:
    try:
        return Digest.parse(raw.get("digest"))
    except InvalidDigestError as error:
        raise AmbiguousDocumentError(f"{name}: not a sha256 digest: {shown(raw.get('digest'))}") from error


def _platform(raw: Any, name: str) -> str:
    """Return a platform such as `linux/arm64/v8`. Raises without os or architecture, whose defaults differ."""
    check_keys(raw, _PLATFORM, f"the platform of {name}")
    parts = [optional(str, raw, key, name) for key in ("os", "architecture", "variant")]
    if not parts[0] or not parts[1]:
        raise AmbiguousDocumentError(f"the platform of {name} needs an os and an architecture")
    return join_platform(parts, name)


def join_platform(parts: Iterable[str | None], name: str) -> str:
    """Return os, architecture and variant in one text. Raises for a part with a slash, which would look like two."""
    present = [part for part in parts if part]
    if not all(map(_PLATFORM_PART.fullmatch, present)):
        raise AmbiguousDocumentError(f"the platform of {name} is {shown('/'.join(present))}")
    return "/".join(present)


def _urls(raw: dict[str, Any], name: str) -> tuple[str, ...]:
    urls = optional(list, raw, "urls", name) or []
    if not all(isinstance(url, str) for url in urls):
        raise AmbiguousDocumentError(f"{name}: its urls are not all texts")
    return tuple(urls)
