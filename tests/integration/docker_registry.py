"""Debian's `docker-registry`: a registry by other people, without a referrers API, on a free port of loopback.

And images to push there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from imagegate.oci.client import HttpRegistry
from imagegate.oci.image import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Descriptor, Digest
from imagegate.oci.login import Login
from imagegate.oci.manifest import Manifest
from sandbox.ports import free_port
from tests.fakes import image_config
from tests.patience import PATIENCE_SECONDS

PROGRAM = "docker-registry"
SIGNATURE = "application/vnd.cncf.notary.signature"


@contextmanager
def docker_registry(folder: Path) -> Iterator[str]:
    """Run the registry and yield its `HOST:PORT`; it stores its content in `folder`."""
    if not shutil.which(PROGRAM):
        pytest.skip(f"{PROGRAM} is not installed: apt-get install {PROGRAM}")
    address = f"127.0.0.1:{free_port()}"
    folder.mkdir(parents=True)
    file = folder / "config.yml"
    file.write_text(json.dumps(_config(folder, address)))  # JSON is YAML
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([PROGRAM, "serve", str(file)], stdout=log, stderr=log)
        try:
            _await(address, server)
            yield address
        finally:
            server.kill()
            server.wait()


def client_of(address: str, *, source: HttpRegistry | None = None) -> HttpRegistry:
    return HttpRegistry(lambda: Login(f"http://{address}"), source=source)


def entry(blob: Descriptor, media_type: str) -> dict[str, Any]:
    return blob.as_json() | {"mediaType": media_type}


def document(registry: HttpRegistry, repository: str, content: bytes, **fields: Any) -> Manifest:
    registry.push_blob(repository, b"{}")
    config = registry.push_blob(repository, image_config(content))
    layer = registry.push_blob(repository, content)
    raw = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": entry(config, OCI_CONFIG),
        "layers": [entry(layer, "application/vnd.oci.image.layer.v1.tar")],
    }
    return Manifest.parse(json.dumps(raw | fields).encode())


def pushed(registry: HttpRegistry, repository: str, content: bytes, **fields: Any) -> Manifest:
    manifest = document(registry, repository, content, **fields)
    registry.push_manifest(repository, manifest)
    return manifest


def evidence(registry: HttpRegistry, repository: str, subject: Manifest, text: str) -> Manifest:
    about = subject.descriptor.as_json()
    config = entry(Descriptor("", Digest.of(b"{}"), 2), SIGNATURE)
    layers = [entry(registry.push_blob(repository, text.encode()), "application/jose+json")]
    note = {"text": text}
    return pushed(registry, repository, b"{}", subject=about, config=config, layers=layers, annotations=note)


def index_of(registry: HttpRegistry, repository: str, children: list[Manifest]) -> Manifest:
    entries = [child.descriptor.as_json() for child in children]
    listed = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    index = Manifest.parse(json.dumps(listed, indent=1).encode())
    registry.push_manifest(repository, index)
    return index


def _config(folder: Path, address: str) -> dict[str, object]:
    return {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": address, "secret": "of a test"},
        # Foreign layers name where they are.
        "validation": {"manifests": {"urls": {"allow": ["^https://"]}}},
    }


def _await(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib3.request("GET", f"http://{address}/v2/", retries=False, timeout=PATIENCE_SECONDS)
            return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.02)
    raise AssertionError(f"{PROGRAM} does not answer at {address}")
