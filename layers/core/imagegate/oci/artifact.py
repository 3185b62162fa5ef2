"""The distinction between manifests that could run and those that cannot: an allow-list of forms, proven by content.

Rule: a manifest that some runtime would start is an image, whatever type it claims. The sources of containerd, Docker
and Podman say what they start: `core/images/mediatypes.go`, `daemon/internal/distribution/registry.go`, `image/oci.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from imagegate.errors import AmbiguousDocumentError
from imagegate.oci.image import DOCKER_CONFIG, OCI_CONFIG, OCI_MANIFEST, Descriptor, Digest
from imagegate.oci.image_config import CONFIG_KEYS, CONTAINER_KEYS
from imagegate.strict_json import check_keys, fold, read_object, shown

if TYPE_CHECKING:
    from imagegate.oci.manifest import Manifest

EMPTY_CONFIG = Digest.of(b"{}")  # image-spec, "Guidance for an Empty Descriptor"
ATTESTATION = "attestation-manifest"
REFERENCE_TYPE, REFERENCE = "vnd.docker.reference.type", "vnd.docker.reference.digest"
NO_PLATFORM = "unknown/unknown"  # the platform of the attestations of buildx
SOCI_INDEX = "application/vnd.amazon.soci.index.v2+json"
SOCI_IMAGE = "com.amazon.soci.image-manifest-digest"

# Docker reads a config of these types, or of any type with such a prefix in upper or lower case, as an image config.
_CONFIG_PREFIXES = ("application/vnd.oci.image.", "application/vnd.docker.")
_CONFIGS = ("application/octet-stream", "application/json", "text/html", "")
# containerd unpacks every layer whose type has such a prefix.
_LAYER_PREFIXES = (
    *("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."),
    *("application/vnd.docker.container.image.rootfs.", "application/vnd.erofs."),
)
# The layers that scanners read, by the documentation of Trivy and Amazon Inspector.
_READ_LAYERS = frozenset(
    {
        *(f"application/vnd.oci.image.layer.v1.tar{packed}" for packed in ("", "+gzip", "+zstd")),
        *(f"application/vnd.docker.image.rootfs.diff.tar{packed}" for packed in ("", ".gzip", ".zstd")),
    }
)
# Layers that are documents beside an image's config. Sources: BuildKit's "attestation storage"; Cosign's
# SIGNATURE_SPEC, ATTESTATION_SPEC and SBOM_SPEC.
_IN_TOTO, _DSSE = "application/vnd.in-toto+json", "application/vnd.dsse.envelope.v1+json"
_SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
_JSON_DOCUMENTS = (
    *(_IN_TOTO, _DSSE, _SIMPLE_SIGNING),
    *(
        "application/vnd.cyclonedx+json",
        "application/spdx+json",
        "text/spdx+json",
        "application/vnd.syft+json",
    ),
)
_TEXT_DOCUMENTS = ("text/spdx", "application/vnd.cyclonedx+xml", "text/spdx+xml", "application/vnd.cyclonedx")
# BuildKit reads no larger attestations.
MAX_DOCUMENT = 40 * 1024 * 1024
_LONGEST_CONFIG = 4 * 1024 * 1024
_TAR_HEADER = 512
_CHECKSUM = slice(148, 156)

Read = Callable[[Descriptor], bytes]


class Form(StrEnum):
    """The way in which a manifest says that it cannot run."""

    EMPTY = "empty"  # its config is `{}` and not an image's; containerd refuses layers that a config does not list
    FOREIGN = "foreign"  # no runtime reads its config, and none unpacks its layers
    DOCUMENTS = "documents"  # its config is an image's, and its layers are documents


def find_form(manifest: Manifest) -> Form | None:
    """Return the form, or None if a runtime reads an image or an index. Only `prove_cannot_run` proves the form."""
    if manifest.media_type != OCI_MANIFEST or manifest.config is None:
        return None
    layers = [_plain(layer.media_type) for layer in manifest.layers]
    config = _plain(manifest.config.media_type)
    is_foreign = not config.startswith(_CONFIG_PREFIXES) and config not in _CONFIGS
    if is_foreign and manifest.config.digest == EMPTY_CONFIG:
        return Form.EMPTY  # oras gives everything that it pushes the type of an image's layer
    if any(layer.startswith(_LAYER_PREFIXES) for layer in layers):
        return None
    if is_foreign:
        return Form.FOREIGN
    documents = (*_JSON_DOCUMENTS, *_TEXT_DOCUMENTS)
    is_image = manifest.config.media_type in (OCI_CONFIG, DOCKER_CONFIG)
    return Form.DOCUMENTS if is_image and layers and all(layer in documents for layer in layers) else None


def check_image(manifest: Manifest) -> None:
    """Raise `AmbiguousDocumentError` for a manifest that could run without a config that all clients read."""
    config = manifest.config.media_type if manifest.config else None
    if config not in (OCI_CONFIG, DOCKER_CONFIG):
        raise AmbiguousDocumentError(
            f"its config is of the type {shown(config)}, which some runtimes start and no scanner reads"
        )


def unread_layers(manifest: Manifest) -> tuple[str, ...]:
    """Return the types of the layers that no scanner reads, including layers that are stored in another place."""
    return tuple(
        shown(layer.media_type)[1:-1]
        for layer in manifest.layers
        if layer.media_type not in _READ_LAYERS or layer.urls
    )


def prove_cannot_run(manifest: Manifest, read: Read) -> None:
    """Raise `AmbiguousDocumentError` unless the content shows that nothing can be started from the manifest.

    `read`: returns the whole content of a blob, checked against its digest; called only if the form requires it.
    """
    match find_form(manifest):
        case Form.EMPTY:
            return
        case Form.FOREIGN:
            _prove_foreign(manifest, read)
        case Form.DOCUMENTS:
            _prove_documents(manifest, read)
        case None:
            raise AmbiguousDocumentError(f"{manifest.digest.short} could run, so it is not evidence")


def _prove_foreign(manifest: Manifest, read: Read) -> None:
    """Raise if the config is an image's: some runtimes read configs of any type."""
    content = _content(manifest, manifest.config, read, _LONGEST_CONFIG)
    if not content.lstrip(b" \t\r\n").startswith(b"{"):
        return
    config = read_object(content, f"the config of {manifest.digest.short}")
    if "rootfs" in map(fold, config):
        raise AmbiguousDocumentError(
            f"{manifest.digest.short} calls itself {manifest.artifact_type!r}, but has the config of an image"
        )


