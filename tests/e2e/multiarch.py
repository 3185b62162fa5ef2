"""An image as buildx makes it: two platforms, each with provenance, built from files of this Python."""

from __future__ import annotations

import hashlib
import json
import sysconfig
from pathlib import Path
from typing import Any

from sandbox.images import INDEX, MANIFEST, build_image

PLATFORMS = ("amd64", "arm64")
IN_TOTO = "application/vnd.in-toto+json"


def build(folder: Path, tag: str) -> str:
    """Write the layout; the digest of its index."""
    files = _files()
    images = [
        build_image(folder, files={"platform": name.encode()}, base_layers=[files], architecture=name)
        for name in PLATFORMS
    ]
    platforms: list[dict[str, Any]] = [
        {"mediaType": MANIFEST, "digest": image.digest, "size": image.size, "platform": _linux(name)}
        for image, name in zip(images, PLATFORMS, strict=True)
    ]
    children = platforms + [_provenance(folder, entry["digest"]) for entry in platforms]
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}
    index = _blob(folder, json.dumps(document, indent=2).encode(), INDEX)
    named = index | {"annotations": {"org.opencontainers.image.ref.name": tag}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    return str(index["digest"])


def blobs(folder: Path) -> dict[str, bytes]:
    """All that a layout holds, by digest."""
    return {path.name: path.read_bytes() for path in (folder / "blobs/sha256").iterdir()}


def _files() -> dict[str, bytes]:
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return {f"lib/{path.name}": path.read_bytes() for path in modules}


def _linux(architecture: str) -> dict[str, str]:
    return {"os": "linux", "architecture": architecture}


def _provenance(folder: Path, subject: str) -> dict[str, Any]:
    statement = json.dumps({"_type": "https://in-toto.io/Statement/v1", "about": subject}).encode()
    layer = _blob(folder, statement, IN_TOTO)
    config = {
        "architecture": "unknown",
        "os": "unknown",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _blob(folder, json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [layer],
    }
    annotations = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": subject,
    }
    return _blob(folder, json.dumps(document).encode(), MANIFEST) | {
        "annotations": annotations,
        "platform": {"os": "unknown", "architecture": "unknown"},
    }


def _blob(folder: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}
