"""A released image that was deleted: who gets the message, how urgent it is, and that it is sent once."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imagegate.errors import ThrottledError
from imagegate.oci.image import ImageRef
from imagegate.release.release import Outcome, Release, ReleaseId
from imagegate.workflow.watch.reconcile import Reconcile
from tests.component.one_gate import World
from tests.fakes import DEV, NOW, STAGING, critical

ROOT = Path(__file__).parents[2]
HOUR = [NOW + timedelta(minutes=minute) for minute in range(0, 60, 5)]


@pytest.fixture
def world() -> World:
    return World()


def released(world: World, repository: str = STAGING, tag: str = "1.0", ago: int = 0) -> ImageRef:
    """Return an image in the last stage, released that many minutes ago."""
    image = world.registry.push_image(repository, tag, seed=f"{repository} {tag}")
    world.registry.names.add(repository)
    begun = world.start(image, tag)
    assert isinstance(begun, Release)
    world.ledger.record(begun.id, verdict="PASS", signature=image.digest, decision=image.digest)
    world.ledger.close(begun.id, Outcome.RELEASED, None, NOW - timedelta(minutes=ago), "")
    world.notifications.messages.clear()
    return image


def deleted(world: World, image: ImageRef) -> bool:
    return world.reconciling().deletions.on_deleted(image, NOW)


def messages(world: World) -> list[tuple[str, str]]:
    return [(message.subject, message.attributes["alert"]) for message in world.notifications.messages]


def test_the_current_image_of_a_last_stage_is_an_alert(world: World) -> None:
    image = released(world)
    world.registry.delete(image)
    assert deleted(world, image)
    assert messages(world) == [("DELETED: shop-staging:1.0 is gone, the current image of staging", "alert")]
    [message] = world.notifications.messages
    assert (message.detail_type, message.detail["current"]) == ("Image Deleted", True)
    assert message.detail["digest"] == str(image.digest)
    assert f"imagegate release {DEV}@{image.digest}" in message.text
    assert "imagegate rollback shop staging --reason ..." in message.text


@pytest.mark.parametrize("where", ["of a stage before", "with a later one"])
def test_another_released_image_is_said_quietly(world: World, where: str) -> None:
    image = released(world, DEV if "before" in where else STAGING, ago=9)
    if "later" in where:
        released(world, tag="2.0")
    world.registry.delete(image)
    assert deleted(world, image)
    assert [alert for _, alert in messages(world)] == ["log"]
    assert world.notifications.messages[0].detail["current"] is False


def test_a_deletion_is_announced_once_whoever_notices_it(world: World) -> None:
    image = released(world)
    world.registry.delete(image)
    assert [deleted(world, image), deleted(world, image)] == [True, False]
    assert [world.reconcile(moment).gone for moment in HOUR] == [0] * 12
    assert len(messages(world)) == 1


def test_a_second_deletion_after_a_second_release_is_announced_again(world: World) -> None:
    image = released(world)
    world.registry.delete(image)
    deleted(world, image)
    world.ledger.begin(replace(world.ledger.get(ReleaseId(image, 1)), attempt=2))
    assert deleted(world, image)
    assert len(messages(world)) == 2


def test_a_killed_announcement_is_repeated_a_minute_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = released(world)
    world.registry.delete(image)

    def slower(_announcement: object) -> str:
        raise ThrottledError("slower, please")

    monkeypatch.setattr(world.notifications, "publish", slower)
    with pytest.raises(ThrottledError):
        deleted(world, image)
    monkeypatch.undo()
    assert world.reconciling().deletions.on_deleted(image, NOW + timedelta(minutes=1))


@pytest.mark.parametrize(
    "what", ["it lost a tag", "blocked", "never seen", "a platform", "evidence", "unmanaged"]
)
def test_only_released_and_deleted_images_are_announced(world: World, what: str) -> None:
    image = released(world)
    if what == "it lost a tag":
        del world.registry.tags[STAGING, "1.0"]
    elif what == "blocked":
        image, judged = world.judged(critical())
        world.announce(image, judged.outcome)
        world.notifications.messages.clear()
    elif what == "never seen":
        image = world.registry.push_image(STAGING, "2.0", seed="never seen")
    elif what == "unmanaged":
        image = world.registry.push_image("tools", "1.0")
    elif what == "a platform":
        index, [image, _] = world.index("amd64", "arm64")
        begun = world.start(index)
        assert isinstance(begun, Release)
        world.ledger.note_platforms(replace(begun, platforms=(image.digest,)))
    else:
        subject = world.signed()
        image = ImageRef(DEV, world.registry.referrers(subject)[0].digest)
    if what != "it lost a tag":
        world.registry.delete(image)
    assert not deleted(world, image)
    assert messages(world) == []


def test_the_reconciler_finds_a_current_image_that_is_gone_without_an_event(world: World) -> None:
    """AWS does not document an event for deletions by a lifecycle policy."""
    image = released(world)
    world.registry.delete(image)
    found = [world.reconcile(NOW + timedelta(minutes=minute)).gone for minute in range(0, 120, 5)]
    assert sum(found) == 1
    assert messages(world) == [("DELETED: shop-staging:1.0 is gone, the current image of staging", "alert")]


def test_the_reconciler_asks_of_each_repository_once_an_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = released(world)
    of_repository, asked = world.ledger.recent_of_repository, list[str]()

    def counted(repository: str) -> Iterator[Release]:
        asked.append(repository)
        return of_repository(repository)

    monkeypatch.setattr(world.ledger, "recent_of_repository", counted)
    for moment in HOUR:
        world.reconcile(moment + timedelta(days=2))
    assert asked == [image.repository]


def test_the_reconciler_does_not_announce_superseded_images(world: World) -> None:
    image = released(world, ago=9)
    released(world, tag="2.0")
    world.registry.delete(image)
    assert [world.reconcile(moment).gone for moment in HOUR] == [0] * 12


def test_the_function_takes_a_deletion_and_its_schedule(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same function hears both."""
    spec = importlib.util.spec_from_file_location("reconcile", ROOT / "functions/reconcile/handler.py")
    assert spec
    assert spec.loader
    function: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(function)
    step: Reconcile = world.reconciling()
    monkeypatch.setattr(function, "step", lambda: step)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "imagegate")
    context = SimpleNamespace(
        function_name="reconcile", memory_limit_in_mb=256, invoked_function_arn="arn", aws_request_id="1"
    )
    event = json.loads((ROOT / "events/ecr_image_action_delete.json").read_text())
    assert function.handler(event, context) == {"told": False}
    image = released(world)
    world.registry.delete(image)
    event["detail"] |= {"repository-name": STAGING, "image-digest": str(image.digest)}
    assert function.handler(event, context) == {"told": True}
    schedule = json.loads((ROOT / "events/reconcile.json").read_text())
    assert function.handler(schedule, context)["faults"] == ()
