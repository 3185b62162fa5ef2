"""Builds small real images and indexes as OCI layouts: the same input gives the same digest everywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import packing
from sandbox.packing import Files as Files  # what a layer is made of

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CREATED = "1970-01-01T00:00:00Z"
Descriptor = dict[str, Any]


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
class LayoutImage:
    """One manifest in a layout."""

    folder: Path
    digest: str
    size: int
    media_type: str = MANIFEST


@dataclass(frozen=True, slots=True)
class LayoutIndex(LayoutImage):
    """One index in a layout; its children's digests by platform."""

    platforms: Mapping[str, str] = field(default_factory=dict)
    attestations: Mapping[str, str] = field(default_factory=dict)
    nested: str | None = None  # the index within this one


def is_foreign(descriptor: Descriptor) -> bool:
    """A layer that is fetched from elsewhere: neither a layout nor a registry need have it."""
    kind = descriptor["mediaType"]
    return bool(descriptor.get("urls")) or "foreign" in kind or "nondistributable" in kind


def build_image(
    folder: Path,
    *,
    files: Files,
    base_layers: Sequence[Files] = (),
    foreign_layers: Sequence[Files] = (),
    labels: Mapping[str, str] | None = None,
    architecture: str = "amd64",
    tag: str | None = None,
    docker: bool = False,
    zstd: bool = False,
) -> LayoutImage:
    """Add an image to the layout in `folder`: one layer for each of `base_layers`, then `files`.

    `foreign_layers` lie below them: the manifest says where to fetch them, the layout does not have them.
    """
    types = _DOCKER if docker else _OCI
    foreign = [packing.tar(layer) for layer in foreign_layers]
    archives = [packing.tar(layer) for layer in (*base_layers, files)]
    config = _config([*foreign, *archives], dict(labels or {}), f"linux/{architecture}")
    layers = [_elsewhere(packing.gzip(archive), types.foreign) for archive in foreign]
    layers += _layers(folder, archives, types, zstd=zstd)
    descriptor = _manifest(folder, types, config, layers)
    _list_in_layout(folder, descriptor, tag)
    return LayoutImage(folder, descriptor["digest"], descriptor["size"], types.manifest)


def build_index(
    folder: Path,
    *,
    platforms: Mapping[str, Files],
    attestations: bool = False,
    nested: bool = False,
    tag: str | None = None,
    docker: bool = False,
) -> LayoutIndex:
    """Add a multi-platform image to the layout in `folder`; only the index is listed there.

    A platform is written `linux/amd64` or `linux/arm/v7`. `attestations`: a provenance for each of them, as
    buildx attaches it. `nested`: all platforms but the first stand in an index within the index.
    """
    types = _DOCKER if docker else _OCI
    images = {name: _child(folder, types, name, files) for name, files in platforms.items()}
    evidence = {name: _attestation(folder, image) for name, image in images.items()} if attestations else {}
    children = [*images.values(), *evidence.values()]
    inner = _index(folder, types, children[1:]) if nested else None
    descriptor = _index(folder, types, [children[0], inner] if inner else children)
    _list_in_layout(folder, descriptor, tag)
    return LayoutIndex(
        folder,
        descriptor["digest"],
        descriptor["size"],
        types.index,
        {name: image["digest"] for name, image in images.items()},
        {name: attestation["digest"] for name, attestation in evidence.items()},
        inner["digest"] if inner else None,
    )


def _child(folder: Path, types: _Types, platform: str, files: Files) -> Descriptor:
    archives = [packing.tar(files)]
    layers = _layers(folder, archives, types, zstd=False)
    descriptor = _manifest(folder, types, _config(archives, {}, platform), layers)
    return descriptor | {"platform": _platform(platform)}


def _attestation(folder: Path, image: Descriptor) -> Descriptor:
    """BuildKit's "attestation storage": an image manifest of no platform that names the one it is about."""
    statement = {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": [{"name": "image", "digest": {"sha256": image["digest"].partition(":")[2]}}],
        "predicate": {"buildType": "https://mobyproject.org/buildkit@v1"},
    }
    layer = _add_blob(folder, _json(statement), "application/vnd.in-toto+json")
    layer["annotations"] = {"in-toto.io/predicate-type": statement["predicateType"]}
    config = _config([_json(statement)], {}, "unknown/unknown")
    about = {
        "vnd.docker.reference.digest": image["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    descriptor = _manifest(folder, _OCI, config, [layer])
    return descriptor | {"annotations": about, "platform": _platform("unknown/unknown")}


def _platform(text: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def _config(archives: list[bytes], labels: dict[str, str], platform: str) -> dict[str, Any]:
    return _platform(platform) | {
        "created": CREATED,
        "config": {"Labels": labels, "Entrypoint": ["/app"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(archive) for archive in archives]},
        "history": [{"created": CREATED, "created_by": "imagegate sandbox"} for _ in archives],
    }


def _layers(folder: Path, archives: Iterable[bytes], types: _Types, *, zstd: bool) -> list[Descriptor]:
    pack, media_type = (packing.zstd, types.zstd) if zstd else (packing.gzip, types.gzip)
    return [_add_blob(folder, pack(archive), media_type) for archive in archives]


def _elsewhere(content: bytes, media_type: str) -> Descriptor:
    digest = _digest(content)
    return _descriptor(content, media_type) | {"urls": [f"https://layers.invalid/{digest}"]}


def _manifest(
    folder: Path, types: _Types, config: dict[str, Any], layers: Sequence[Descriptor]
) -> Descriptor:
    document = {
        "schemaVersion": 2,
        "mediaType": types.manifest,
        "config": _add_blob(folder, _json(config), types.config),
        "layers": layers,
    }
    return _add_blob(folder, _json(document), types.manifest)


def _index(folder: Path, types: _Types, children: Sequence[Descriptor]) -> Descriptor:
    document = {"schemaVersion": 2, "mediaType": types.index, "manifests": children}
    return _add_blob(folder, _json(document), types.index)


def _add_blob(folder: Path, content: bytes, media_type: str) -> Descriptor:
    descriptor = _descriptor(content, media_type)
    path = folder / "blobs" / descriptor["digest"].replace(":", "/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return descriptor


def _descriptor(content: bytes, media_type: str) -> Descriptor:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _list_in_layout(folder: Path, descriptor: Descriptor, tag: str | None) -> None:
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    file = folder / "index.json"
    empty: dict[str, Any] = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    index = json.loads(file.read_text()) if file.exists() else empty
    named = {"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {}
    others = [entry for entry in index["manifests"] if entry["digest"] != descriptor["digest"]]
    index["manifests"] = [*others, descriptor | named]
    file.write_text(json.dumps(index))


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
