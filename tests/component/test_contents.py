"""An image is read whole, each digest once, and never without end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from imagegate.errors import (
    AmbiguousDocumentError,
    DecisionRefusedError,
    ImageNotFoundError,
    UnprovenEndingError,
)
from imagegate.gate.verdict import VerdictOutcome
from imagegate.grants.break_glass import BreakGlass
from imagegate.oci.image import Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.policy import Mode
from imagegate.release.release import Outcome
from imagegate.workflow.examination.contents import DEPTH, ENTRIES, MANIFESTS, PLATFORMS, read_contents
from imagegate.workflow.judge import JudgeRoute
from tests.component.one_gate import World
from tests.fakes import DEV, NOW, POLICY, STAGING, FakeRegistry


@dataclass
class Counting(FakeRegistry):
    """Counts how often each manifest is read, and by how many requests."""

    reads: list[ImageRef] = field(default_factory=list)
    requests: int = 0

    def manifest(self, image: Any, reference: Any = "") -> Manifest:
        found = super().manifest(image, reference)
        self.reads.append(image)
        self.requests += 1
        return found

    def read_manifests(self, repository: str, digests: Collection[Digest]) -> dict[Digest, Manifest]:
        found = super().read_manifests(repository, digests)
        self.reads += [ImageRef(repository, digest) for digest in digests]
        self.requests += bool(digests)
        return found


@pytest.fixture
def world() -> World:
    world = World()
    world.registry = Counting()
    return world


def entry(world: World, image: ImageRef) -> dict[str, Any]:
    platform = {"os": "linux", "architecture": "amd64"}
    return {**world.registry.manifests[image].descriptor.as_json(), "platform": platform}


def nested(world: World, levels: int, width: int) -> ImageRef:
    """Return an image in nested indexes; each level lists the one below `width` times, so `width ** levels` paths lead
    to it.
    """
    image = world.registry.push_image(DEV, "")
    for _ in range(levels):
        image = world.push_index([entry(world, image)] * width, "1.0")
    return image


def test_an_index_that_names_one_child_many_times_reads_it_once(world: World) -> None:
    top = nested(world, DEPTH, 100)
    assert isinstance(world.registry, Counting)
    world.registry.reads.clear()
    assert len(read_contents(world.registry, top).leaves) == 1
    assert len(world.registry.reads) == len(set(world.registry.reads)) == DEPTH + 1


def test_all_entries_of_an_index_are_read_by_one_request(world: World) -> None:
    index, platforms = world.index("amd64", "arm64", "s390x", attestation=True)
    assert isinstance(world.registry, Counting)
    contents = read_contents(world.registry, index)
    assert [leaf.digest for leaf in contents.leaves] == [platform.digest for platform in platforms]
    assert len(world.registry.reads) == 5
    assert world.registry.requests == 2


def test_an_entry_of_an_index_that_is_gone_is_an_image_that_is_gone(world: World) -> None:
    index, platforms = world.index("amd64", "arm64")
    world.registry.delete(platforms[1])
    with pytest.raises(ImageNotFoundError, match=platforms[1].digest.hex):
        read_contents(world.registry, index)


def too_deep(world: World) -> ImageRef:
    return nested(world, DEPTH + 1, 2)


def too_many_entries(world: World) -> ImageRef:
    return nested(world, 2, ENTRIES // 2 + 1)


def too_many_platforms(world: World) -> ImageRef:
    images = [world.registry.push_image(DEV, "", seed=str(n)) for n in range(PLATFORMS + 1)]
    return world.push_index([entry(world, image) for image in images], "1.0")


def too_many_manifests(world: World) -> ImageRef:
    image = world.registry.push_image(DEV, "")
    indexes = [
        world.push_index([{**entry(world, image), "annotations": {"n": str(n)}}], "")
        for n in range(MANIFESTS)
    ]
    return world.push_index([entry(world, index) for index in indexes], "1.0")


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (too_deep, f"nested more than {DEPTH} deep"),
        (too_many_entries, f"more than {ENTRIES} entries"),
        (too_many_platforms, f"more than {PLATFORMS} platforms"),
        (too_many_manifests, f"more than {MANIFESTS} manifests"),
    ],
)
def test_a_size_larger_than_any_image_is_refused(
    world: World, made: Callable[[World], ImageRef], why: str
) -> None:
    image = made(world)
    with pytest.raises(AmbiguousDocumentError, match=why):
        read_contents(world.registry, image)
    world.start(image)
    judged = world.judge(image)
    assert (judged.outcome, judged.verdict) == (Outcome.BLOCKED, VerdictOutcome.BLOCK)


@pytest.mark.parametrize("is_broken", [False, True])
def test_an_ambiguous_document_is_refused_everywhere(world: World, is_broken: bool) -> None:
    """Neither where a stage observes, nor by break-glass: also when a step is called by hand before it ends."""
    dev = replace(POLICY.stages["dev"], mode=Mode.ENFORCE if is_broken else Mode.OBSERVE)
    world.records.policies[POLICY.digest] = replace(POLICY, stages={**POLICY.stages, "dev": dev})
    runs = entry(world, world.registry.push_image(DEV, ""))
    disguise = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    image = world.push_index([runs | disguise], "1.0")
    world.start(image)
    if is_broken:
        world.grants.break_glass(
            BreakGlass(DEV, image.digest, "urgent", NOW + timedelta(hours=1), NOW, "ann")
        )
    assert world.judge(image).route is JudgeRoute.ANNOUNCE
    with pytest.raises(DecisionRefusedError, match="two ways"):
        world.promote(image)
    with pytest.raises(UnprovenEndingError):
        world.announce(image, Outcome.RELEASED)
    assert (STAGING, "1.0") not in world.registry.tags
    world.announce(image, Outcome.BLOCKED)
