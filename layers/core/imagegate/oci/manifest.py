"""Image manifests and indexes, with their exact bytes.

Rule: a manifest is read once, by `Manifest.parse`. It refuses a document that another client could read differently
(image-spec, manifest.md and image-index.md; CVE-2021-41190).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from imagegate.errors import AmbiguousDocumentError
from imagegate.oci.image import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX_MEDIA_TYPES,
    MANIFEST_MEDIA_TYPES,
    Descriptor,
    Digest,
)
from imagegate.strict_json import check_keys, known_keys, optional, read_object, shown, texts

_DOCUMENT = known_keys(
    *(
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "subject",
        "annotations",
    ),
    *("fsLayers", "history", "signatures"),
)
# The keys that a document of one kind must not have, not even empty: clients recognise the kind by its keys.
_FOREIGN_TO_INDEXES = ("config", "layers", "fsLayers", "history", "signatures")
_FOREIGN_TO_MANIFESTS = ("manifests", "fsLayers", "history", "signatures")


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest or an index, with its exact bytes. Every client reads these bytes in the same way.

    The gate decides by the content whether it can run, never by `subject` or `artifact_type`: see `oci.artifact`.
    """

    content: bytes
    media_type: str
    digest: Digest
    artifact_type: str | None
    config: Descriptor | None  # None for an index
    layers: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: dict[str, str]

    @classmethod
    def parse(cls, content: bytes, media_type: str | None = None) -> Self:
        """Read a manifest. `media_type`: the type that the registry reports.

        Raises `AmbiguousDocumentError` unless the bytes are one manifest to every client.
        """
        raw = check_keys(read_object(content, "the manifest"), _DOCUMENT, "the manifest")
        own_type = _media_type(raw, media_type)
        _check_kind(raw, own_type)
        is_index = own_type in INDEX_MEDIA_TYPES
        config = None if is_index else Descriptor.parse(raw.get("config"), "the config's descriptor")
        return cls(
            content=content,
            media_type=own_type,
            digest=Digest.of(content),
            artifact_type=_artifact_type(raw, config),
            config=config,
            layers=() if is_index else _descriptors(raw, "layers"),
            children=_descriptors(raw, "manifests") if is_index else (),
            subject=_subject(raw),
            annotations=texts(raw, "annotations", "the manifest"),
        )

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEX_MEDIA_TYPES

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, self.digest, len(self.content))

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers, each digest once, in the manifest's order."""
        blobs = ((self.config,) if self.config else ()) + self.layers
        return tuple({blob.digest: blob for blob in blobs}.values())

    def check_fits(self, child: Descriptor) -> None:
        """Raise `AmbiguousDocumentError` unless the entry of an index has this manifest's type and size."""
        if (child.media_type, child.size) != (self.media_type, len(self.content)):
            raise AmbiguousDocumentError(
                f"{child.digest.short} is described as {shown(child.media_type)} of {child.size} bytes,"
                f" and is {self.media_type} of {len(self.content)}"
            )


def _media_type(raw: dict[str, Any], header: str | None) -> str:
    """Return the media type. A manifest of Docker must have it; one of OCI may leave it to the registry's header."""
    own = optional(str, raw, "mediaType", "the manifest")
    reported = (header or "").partition(";")[0].strip()
    media_type = own or reported
    if media_type not in MANIFEST_MEDIA_TYPES:
        raise AmbiguousDocumentError(f"not a manifest type that imagegate knows: {shown(media_type)}")
    if own and reported and own != reported:
        raise AmbiguousDocumentError(
            f"the manifest says that it is {shown(own)}, the registry that it is {shown(reported)}"
        )
    if not own and media_type in (DOCKER_MANIFEST, DOCKER_LIST):
        raise AmbiguousDocumentError(f"a manifest of type {media_type!r} has to say so itself")
    return media_type


def _check_kind(raw: dict[str, Any], media_type: str) -> None:
    if optional(int, raw, "schemaVersion", "the manifest") != 2:
        raise AmbiguousDocumentError("the manifest's schemaVersion is not 2")
    foreign = _FOREIGN_TO_INDEXES if media_type in INDEX_MEDIA_TYPES else _FOREIGN_TO_MANIFESTS
    if keys := [key for key in foreign if key in raw]:
        raise AmbiguousDocumentError(f"the manifest is of type {media_type!r}, but has {', '.join(keys)}")


def _artifact_type(raw: dict[str, Any], config: Descriptor | None) -> str | None:
    """Return `artifactType`, or else the config's type (image-spec, "Guidelines for Artifact Usage")."""
    return optional(str, raw, "artifactType", "the manifest") or (config.media_type if config else None)


def _subject(raw: dict[str, Any]) -> Descriptor | None:
    subject = raw.get("subject")
    return None if subject is None else Descriptor.parse(subject, "the subject's descriptor")


def _descriptors(raw: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
    entries = optional(list, raw, key, "the manifest")
    if entries is None:
        raise AmbiguousDocumentError(f"the manifest has no {key}")
    return tuple(Descriptor.parse(entry, f"entry {n} of {key}") for n, entry in enumerate(entries))
