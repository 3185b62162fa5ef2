"""The daily canary: pushed once a day, and late until it is released in all its stages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from imagegate.oci.image import DOCKER_MANIFEST, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.release.promotion import Promotion
from imagegate.release.release import Outcome, Release
from imagegate.workflow.watch.canary import TAG
from tests.component.one_gate import World
from tests.fakes import DEV, NOW, STAGING

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def world() -> World:
    world = World(canary=DEV)
    world.registry.push_image(DEV, TAG, at=NOW - DAY)
    return world


def canaries(world: World) -> dict[str, ImageRef]:
    tags = world.registry.tags.items()
    return {tag: ImageRef(name, digest) for (name, tag), digest in tags if tag.startswith(f"{TAG}-")}


def end(world: World, image: ImageRef, outcome: Outcome, promoted_to: str = "") -> None:
    known = world.ledger.latest(image) or world.ledger.latest(replace(image, repository=DEV))
    begun = known or world.start(image, TAG)
    assert isinstance(begun, Release)
    world.ledger.releases[image, 1] = replace(
        begun,
        image=image,
        outcome=outcome,
        promotion=Promotion(promoted_to, image.digest, (TAG,)) if promoted_to else None,
    )


def test_one_canary_is_pushed_a_day_and_each_is_another_image(world: World) -> None:
    for number in range(60):
        world.reconcile(NOW + number * HOUR)
    found = canaries(world)
    assert (
        len(found) == len(set(found.values())) == len({(NOW + number * HOUR).date() for number in range(60)})
    )
    for image in found.values():
        pushed, model = world.registry.manifests[image], world.registry.manifest(DEV, TAG)
        assert (pushed.config, pushed.layers) == (model.config, model.layers)
        assert pushed.digest != model.digest


def test_the_wait_counts_until_the_canary_is_released_everywhere(world: World) -> None:
    assert world.reconcile(NOW).canary_seconds == 0
    [image] = canaries(world).values()
    assert world.reconcile(NOW + HOUR).canary_seconds == 3600
    end(world, image, Outcome.RELEASED, promoted_to=STAGING)
    assert world.reconcile(NOW + HOUR).canary_seconds == 3600  # it is not there yet
    promoted = replace(image, repository=STAGING)
    end(world, promoted, Outcome.RELEASED)
    assert world.reconcile(NOW + HOUR).canary_seconds == 0


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.RELEASED}))
def test_any_other_outcome_is_late_and_the_next_day_does_not_hide_it(world: World, outcome: Outcome) -> None:
    world.reconcile(NOW)
    [image] = canaries(world).values()
    end(world, image, outcome)
    assert world.reconcile(NOW + 2 * DAY).canary_seconds == 2 * 24 * 3600
    newest = canaries(world)[max(canaries(world))]
    end(world, newest, Outcome.RELEASED)
    assert world.reconcile(NOW + 2 * DAY).canary_seconds == 0


def test_a_canary_that_cannot_be_pushed_is_announced_and_not_measured(world: World) -> None:
    world.registry.tags.clear()
    result = world.reconcile(NOW)
    assert result.canary_seconds is None
    assert "no image under the tag canary" in str(result.faults)
    assert any(DEV in message.text for message in world.notifications.messages)


def test_an_image_of_another_type_is_refused_with_the_type_that_it_has_to_be(world: World) -> None:
    [image] = world.registry.manifests
    content = world.registry.manifests[image].content.replace(
        b"vnd.oci.image.manifest.v1", b"vnd.docker.distribution.manifest.v2"
    )
    manifest = Manifest.parse(content, DOCKER_MANIFEST)
    world.registry.push_manifest(DEV, manifest, TAG)
    assert "application/vnd.oci.image.manifest.v1+json" in str(world.reconcile(NOW).faults)


def test_a_repository_without_a_gate_is_a_fault() -> None:
    world = World(canary="elsewhere")
    assert "no stage" in str(world.reconcile(NOW).faults)


def test_without_a_repository_nothing_is_pushed_or_measured() -> None:
    world = World()
    world.registry.push_image(DEV, TAG)
    assert world.reconcile(NOW).canary_seconds is None
    assert canaries(world) == {}
