"""A copy between registries needs bounded memory, whatever the size of the image."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagegate.oci.image import Descriptor, Digest
from tests.integration.docker_registry import client_of, docker_registry

MIB = 1024 * 1024
LAYERS, LAYER_MIB = 8, 128
DISK_NEEDED = 6 * 1024 * MIB
MOST_MEMORY = 100 * MIB

# What the promoting process does. Its peak is read from the kernel's account of this program alone: getrusage counts
# what the process that started it had, too.
COPY = """
import json, sys
from pathlib import Path
from imagegate.oci.image import Descriptor
from tests.integration.docker_registry import client_of

source, target, *blobs = sys.argv[1:]
registry = client_of(target, source=client_of(source))
layers = [Descriptor.parse(json.loads(blob)) for blob in blobs]
registry.copy_blobs(layers, "big", "big", lambda: True)
print(next(line.split()[1] for line in Path("/proc/self/status").open() if line.startswith("VmHWM:")))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    if shutil.disk_usage(tmp_path).free < DISK_NEEDED:
        pytest.skip("needs 6 GiB of free disk")
    yield tmp_path
    # pytest keeps folders; gigabytes it need not keep.
    shutil.rmtree(tmp_path)


def place_layer(data: Path, number: int) -> Descriptor:
    """Put a layer where the registry keeps its blobs: pushing it would be measured twice."""
    piece = random.Random(number).randbytes(MIB)
    digest = hashlib.sha256()
    incoming = data.parent / "incoming"
    with incoming.open("wb") as file:
        for count in range(LAYER_MIB):
            chunk = count.to_bytes(8) + piece[8:]
            digest.update(chunk)
            file.write(chunk)
    blob = Descriptor("application/octet-stream", Digest(f"sha256:{digest.hexdigest()}"), LAYER_MIB * MIB)
    root = data / "docker/registry/v2"
    link = root / f"repositories/big/_layers/sha256/{blob.digest.hex}/link"
    link.parent.mkdir(parents=True)
    link.write_text(str(blob.digest))
    content = root / f"blobs/sha256/{blob.digest.hex[:2]}/{blob.digest.hex}/data"
    content.parent.mkdir(parents=True)
    incoming.rename(content)
    return blob


def test_a_gibibyte_is_copied_with_less_than_100_mib_of_memory(folder: Path) -> None:
    with docker_registry(folder / "one") as source, docker_registry(folder / "two") as target:
        layers = [place_layer(folder / "one/data", number) for number in range(LAYERS)]
        copied = subprocess.run(
            [sys.executable, "-c", COPY, source, target, *(json.dumps(blob.as_json()) for blob in layers)],
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert copied.returncode == 0, copied.stderr
        there = client_of(target)
        assert all(there.has_blob("big", blob) for blob in layers)
    assert int(copied.stdout) * 1024 < MOST_MEMORY
