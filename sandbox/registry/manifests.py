"""Image manifests: their references, and their kind. No I/O."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sandbox.images.build import is_foreign

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
IMAGE_CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST}) | INDEXES

# ECR quota "Maximum manifest size"; the distribution specification asks for at least this much.
MAX_MANIFEST_BYTES = 4 * 1024 * 1024


class InvalidManifestError(ValueError):
    """These bytes are not a manifest that a registry accepts."""


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A parsed manifest or index. `text` is exactly what was pushed."""

    text: str
    media_type: str
    digest: str
    config_media_type: str | None
    artifact_type: str | None  # as the referrers listing gives it: artifactType, else config type
    blobs: tuple[tuple[str, int], ...]  # config and layers to be held: digest, size
    children: tuple[str, ...]  # an index's manifests
    subject: str | None
    annotations: tuple[tuple[str, str], ...]
    is_scannable: bool
    has_filesystem: bool
    has_config_annotations: bool

    @property
    def size(self) -> int:
        return len(self.text.encode())

    @property
    def image_size(self) -> int:
        return sum(size for _, size in self.blobs)


@lru_cache(maxsize=1024)
def parse_manifest(text: str, media_type: str | None = None) -> StoredManifest:
    """Parse a manifest or index. Raises `InvalidManifestError` with the reason."""
    content = text.encode()
    if len(content) > MAX_MANIFEST_BYTES:
        raise InvalidManifestError(f"manifest is larger than {MAX_MANIFEST_BYTES} bytes")
    document = _document(text)
    kind = _media_type(document, media_type)
    try:
        return _build(text, sha256(content), kind, document)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidManifestError(f"manifest is incomplete: {error!r}") from error


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidManifestError(f"manifest is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidManifestError("manifest is not a JSON object")
    return document


def _media_type(document: dict[str, Any], given: str | None) -> str:
    own = document.get("mediaType")
    if given and own and given != own:
        raise InvalidManifestError(f"manifest says mediaType {own}, the request says {given}")
    kind = given or own
    if kind not in MANIFESTS:
        raise InvalidManifestError(f"manifest media type is not supported: {kind}")
    return str(kind)


def _build(text: str, digest: str, kind: str, document: dict[str, Any]) -> StoredManifest:
    is_index = kind in INDEXES
    config = None if is_index else document["config"]["mediaType"]
    layers = [] if is_index else document["layers"]
    subject = document.get("subject")
    declared = document.get("artifactType")
    return StoredManifest(
        text=text,
        media_type=kind,
        digest=digest,
        config_media_type=config,
        artifact_type=declared or config,
        blobs=() if is_index else _blobs([document["config"], *layers]),
        children=tuple(c["digest"] for c in document["manifests"]) if is_index else (),
        subject=subject["digest"] if subject else None,
        annotations=tuple((document.get("annotations") or {}).items()),
        is_scannable=config in IMAGE_CONFIGS and not declared,
        has_filesystem=any("tar" in layer["mediaType"] for layer in layers),
        has_config_annotations=not is_index and bool(document["config"].get("annotations")),
    )


def _blobs(descriptors: list[dict[str, Any]]) -> tuple[tuple[str, int], ...]:
    return tuple((d["digest"], int(d["size"])) for d in descriptors if not is_foreign(d))
