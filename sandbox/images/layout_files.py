"""Files of an OCI layout: blobs by digest, and the list of its manifests."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
Descriptor = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LayoutImage:
    """One manifest in a layout."""

    folder: Path
    digest: str
    size: int
    media_type: str = MANIFEST


def is_foreign(descriptor: Descriptor) -> bool:
    """Return whether a layer is fetched from elsewhere: neither a layout nor a registry need have it."""
    kind = descriptor["mediaType"]
    return bool(descriptor.get("urls")) or "foreign" in kind or "nondistributable" in kind


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def descriptor_of(content: bytes, media_type: str) -> Descriptor:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def blob(folder: Path, digest: str) -> Path:
    return folder / "blobs" / digest.replace(":", "/")


def read(folder: Path, digest: str) -> Any:
    return json.loads(blob(folder, digest).read_bytes())


def add_blob(folder: Path, content: bytes, media_type: str) -> Descriptor:
    descriptor = descriptor_of(content, media_type)
    path = blob(folder, descriptor["digest"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return descriptor


def list_in_layout(folder: Path, descriptor: Descriptor, tag: str | None) -> None:
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    file = folder / "index.json"
    empty: dict[str, Any] = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    index = json.loads(file.read_text()) if file.exists() else empty
    named = {"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {}
    others = [entry for entry in index["manifests"] if entry["digest"] != descriptor["digest"]]
    index["manifests"] = [*others, descriptor | named]
    file.write_text(json.dumps(index))
