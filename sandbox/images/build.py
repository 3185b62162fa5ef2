"""Small real images and indexes as OCI layouts: the same input gives the same digest everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.images import packing
from sandbox.images.config import Below, image_config, inherit_from, platform_of
from sandbox.images.layout_files import INDEX as INDEX
from sandbox.images.layout_files import MANIFEST as MANIFEST
from sandbox.images.layout_files import (
    Descriptor,
    add_blob,
    blob,
    descriptor_of,
    digest_of,
    encoded,
    list_in_layout,
    read,
)
from sandbox.images.layout_files import LayoutImage as LayoutImage
from sandbox.images.layout_files import is_foreign as is_foreign
from sandbox.images.packing import Files as Files  # the content of a layer

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, slots=True)
class _Types:
    """One family of media types."""

    manifest: str
    index: str
    config: str
    gzip: str
    zstd: str
    foreign: str


_OCI = _Types(
    MANIFEST,
    INDEX,
    CONFIG,
    LAYER,
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
)
_DOCKER = _Types(
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
)


@dataclass(frozen=True, slots=True)
class LayoutIndex(LayoutImage):
    """One index in a layout; its children's digests by platform."""

    platforms: Mapping[str, str] = field(default_factory=dict)
    attestations: Mapping[str, str] = field(default_factory=dict)
    nested: str | None = None  # the index within this one

    def image(self, platform: str) -> LayoutImage:
        """Return the image of a platform, for example as a base for the same platform of another index."""
        digest = self.platforms[platform]
        size, manifest = blob(self.folder, digest).stat().st_size, read(self.folder, digest)
        return LayoutImage(self.folder, digest, size, manifest["mediaType"])


def based_on(image: LayoutImage, name: str) -> dict[str, str]:
    """Return the annotations that name the base of an image; `name` is the reference with which people pull it."""
    key = "org.opencontainers.image.base"
    return {f"{key}.name": name, f"{key}.digest": image.digest}


def build_image(
    folder: Path,
    *,
    files: Files,
    base: LayoutImage | None = None,
    base_layers: Sequence[Files] = (),
    foreign_layers: Sequence[Files] = (),
    labels: Mapping[str, str] | None = None,
    user: str | None = None,
    os: str = "linux",
    architecture: str = "amd64",
    annotations: Mapping[str, str] | None = None,
    tag: str | None = None,
    docker: bool = False,
    zstd: bool = False,
) -> LayoutImage:
    """Add an image to the layout in `folder`: one layer for each of `base_layers`, then `files`.

    `base`: an image of any layout; its layers come first, and its user and labels apply unless others are given, as
    with `FROM`. `architecture` may have a variant: `arm64/v8`. `annotations` are the manifest's. `foreign_layers` come
    below all others: the manifest says where to fetch them, the layout does not have them.
    """
    types = _DOCKER if docker else _OCI
    foreign = [packing.tar(layer) for layer in foreign_layers]
    archives = [packing.tar(layer) for layer in (*base_layers, files)]
    below = inherit_from(folder, base)
    config = image_config([*foreign, *archives], f"{os}/{architecture}", below, labels, user)
    layers = [
        *below.layers,
        *(_foreign_descriptor(packing.gzip(archive), types.foreign) for archive in foreign),
    ]
    layers += _layers(folder, archives, types, zstd=zstd)
    descriptor = _manifest(folder, types, config, layers, annotations)
    list_in_layout(folder, descriptor, tag)
    return LayoutImage(folder, descriptor["digest"], descriptor["size"], types.manifest)


