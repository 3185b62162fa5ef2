"""Rollbacks: their target, the releases that they skip, their messages, and that a killed call rolls back once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.deployment.rollback import Rollback, announced_releases
from imagegate.errors import RecordNotFoundError
from imagegate.events.decide_call import parse_decision
from imagegate.notices.announcement import announce
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.release import Outcome, Release, ReleaseId
from imagegate.release.revocation import Revocation
from imagegate.workflow.decide.rollback import RollbackRefusedError
from tests.component.cli_gate import CALLER, CliGate, Served, gate, url
from tests.component.deployments import attempt
from tests.component.one_gate import World
from tests.fakes import DEV, NOW, POLICY

__all__ = ["gate", "url"]

HOUR = timedelta(hours=1)


def released(world: World, tag: str, hours: float) -> ImageRef:
    image = world.registry.push_image(DEV, tag, seed=tag)
    world.scans.finish(image, [])
    world.start(image, tag)
    world.sign(world.judge(image).decision)
    then = NOW + hours * HOUR
    world.ledger.close(ReleaseId(image, 1), Outcome.RELEASED, None, then, "")
    known = world.ledger.get(ReleaseId(image, 1))
    world.ledger.releases[image, 1] = replace(known, started_at=then)
    return image


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def three(world: World) -> tuple[ImageRef, ImageRef, ImageRef]:
    """Release three images one after the other: 1.0, 1.1 and 1.2."""
    return released(world, "1.0", 0), released(world, "1.1", 1), released(world, "1.2", 2)


def back(world: World, to: ImageRef, came_from: ImageRef, hours: float = 3) -> Rollback:
    return world.rollbacks().run(DEV, to.digest, came_from.digest, CALLER, "it leaks", NOW + hours * HOUR)


def target(world: World, to: Digest | None = None, hours: float = 3) -> ImageRef:
    return world.planning().run(DEV, to, NOW + hours * HOUR).target.image


Three = tuple[ImageRef, ImageRef, ImageRef]


def test_it_goes_back_to_the_release_before_and_twice_to_the_one_before_that(
    world: World, three: Three
) -> None:
    first, second, third = three
    assert target(world) == second
    back(world, second, third)
    assert target(world, hours=4) == first
    back(world, first, second, 4)
    with pytest.raises(RollbackRefusedError, match="no earlier release is still valid"):
        target(world, hours=5)


def test_a_rollback_after_a_new_release_returns_to_the_earlier_target(world: World, three: Three) -> None:
    _, second, third = three
    back(world, second, third)
    released(world, "1.3", 5)
    assert target(world, hours=6) == second


def test_a_revoked_release_is_skipped_and_named(world: World, three: Three) -> None:
    first, second, _ = three
    world.ledger.revoke(ReleaseId(second, 1), Revocation(NOW, CALLER, "stolen"))
    plan = world.planning().run(DEV, None, NOW + 3 * HOUR)
    assert plan.target.image == first
    assert not plan.skipped or "stolen" in plan.skipped[0][1]


def test_an_image_whose_signature_is_gone_is_skipped(
    world: World, three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = three
    for referrer in world.registry.referrers(second):
        world.registry.manifests.pop(ImageRef(DEV, referrer.digest), None)
    plan = world.planning().run(DEV, None, NOW + 3 * HOUR)
    assert plan.target.image == first
    assert [one.image for one, _ in plan.skipped] == [second]


def test_an_image_that_is_gone_is_skipped(world: World, three: Three) -> None:
    first, second, _ = three
    world.registry.delete(second)
    assert target(world) == first


def test_one_can_be_named_and_has_to_hold(world: World, three: Three) -> None:
    first, second, _ = three
    assert target(world, first.digest) == first
    world.registry.delete(second)
    with pytest.raises(RollbackRefusedError, match=str(second)):
        target(world, second.digest)
    with pytest.raises(RollbackRefusedError, match="was never released here"):
        target(world, Digest.of(b"other"))


def test_a_release_that_a_rollback_left_can_be_named_to_roll_forward(world: World, three: Three) -> None:
    _, second, third = three
    back(world, second, third)
    plan = world.planning().run(DEV, third.digest, NOW + 4 * HOUR)
    assert (plan.current.image, plan.target.image, plan.is_forward) == (second, third, True)
    back(world, third, second, 4)
    assert world.notifications.messages[-1].subject.startswith(f"ROLLED FORWARD: {DEV} goes forward to ")
    assert target(world, hours=5) == second


def test_the_current_release_is_no_target(world: World, three: Three) -> None:
    *_, third = three
    with pytest.raises(RollbackRefusedError, match="is the current release already"):
        target(world, third.digest)
    with pytest.raises(RollbackRefusedError, match="is the current release already"):
        back(world, third, third)
    assert world.notifications.messages == []
    world.ledger.revoke(ReleaseId(third, 1), Revocation(NOW, CALLER, "stolen"))
    with pytest.raises(RollbackRefusedError, match="stolen"):
        target(world, third.digest)


def test_without_a_release_there_is_no_rollback(world: World) -> None:
    for repository in (DEV, "unmanaged"):
        with pytest.raises(RecordNotFoundError):
            world.planning().run(repository, None, NOW)


def test_deployers_get_a_release_event_and_people_the_name_of_the_person(world: World, three: Three) -> None:
    _, second, third = three
    back(world, second, third)
    [message] = world.notifications.messages
    original = announce(world.ledger.get(ReleaseId(second, 1)), Outcome.RELEASED)
    assert message.detail_type == original.detail_type == "Image Released"
    assert message.subject.startswith(f"ROLLED BACK: {DEV} goes back to 1.1")
    assert message.attributes["alert"] == "alert"
    told = dict(message.detail)
    assert told.pop("rollback") == {
        "repository": DEV,
        "to": str(second.digest),
        "from": str(third.digest),
        "by": CALLER,
        "at": "2026-11-21T11:00:00Z",
        "reason": "it leaks",
        "since": "2026-11-21T10:00:00Z",
    }
    assert told.pop("id") != original.detail["id"]
    assert told == {name: value for name, value in original.detail.items() if name != "id"}


def test_a_call_that_is_made_again_goes_back_once(world: World, three: Three) -> None:
    _, second, third = three
    one = back(world, second, third)
    again = back(world, second, third, 3.1)
    assert one == again
    assert world.ledger.rollbacks(DEV) == [one]
    assert len({message.detail["id"] for message in world.notifications.messages}) == 1


def test_a_rollback_is_refused_if_another_image_was_released_meanwhile(world: World, three: Three) -> None:
    _, second, third = three
    released(world, "1.3", 2.5)
    with pytest.raises(RollbackRefusedError, match="was released meanwhile"):
        back(world, second, third)
    assert world.notifications.messages == []


def test_after_a_revocation_it_goes_from_what_was_revoked(world: World, three: Three) -> None:
    first, second, third = three
    world.ledger.revoke(ReleaseId(third, 1), Revocation(NOW, CALLER, "stolen"))
    plan = world.planning().run(DEV, None, NOW + 3 * HOUR)
    assert (plan.current.image, plan.target.image) == (third, second)
    back(world, second, third)
    assert target(world, hours=4) == first


def test_a_rollback_may_leave_an_unsigned_image_but_never_return_to_one(world: World, three: Three) -> None:
    _, second, third = three
    known = world.ledger.get(ReleaseId(third, 1))
    world.ledger.releases[third, 1] = replace(known, verdict="BLOCK", signature=None, break_glass="b")
    plan = world.planning().run(DEV, None, NOW + 3 * HOUR)
    assert (plan.current.image, plan.target.image) == (third, second)
    back(world, second, third)
    with pytest.raises(RollbackRefusedError):
        world.rollbacks().run(DEV, third.digest, second.digest, CALLER, "x", NOW + 4 * HOUR)


@pytest.mark.parametrize("after", [0.2, 0.0, -0.2])
def test_a_rollback_comes_after_what_was_released_in_the_same_second(
    world: World, three: Three, after: float
) -> None:
    """The clock of the function that decides may be behind."""
    _, _, third = three
    fourth = released(world, "1.3", 3)
    known, closed = world.ledger.get(ReleaseId(fourth, 1)), NOW + 3 * HOUR + timedelta(milliseconds=500)
    world.ledger.releases[fourth, 1] = replace(known, closed_at=closed)
    done = back(world, third, fourth, 3 + (0.5 + after) / 3600)
    kept = Rollback.from_json(json.loads(json.dumps(done.as_json())))
    way = announced_releases(world.ledger.recent_of_repository(DEV), [kept], POLICY.stages["dev"])
    assert way[0].image == third


def test_an_image_that_was_released_again_can_be_rolled_back_again(world: World, three: Three) -> None:
    _, second, third = three
    one = back(world, second, third)
    known = world.ledger.get(ReleaseId(third, 1))
    again = replace(known, attempt=2, started_at=NOW + 4 * HOUR, closed_at=NOW + 4 * HOUR)
    world.ledger.releases[third, 2] = again
    assert back(world, second, third, 5) != one
    assert world.planning().run(DEV, None, NOW + 6 * HOUR).current.image == second


def test_written_findings_are_read_back_unchanged() -> None:
    one = Rollback(DEV, Digest.of(b"a"), Digest.of(b"b"), CALLER, NOW, "why ✓")
    assert Rollback.from_json(json.loads(json.dumps(one.as_json()))) == one


_images = [ImageRef(DEV, Digest.of(name.encode())) for name in "abc"]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), min_size=1, max_size=8))
def test_released_images_are_listed_newest_first_and_each_once(events: list[tuple[bool, int]]) -> None:
    releases: list[Release] = []
    rollbacks: list[Rollback] = []
    told: list[Digest] = []
    for hour, (is_release, number) in enumerate(events):
        image, then = _images[number], NOW + hour * HOUR
        if is_release:
            known = attempt(len(releases) + 1, image=image, closed_at=then)
            releases.append(known)
        elif image.digest in told:
            rollbacks.append(Rollback(DEV, image.digest, told[-1], CALLER, then, ""))
        else:
            continue
        told.append(image.digest)
    way = [one.image.digest for one in announced_releases(releases, rollbacks, POLICY.stages["dev"])]
    assert len(way) == len(set(way))
    assert way[:1] == told[-1:]


# Requests


def test_the_caller_is_kept(world: World, three: Three) -> None:
    _, second, third = three
    body: dict[str, Any] = {
        "schema": 1,
        "action": "rollback",
        "repository": DEV,
        "to": str(second.digest),
        "from": str(third.digest),
        "reason": "it leaks",
    }
    told = world.decide(parse_decision({"body": json.dumps(body)}), CALLER, NOW + 3 * HOUR)
    assert (told["by"], told["to"]) == (CALLER, str(second.digest))


# The command line


@pytest.fixture
def cli(gate: CliGate, url: Served) -> CliGate:
    for number, tag in enumerate(("1.0", "1.1", "1.2")):
        released(gate.world, tag, number)
    gate.now = NOW + 3 * HOUR
    return gate


def test_a_person_sees_from_where_to_where(cli: CliGate) -> None:
    shown = cli.call("rollback", "shop", "dev", "--dry-run")
    assert (shown.code, cli.world.notifications.messages) == (0, [])
    assert "shop-dev:1.2" in shown.out
    assert "Back to" in shown.out
    done = cli.call("rollback", "shop", "dev", "--reason", "it leaks", "--yes")
    assert (done.code, "Deployers were notified" in done.out) == (0, True), done.err
    assert "Forward to" in cli.call("rollback", "shop", "dev", "--to", "1.2", "--dry-run").out
    asked = cli.call("rollback", "shop", "dev", "--to", "1.0", "--reason", "x", "--yes", "--json").json
    assert (asked["tags"], asked["rollback"]["by"]) == (["1.0"], CALLER)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("shop", "dev", "--yes"), 2, "say why"),
        (("shop", "dev", "--reason", "x"), 2, "add --yes"),
        (("shop", "nowhere", "--dry-run"), 2, "there is no stage nowhere"),
        (("till", "dev", "--dry-run"), 2, "nothing was released here yet"),
        (("shop", "dev", "--to", "1.2", "--dry-run"), 1, "is the current release already"),
        (("shop", "dev", "--to", "9", "--dry-run"), 2, "has no tag 9"),
        (("shop", "dev", "--to", f"sha256:{'0' * 64}", "--dry-run"), 1, "was never released here"),
    ],
)
def test_an_impossible_rollback_target_is_named(
    cli: CliGate, arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = cli.call("rollback", *arguments)
    assert (result.code, says in result.err) == (code, True), result.err
    assert cli.world.notifications.messages == []
