"""A copy that is killed anywhere goes on where it was: the process really is killed, the registries are real."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagegate.errors import ImageNotFoundError
from imagegate.oci.client import HttpRegistry
from imagegate.oci.image import ImageRef
from imagegate.oci.manifest import Manifest
from tests.integration.docker_registry import client_of, docker_registry, evidence, index_of, pushed

KILLS = 10
MIB = 1024 * 1024

# What the promoting process does.
PROMOTE = """
import sys
from imagegate.oci.image import ImageRef
from imagegate.workflow.copying import Copy
from tests.integration.docker_registry import client_of

source, target, digest, to = sys.argv[1:]
origin = client_of(source)
registry = client_of(target, source=origin)
print("ready", flush=True)
image = ImageRef.of("killed", digest)
copy = Copy(origin=origin, registry=registry, image=image, target=to, has_time=lambda: True)
registry.push_manifest(to, copy.run(copy.find()), "1.0")
print("done", flush=True)
"""
_FINISHED = re.compile(
    r'"PUT /v2/([^/ ]+)/blobs/uploads/[^ ]*digest=(sha256%3A[0-9a-f]{64})[^ ]* HTTP[^"]*" 201'
)


@dataclass
class Registries:
    source: str
    target: str
    log: Path
    image: Manifest
    parts: list[Manifest]

    @property
    def there(self) -> HttpRegistry:
        return client_of(self.target)

    def promoting(self, to: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROMOTE, self.source, self.target, str(self.image.digest), to]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process

    def promoted(self, to: str) -> float:
        """Promote to the end; return the seconds."""
        with self.promoting(to) as process:
            began = time.perf_counter()
            assert process.wait(60) == 0
            return time.perf_counter() - began

    def uploads(self, repository: str) -> Counter[str]:
        time.sleep(0.1)  # lines are written after the answers
        return Counter(d for name, d in _FINISHED.findall(self.log.read_text()) if name == repository)


@pytest.fixture(scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registries]:
    folder = tmp_path_factory.mktemp("registries")
    with docker_registry(folder / "one") as source, docker_registry(folder / "two") as target:
        registry = client_of(source)
        children = [pushed(registry, "killed", random.Random(n).randbytes(12 * MIB)) for n in range(4)]
        index = index_of(registry, "killed", children)
        about = [
            evidence(registry, "killed", one, f"evidence {n}") for n, one in enumerate([index, *children])
        ]
        about.append(evidence(registry, "killed", about[0], "a signature of evidence"))
        yield Registries(source, target, folder / "two/log", index, [*children, index, *about])


def is_tagged(registry: HttpRegistry, repository: str) -> bool:
    try:
        registry.manifest(repository, "1.0")
    except ImageNotFoundError:
        return False
    return True


def check_whole(registries: Registries, repository: str) -> None:
    there = registries.there
    assert there.manifest(repository, "1.0") == registries.image
    for part in registries.parts:
        assert there.manifest(repository, part.digest).content == part.content
        assert all(there.has_blob(repository, blob) for blob in part.blobs)
        if part.subject:
            listed = there.referrers(ImageRef(repository, part.subject.digest))
            assert part.digest in [found.digest for found in listed]


def test_killed_at_any_point_it_ends_the_same_and_sends_no_finished_blob_twice(
    registries: Registries,
) -> None:
    usual = registries.promoted("whole")
    check_whole(registries, "whole")
    chance, interrupted = random.Random(), 0
    for number in range(KILLS):
        repository = f"killed-{number}"
        with registries.promoting(repository) as process:
            time.sleep(chance.uniform(0, usual))
            process.kill()
        if is_tagged(registries.there, repository):
            check_whole(registries, repository)  # nothing is tagged early
        else:
            interrupted += 1
        before = registries.uploads(repository)
        registries.promoted(repository)
        check_whole(registries, repository)
        after = registries.uploads(repository)
        assert set(after.values()) == {1}, f"killed once {sum(before.values())} blobs were there"
    assert interrupted > KILLS / 4, "most kills came too late to show anything"