def build_index(
    folder: Path,
    *,
    platforms: Mapping[str, Files],
    bases: Mapping[str, LayoutImage] | None = None,
    labels: Mapping[str, str] | None = None,
    user: str | None = None,
    annotations: Mapping[str, str] | None = None,
    attestations: bool = False,
    nested: bool = False,
    tag: str | None = None,
    docker: bool = False,
) -> LayoutIndex:
    """Add a multi-platform image to the layout in `folder`; only the index is listed there.

    A platform is written `linux/amd64` or `linux/arm/v7`. `bases`: the base of each platform's image. `labels` and
    `user` are those of every image, `annotations` the index's own. `attestations`: a provenance for each image, as
    buildx attaches it. `nested`: all platforms but the first are in an index within the index.
    """
    types = _DOCKER if docker else _OCI
    images = {
        name: _child(folder, types, name, files, inherit_from(folder, (bases or {}).get(name)), labels, user)
        for name, files in platforms.items()
    }
    evidence = {name: _attestation(folder, image) for name, image in images.items()} if attestations else {}
    children = [*images.values(), *evidence.values()]
    inner = _index(folder, types, children[1:]) if nested else None
    listed = [children[0], inner] if inner else children
    descriptor = _index(folder, types, listed, annotations)
    list_in_layout(folder, descriptor, tag)
    return LayoutIndex(
        folder,
        descriptor["digest"],
        descriptor["size"],
        types.index,
        {name: image["digest"] for name, image in images.items()},
        {name: attestation["digest"] for name, attestation in evidence.items()},
        inner["digest"] if inner else None,
    )


def _child(
    folder: Path,
    types: _Types,
    platform: str,
    files: Files,
    below: Below,
    labels: Mapping[str, str] | None,
    user: str | None,
) -> Descriptor:
    archives = [packing.tar(files)]
    layers = [*below.layers, *_layers(folder, archives, types, zstd=False)]
    config = image_config(archives, platform, below, labels, user)
    descriptor = _manifest(folder, types, config, layers)
    return descriptor | {"platform": platform_of(platform)}


def _attestation(folder: Path, image: Descriptor) -> Descriptor:
    """Return BuildKit's "attestation storage": an image manifest without a platform that names its image."""
    statement = {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": [{"name": "image", "digest": {"sha256": image["digest"].partition(":")[2]}}],
        "predicate": {"buildType": "https://mobyproject.org/buildkit@v1"},
    }
    layer = add_blob(folder, encoded(statement), "application/vnd.in-toto+json")
    layer["annotations"] = {"in-toto.io/predicate-type": statement["predicateType"]}
    config = image_config([encoded(statement)], "unknown/unknown") | {"config": {}}
    about = {
        "vnd.docker.reference.digest": image["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    descriptor = _manifest(folder, _OCI, config, [layer])
    return descriptor | {"annotations": about, "platform": platform_of("unknown/unknown")}


def _layers(folder: Path, archives: Iterable[bytes], types: _Types, *, zstd: bool) -> list[Descriptor]:
    pack, media_type = (packing.zstd, types.zstd) if zstd else (packing.gzip, types.gzip)
    return [add_blob(folder, pack(archive), media_type) for archive in archives]


def _foreign_descriptor(content: bytes, media_type: str) -> Descriptor:
    digest = digest_of(content)
    return descriptor_of(content, media_type) | {"urls": [f"https://layers.invalid/{digest}"]}


def _manifest(
    folder: Path,
    types: _Types,
    config: dict[str, Any],
    layers: Sequence[Descriptor],
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    document = {
        "schemaVersion": 2,
        "mediaType": types.manifest,
        "config": add_blob(folder, encoded(config), types.config),
        "layers": layers,
    } | _with_annotations(annotations)
    return add_blob(folder, encoded(document), types.manifest)


def _index(
    folder: Path,
    types: _Types,
    children: Sequence[Descriptor],
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    document = {"schemaVersion": 2, "mediaType": types.index, "manifests": children}
    return add_blob(folder, encoded(document | _with_annotations(annotations)), types.index)


def _with_annotations(annotations: Mapping[str, str] | None) -> dict[str, Any]:
    return {"annotations": dict(annotations)} if annotations else {}
