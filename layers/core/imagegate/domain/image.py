"""Images: digests, references, and what a manifest says about itself.

Rule: a digest identifies an image; a tag never does.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from imagegate.domain.errors import CorruptContentError, InvalidDigestError, RejectedInputError

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
        """As people read it: `sha256:0123456789ab`."""
        return self.value[:19]

    def check(self, content: bytes, name: str) -> bytes:
        """Return `content`, or raise `CorruptContentError` when it has another digest."""
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


def repository_name(text: object) -> str:
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
    data: str | None = field(
        default=None, compare=False, repr=False
    )  # the content in base64, as it is written

    @classmethod
    def parse(cls, raw: Any) -> Self:
        if not isinstance(raw, dict) or type(raw.get("size")) is not int or raw["size"] < 0:
            raise RejectedInputError("a descriptor needs a size in bytes")
        if not isinstance(raw.get("mediaType"), str):
            raise RejectedInputError("a descriptor needs a mediaType")
        platform = raw.get("platform")
        return cls(
            media_type=raw["mediaType"],
            digest=Digest.parse(raw.get("digest")),
            size=raw["size"],
            platform=_platform(platform) if isinstance(platform, dict) else None,
            artifact_type=raw.get("artifactType"),
            annotations=_annotations(raw),
            data=raw["data"] if isinstance(raw.get("data"), str) else None,
        )

    @property
    def embedded(self) -> bytes | None:
        """The content that the descriptor brings along, checked (image-spec, "Embedded Content"); None: it brings none.

        Raises `CorruptContentError`.
        """
        if self.data is None:
            return None
        try:
            content = b64decode(self.data, validate=True)
        except ValueError as error:
            raise CorruptContentError(f"{self.digest}: what is embedded is not base64") from error
        if len(content) != self.size:
            raise CorruptContentError(f"{self.digest}: {len(content)} bytes are embedded, not {self.size}")
        return self.digest.check(content, "embedded content")

    @property
    def is_index(self) -> bool:
        return self.media_type in (OCI_INDEX, DOCKER_LIST)

    @property
    def is_foreign(self) -> bool:
        """A layer that registries need not hold (image-spec, "Non-Distributable Layers")."""
        return "nondistributable" in self.media_type or ".foreign." in self.media_type

    @property
    def is_attestation(self) -> bool:
        """buildx stores provenance and SBOMs as children of the index, for a platform that nothing runs on.

        The annotation alone would hide any child from the gate.
        """
        annotated = self.annotations.get("vnd.docker.reference.type") == "attestation-manifest"
        return annotated and self.platform == "unknown/unknown"

    def as_json(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}


def _platform(raw: dict[str, Any]) -> str:
    parts = [raw.get("os", "unknown"), raw.get("architecture", "unknown"), raw.get("variant")]
    return "/".join(str(part) for part in parts if part)


def _annotations(raw: dict[str, Any]) -> dict[str, str]:
    annotations = raw.get("annotations")
    return dict(annotations) if isinstance(annotations, dict) else {}


class Kind(StrEnum):
    """What a manifest is to the gate."""

    IMAGE = "image"
    INDEX = "index"
    ARTIFACT = "artifact"  # signatures, SBOMs, attestations, charts: evidence or not ours


@dataclass(frozen=True, slots=True)
class Manifest:
    """A parsed manifest with its exact bytes (image-spec, manifest.md and image-index.md)."""

    content: bytes
    media_type: str
    digest: Digest
    kind: Kind
    artifact_type: str | None
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: dict[str, str]

    @classmethod
    def parse(cls, content: bytes, media_type: str | None = None) -> Self:
        """Raise `RejectedInputError` when the bytes are not a manifest that we know."""
        try:
            raw = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise RejectedInputError(f"the manifest is not JSON: {type(error).__name__}") from error
        if not isinstance(raw, dict):
            raise RejectedInputError("the manifest is not a JSON object")
        found = _media_type(raw, media_type)
        config = Descriptor.parse(raw["config"]) if "config" in raw else None
        return cls(
            content=content,
            media_type=found,
            digest=Digest.of(content),
            kind=_kind(found, raw, config),
            artifact_type=raw.get("artifactType") or (config.media_type if config else None),
            config=config,
            layers=_descriptors(raw, "layers"),
            children=_descriptors(raw, "manifests"),
            subject=Descriptor.parse(raw["subject"]) if raw.get("subject") else None,
            annotations=_annotations(raw),
        )

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, self.digest, len(self.content))

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers, each digest once, in the manifest's order."""
        all_of_them = ((self.config,) if self.config else ()) + self.layers
        return tuple({blob.digest: blob for blob in all_of_them}.values())

    @property
    def is_evidence(self) -> bool:
        """Says something about another manifest and cannot run itself: what travels along with its subject."""
        config = self.config.media_type if self.config else ""
        return self.subject is not None and bool(self.layers) and config not in (OCI_CONFIG, DOCKER_CONFIG)

    @property
    def runnable(self) -> tuple[Descriptor, ...]:
        """The images that run, and so are scanned and judged: every platform of an index, or the image itself."""
        if self.kind is Kind.INDEX:
            return tuple(child for child in self.children if not child.is_attestation)
        return (self.descriptor,)


def _media_type(raw: dict[str, Any], given: str | None) -> str:
    """The one thing that the body is; a body that could be two things is refused (CVE-2021-41190)."""
    own = raw.get("mediaType")
    found = str(own or given or "")
    if found not in MANIFEST_MEDIA_TYPES:
        raise RejectedInputError(f"not a manifest type that imagegate knows: {found!r}")
    if own and given and own != given:
        raise RejectedInputError(f"the manifest says that it is {own!r}, the registry that it is {given!r}")
    foreign = {"config", "layers"} if found in (OCI_INDEX, DOCKER_LIST) else {"manifests"}
    if foreign & set(raw):
        raise RejectedInputError(f"the manifest is of type {found!r}, but has {sorted(foreign & set(raw))}")
    return found


def _descriptors(raw: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
    entries = raw.get(key) or []
    if not isinstance(entries, list):
        raise RejectedInputError(f"the manifest's {key} is not a list")
    return tuple(Descriptor.parse(entry) for entry in entries)


def _kind(media_type: str, raw: dict[str, Any], config: Descriptor | None) -> Kind:
    if raw.get("subject") or raw.get("artifactType"):
        return Kind.ARTIFACT
    if media_type in (OCI_INDEX, DOCKER_LIST):
        return Kind.INDEX
    runnable = config is not None and config.media_type in (OCI_CONFIG, DOCKER_CONFIG)
    return Kind.IMAGE if runnable else Kind.ARTIFACT
