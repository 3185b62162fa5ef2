"""Images to push: small, the same bytes on every machine, so that digests in recordings can be compared."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import zlib
from collections.abc import Mapping
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
ARTIFACT = "application/vnd.imagegate.contract.v1+json"

EMPTY_CONTENT = b"{}"
# Enough for a scanner to see a system that it knows, with one package of it.
DEBIAN = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n'
    'VERSION_ID="12"\nVERSION="12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n',
    "etc/debian_version": "12.5\n",
    "var/lib/dpkg/status": "Package: base-files\nStatus: install ok installed\nPriority: required\nSection: admin\n"
    "Architecture: amd64\nVersion: 12.4+deb12u5\nMaintainer: none\nDescription: base system files\n\n",
}


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def descriptor(content: bytes, media_type: str, **fields: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **fields}


def config() -> bytes:
    return json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    ).encode()


def layer(files: Mapping[str, str]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return _gzip(archive.getvalue())


def _gzip(content: bytes) -> bytes:
    """Store the content without compression: compressors differ from machine to machine."""
    blocks = [content[at : at + 0xFFFF] for at in range(0, len(content), 0xFFFF)]
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    body = b"".join(
        struct.pack("<BHH", block is blocks[-1], len(block), len(block) ^ 0xFFFF) + block for block in blocks
    )
    return head + body + struct.pack("<II", zlib.crc32(content), len(content))


def manifest(layers: list[bytes], *, note: str = "") -> bytes:
    """Return a manifest with a layer per mapping of files."""
    return manifest_of([descriptor(content, LAYER) for content in layers], note)


def manifest_of(layers: list[dict[str, Any]], note: str = "") -> bytes:
    """Return an indented manifest, so that a client that writes it anew would change its bytes."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(config(), CONFIG),
        "layers": layers,
    }
    document |= {"annotations": {"org.opencontainers.image.title": note}} if note else {}
    return json.dumps(document, indent=3).encode()


def artifact(subject: bytes, note: str = "evidence") -> bytes:
    """Return a manifest about another one, as signatures are."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": ARTIFACT,
            "config": descriptor(EMPTY_CONTENT, EMPTY),
            "layers": [descriptor(EMPTY_CONTENT, EMPTY)],
            "subject": descriptor(subject, MANIFEST),
            "annotations": {"org.opencontainers.image.title": note},
        }
    ).encode()


def index(*children: bytes) -> bytes:
    platform = {"architecture": "amd64", "os": "linux"}
    entries = [descriptor(child, MANIFEST, platform=platform) for child in children]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, indent=3).encode()