def _prove_documents(manifest: Manifest, read: Read) -> None:
    name = f"the config of {manifest.digest.short}"
    content = _content(manifest, manifest.config, read, _LONGEST_CONFIG)
    raw = check_keys(read_object(content, name), CONFIG_KEYS, name)
    container = raw.get("config")
    if container is not None:
        check_keys(container, CONTAINER_KEYS, name)
        if container.get("Entrypoint") or container.get("Cmd"):
            raise AmbiguousDocumentError(
                f"{manifest.digest.short} calls itself evidence, but has an entrypoint or a command"
            )
    for layer in manifest.layers:
        _prove_document(
            _plain(layer.media_type), _content(manifest, layer, read, MAX_DOCUMENT), layer.digest.short
        )


def _prove_document(media_type: str, content: bytes, name: str) -> None:
    """Raise unless the content is such a document, and no archive: Podman unpacks layers of any type."""
    if _is_tar(content):
        raise AmbiguousDocumentError(f"{name} calls itself {media_type}, but is an archive")
    if media_type in _TEXT_DOCUMENTS:
        if not _is_text(content) or content.startswith(b"BZh"):
            raise AmbiguousDocumentError(f"{name} calls itself {media_type}, but is not text")
        return
    document = read_object(content, name, depth=_DEEPEST, longest=MAX_DOCUMENT)
    if not _FORMS.get(media_type, _any)(document):
        raise AmbiguousDocumentError(f"{name} calls itself {media_type}, but is not such a document")


_DEEPEST = 128  # SBOMs nest their components


def _any(_document: dict[str, Any]) -> bool:
    return True


def _is_statement(document: dict[str, Any]) -> bool:
    return str(document.get("_type")).startswith("https://in-toto.io/Statement/")


def _is_envelope(document: dict[str, Any]) -> bool:
    return {"payload", "payloadType"} <= document.keys()


_FORMS: Mapping[str, Callable[[dict[str, Any]], bool]] = {
    _IN_TOTO: _is_statement,
    _DSSE: _is_envelope,
    _SIMPLE_SIGNING: lambda document: "critical" in document,
}


def _content(manifest: Manifest, blob: Descriptor | None, read: Read, longest: int) -> bytes:
    if blob is None or blob.size > longest:
        raise AmbiguousDocumentError(f"{manifest.digest.short} is too large to be checked as evidence")
    return read(blob)


def _plain(media_type: str) -> str:
    """Return the type in lower case, as Docker compares it, without parameters."""
    return media_type.lower().partition(";")[0].strip()


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n" for character in text)


def _is_tar(content: bytes) -> bool:
    """Return True if the checksum of the first header is right (POSIX pax, "ustar"; V7 has no magic number).

    Old writers added signed bytes, and readers accept both sums (Go, archive/tar, `computeChecksum`).
    """
    header = content[:_TAR_HEADER]
    if len(header) < _TAR_HEADER:
        return False
    try:
        checksum = int(header[_CHECKSUM].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    counted = header[: _CHECKSUM.start] + b" " * 8 + header[_CHECKSUM.stop :]
    unsigned = sum(counted)
    return checksum in (unsigned, unsigned - 256 * sum(byte > 127 for byte in counted))


@dataclass(frozen=True, slots=True)
class Child:
    """An entry of an index that says that it cannot run, with its manifest."""

    entry: Descriptor
    manifest: Manifest
    siblings: frozenset[Digest]  # the entries that run, and precede it

    def check_place(self) -> None:
        """Raise `AmbiguousDocumentError` if a runtime would choose it for one of its platforms."""
        if self.entry.platform in (None, NO_PLATFORM):
            return
        image = self.entry.annotations.get(SOCI_IMAGE)
        is_soci = self.manifest.artifact_type == SOCI_INDEX and image in {
            str(digest) for digest in self.siblings
        }
        if not is_soci:
            raise AmbiguousDocumentError(
                f"{self.entry.digest.short} cannot run, and is listed for {self.entry.platform}"
            )


def is_attestation(entry: Descriptor) -> bool:
    """Return True if an index marks this entry as an attestation of buildx."""
    return entry.annotations.get(REFERENCE_TYPE) == ATTESTATION
