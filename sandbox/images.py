"""Builds small real images as OCI layouts: the same input gives the same digest everywhere."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CREATED = "1970-01-01T00:00:00Z"

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class LayoutImage:
    """One manifest in a layout."""

    folder: Path
    digest: str
    size: int
    media_type: str = MANIFEST


def build_image(
    folder: Path,
    *,
    files: Files,
    base_layers: Sequence[Files] = (),
    labels: Mapping[str, str] | None = None,
    architecture: str = "amd64",
    tag: str | None = None,
) -> LayoutImage:
    """Add an image to the layout in `folder`: one layer for each of `base_layers`, then `files`."""
    archives = [_tar(layer) for layer in (*base_layers, files)]
    config = _config(archives, dict(labels or {}), architecture)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _add_blob(folder, _json(config), CONFIG),
        "layers": [_add_blob(folder, _gzip(a), LAYER) for a in archives],
    }
    descriptor = _add_blob(folder, _json(document), MANIFEST)
    _list_in_index(folder, descriptor, tag)
    return LayoutImage(folder, descriptor["digest"], descriptor["size"])


def _config(archives: list[bytes], labels: dict[str, str], architecture: str) -> dict[str, Any]:
    return {
        "created": CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": {"Labels": labels, "Entrypoint": ["/app"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(archive) for archive in archives]},
        "history": [{"created": CREATED, "created_by": "imagegate sandbox"} for _ in archives],
    }


def _tar(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name.lstrip("/"))
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _gzip(content: bytes) -> bytes:
    """Stored, not compressed: what zlib makes of the same bytes differs between its versions."""
    starts = range(0, max(len(content), 1), 0xFFFF)
    blocks = [_stored(content[start : start + 0xFFFF], start == starts[-1]) for start in starts]
    trailer = struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return b"".join([b"\x1f\x8b\x08\0\0\0\0\0\0\xff", *blocks, trailer])


def _stored(block: bytes, is_last: bool) -> bytes:
    return struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF) + block


def _add_blob(folder: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = _digest(content)
    path = folder / "blobs" / digest.replace(":", "/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _list_in_index(folder: Path, descriptor: dict[str, Any], tag: str | None) -> None:
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
