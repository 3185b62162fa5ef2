"""The registry that benchmarks of copies read from, with images of any size."""

from __future__ import annotations

import hashlib
import json
import random
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MIB = 1024 * 1024


@dataclass(frozen=True)
class Case:
    """One measured copy. `before`: the number of layers that the target already has from another image. `again`: the
    target already has the image itself.
    """

    name: str
    sizes: tuple[int, ...]  # of the layers, in bytes
    within_one: bool = False
    before: int = 0
    again: bool = False
    times: int = 5


@dataclass
class SourceRegistry(ExitStack):
    """A registry with the image, and with the content that the target already has."""

    folder: Path
    case: Case
    address: str = ""
    digests: list[str] = field(default_factory=list)  # of the image, and of the one before

    def __post_init__(self) -> None:
        super().__init__()

    def __enter__(self) -> SourceRegistry:
        from tests.integration.docker_registry import docker_registry

        super().__enter__()
        self.address = self.enter_context(docker_registry(self.folder / "source"))
        layers = [_layer(self.folder / "source/data", n, size) for n, size in enumerate(self.case.sizes)]
        self.digests = [_push_image(self.address, layers)]
        if self.case.before:
            other = _layer(self.folder / "source/data", 1000, self.case.sizes[0])
            self.digests.append(_push_image(self.address, [*layers[: self.case.before], other]))
        return self

    @property
    def log(self) -> Path:
        return self.folder / "source/log"


def _layer(data: Path, number: int, size: int) -> dict[str, Any]:
    """Put a layer where the registry keeps its blobs: pushing gigabytes would measure nothing here."""
    piece = random.Random(number).randbytes(min(MIB, size))  # noqa: S311 - the same layers each time
    digest = hashlib.sha256()
    incoming = data.parent / "incoming"
    with incoming.open("wb") as file:
        for count in range(max(1, size // MIB)):
            chunk = count.to_bytes(8) + piece[8:]
            digest.update(chunk)
            file.write(chunk)
    value, root = digest.hexdigest(), data / "docker/registry/v2"
    link = root / f"repositories/app/_layers/sha256/{value}/link"
    link.parent.mkdir(parents=True)
    link.write_text(f"sha256:{value}")
    content = root / f"blobs/sha256/{value[:2]}/{value}/data"
    content.parent.mkdir(parents=True)
    size = incoming.stat().st_size
    incoming.rename(content)
    media_type = "application/vnd.oci.image.layer.v1.tar"
    return {"mediaType": media_type, "digest": f"sha256:{value}", "size": size}


def _push_image(address: str, layers: list[dict[str, Any]]) -> str:
    from imagegate.oci.image import OCI_CONFIG, OCI_MANIFEST
    from imagegate.oci.manifest import Manifest
    from tests.integration.docker_registry import client_of

    registry = client_of(address)
    diffs = [layer["digest"] for layer in layers]
    rootfs = {"type": "layers", "diff_ids": diffs}
    config = registry.push_blob(
        "app", json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    )
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.as_json() | {"mediaType": OCI_CONFIG},
        "layers": layers,
    }
    manifest = Manifest.parse(json.dumps(document).encode())
    registry.push_manifest("app", manifest)
    return str(manifest.digest)
