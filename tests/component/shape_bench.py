"""A bench for shapes of what tools push: contents are made small, digests and sizes are real, for they are checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from imagegate.oci.image import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Digest,
)
from tests.component.disguised_documents import Shelf

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
IN_TOTO = "application/vnd.in-toto+json"
SOCI = "application/vnd.amazon.soci.index.v2+json"
NOTATION = "application/vnd.cncf.notary.signature"
STATEMENT = {
    "_type": "https://in-toto.io/Statement/v0.1",
    "predicateType": "https://slsa.dev/provenance/v1",
    "subject": [],
}

# go-containerregistry's and Docker's own: the zero values of fields that image-spec does not have.
LEGACY_CONTAINER = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": ["PATH=/usr/bin:/bin"],
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "/",
    "Entrypoint": ["/app"],
    "OnBuild": None,
    "Labels": None,
}


@dataclass
class Bench:
    """Builds one shape on a shelf."""

    shelf: Shelf = field(default_factory=Shelf)

    def blob(self, content: Any, media_type: str, **more: Any) -> dict[str, Any]:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        return {**dict(self.shelf.blob(raw, media_type)), **more}

    def layer(self, seed: str = "layer", media_type: str = GZIP, **more: Any) -> dict[str, Any]:
        return self.blob(seed.encode(), media_type, **more)

    def config(self, layers: int = 1, platform: str = "linux/amd64", **more: Any) -> dict[str, Any]:
        os, architecture, *variant = platform.split("/")
        return {
            "created": "2026-06-01T10:00:00.000000000Z",
            "architecture": architecture,
            "os": os,
            **({"variant": variant[0]} if variant else {}),
            "config": {"Env": ["PATH=/usr/bin:/bin"], "Entrypoint": ["/app"], "WorkingDir": "/"},
            "rootfs": {
                "type": "layers",
                "diff_ids": [str(Digest.of(b"%d" % number)) for number in range(layers)],
            },
            "history": [
                {"created": "2026-06-01T10:00:00Z", "created_by": "COPY / # buildkit", "comment": "buildkit"}
            ],
            **more,
        }

    def push(self, media_type: str, told: str | None = None, /, **members: Any) -> dict[str, Any]:
        """Push a manifest or an index with these members; return its descriptor."""
        content = json.dumps({"schemaVersion": 2, **members}, indent=2).encode()
        return dict(self.shelf.push(content, media_type, told))

    def oci(self, config: Any = None, layers: Any = None, **more: Any) -> dict[str, Any]:
        layers = [self.layer()] if layers is None else layers
        config = self.config(len(layers)) if config is None else config
        members = {
            "mediaType": OCI_MANIFEST,
            "config": self.blob(config, OCI_CONFIG),
            "layers": layers,
            **more,
        }
        return self.push(OCI_MANIFEST, **{key: value for key, value in members.items() if value is not None})

    def docker(self, config: Any = None, layers: Any = None) -> dict[str, Any]:
        layers = [self.layer(media_type=DOCKER_GZIP)] if layers is None else layers
        config = self.config(len(layers)) if config is None else config
        return self.push(
            DOCKER_MANIFEST, mediaType=DOCKER_MANIFEST, config=self.blob(config, DOCKER_CONFIG), layers=layers
        )

    def artifact(self, layers: Any, config: Any = None, **more: Any) -> dict[str, Any]:
        config = config or self.blob(b"{}", OCI_EMPTY)
        return self.push(OCI_MANIFEST, mediaType=OCI_MANIFEST, config=config, layers=layers, **more)

    def index(self, *children: dict[str, Any], **more: Any) -> dict[str, Any]:
        return self.push(OCI_INDEX, mediaType=OCI_INDEX, manifests=list(children), **more)


def on(entry: dict[str, Any], platform: str, **more: Any) -> dict[str, Any]:
    os, architecture, *variant = platform.split("/")
    said = {"architecture": architecture, "os": os, **({"variant": variant[0]} if variant else {}), **more}
    return {**entry, "platform": said}


Build = Callable[[Bench], dict[str, Any]]


@dataclass(frozen=True)
class Shape:
    origin: str
    build: Build
    runs: int = 0  # how many images
    unread: bool = False  # has layers that no scanner reads
