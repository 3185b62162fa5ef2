"""A tag that an image got while its event was lost: the reconciler finds it, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from imagegate.oci.image import ImageRef
from imagegate.release.release import Outcome, Release, StartReason
from imagegate.release.revocation import Revocation
from tests.component.one_gate import World
from tests.fakes import DEV, NOW

HOUR = timedelta(hours=1)


@pytest.fixture
def world() -> World:
    return World()


def ended(world: World) -> ImageRef:
    image = world.registry.push_image(DEV, "1.0")
    assert isinstance(world.start(image), Release)
    world.announce(image, Outcome.FAILED)
    return image


def answer(world: World) -> None:
    """Start what the reconciler requested, as `start_release` does."""
    image, tags, reason = world.starter.requests[-1]
    started = world.starting().on_request(image, tags, StartReason(reason), NOW)
    assert isinstance(started, Release)
    assert world.ledger.get(started.id).tags == {"1.0", "latest"}


@pytest.mark.parametrize("later", [timedelta(minutes=5), timedelta(hours=3), timedelta(days=40)])
def test_a_tag_whose_event_was_lost_is_started_once(world: World, later: timedelta) -> None:
    image = ended(world)
    world.reconcile(NOW)
    world.registry.push_image(DEV, "latest")  # the same image
    assert world.reconcile(NOW + later).started == 1
    answer(world)
    for number in range(1, 4):
        assert world.reconcile(NOW + later + number * HOUR).started == 0
    assert world.ledger.releases[image, 2].reason is StartReason.NEW_TAG


def test_a_tag_of_an_open_attempt_joins_it(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.registry.push_image(DEV, "latest")
    assert world.reconcile().started == 1
    answer(world)
    assert world.reconcile().started == 0
    assert (image, 2) not in world.ledger.releases


def test_a_tag_of_any_attempt_is_known(world: World) -> None:
    image = ended(world)
    world.registry.push_image(DEV, "latest")
    world.start(image, "latest")
    assert world.reconcile().started == 0


def test_another_tag_of_a_revoked_image_starts_nothing(world: World) -> None:
    image = ended(world)
    revoked = replace(world.ledger.releases[image, 1], revoked=Revocation(NOW, "arn:ann", "stolen"))
    world.ledger.releases[image, 1] = revoked
    world.registry.push_image(DEV, "latest")
    assert world.reconcile().started == 0


def test_another_tag_of_an_image_from_before_the_installation_starts_nothing(world: World) -> None:
    world.registry.push_image(DEV, "1.0", at=NOW - timedelta(days=30))
    world.registry.push_image(DEV, "latest")
    assert world.reconcile().started == 0
