"""A tag that is added later: when the verdict is good enough, and when the image has to be judged again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagegate.findings.versions import VERSIONS
from imagegate.gate.decision_record import Decision
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Policy
from imagegate.policy.rules import ImageRules, Rule
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate.release.revocation import Revocation
from imagegate.workflow.examination.replay import Replay
from imagegate.workflow.judge import JudgeResult
from tests.component.one_gate import World
from tests.fakes import DEV, LATER, NOW, POLICY, critical


@pytest.fixture
def world() -> World:
    return World()


def released(world: World) -> ImageRef:
    image = world.signed()
    world.promote(image)
    world.announce(image, Outcome.RELEASED)
    return image


def tagged(world: World, image: ImageRef, reason: StartReason = StartReason.NEW_TAG) -> Release:
    world.registry.tags[DEV, "2.0"] = image.digest
    begun = world.starting().on_request(image, ("2.0",), reason, LATER)
    assert isinstance(begun, Release)
    return begun


def judged(world: World, image: ImageRef, minutes: float = 10, **how: Any) -> JudgeResult:
    """Judge the second attempt, for which the scanner has found something: a new reading would block it."""
    tagged(world, image, **how)
    world.scans.finish(image, critical())
    return world.judge(image, attempt=2, now=NOW + timedelta(minutes=minutes))


def is_reused(found: JudgeResult) -> bool:
    return found.outcome is Outcome.RELEASED


def with_dev(world: World, **changes: Any) -> Policy:
    dev = replace(POLICY.stages["dev"], **changes)
    world.policy = replace(POLICY, stages={**POLICY.stages, "dev": dev})
    world.records.policies[POLICY.digest] = world.policy
    return world.policy


def test_the_verdict_is_taken_over_while_it_is_valid_and_the_signature_with_it(world: World) -> None:
    image = released(world)
    found = judged(world, image)
    assert is_reused(found)
    assert found.decision is not None
    first, second = (world.ledger.get(ReleaseId(image, number)) for number in (1, 2))
    assert second.decision == found.decision != first.decision
    record = Decision.decode(world.records.decision(found.decision))
    assert (record.attempt, record.judged_at) == (2, NOW)
    assert world.sign(found.decision).signature == first.signature
    again = Replay(world.records, VERSIONS).again(record)
    assert again.encode() == world.records.decision(found.decision)


def test_no_longer_than_it_is_valid(world: World) -> None:
    assert not is_reused(judged(world, released(world), minutes=61))


@pytest.mark.parametrize("reason", [StartReason.OPERATOR])
def test_only_for_a_tag(world: World, reason: StartReason) -> None:
    assert not is_reused(judged(world, released(world), reason=reason))


def test_not_where_the_tag_has_a_part_in_it(world: World) -> None:
    with_dev(world, image=ImageRules(forbidden_tags=Rule(("latest",))))
    assert not is_reused(judged(world, released(world)))


def test_not_where_an_image_soaks(world: World) -> None:
    image = released(world)
    with_dev(world, soak=timedelta(hours=1))
    assert not is_reused(judged(world, image))


def test_not_under_another_policy(world: World) -> None:
    image = released(world)
    other = replace(POLICY, digest=Digest.of(b"another"))
    world.policy = world.records.policies[other.digest] = other
    assert not is_reused(judged(world, image))


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": Outcome.BLOCKED},
        {"outcome": Outcome.HELD},
        {"signature": None},
        {"decision": None},
        {"revoked": Revocation(NOW, "ann", "stolen")},
    ],
)
def test_not_after_an_attempt_that_did_not_release_it(world: World, changes: dict[str, Any]) -> None:
    image = released(world)
    tagged(world, image)
    world.ledger.releases[image, 1] = replace(world.ledger.get(ReleaseId(image, 1)), **changes)
    world.scans.finish(image, critical())
    assert not is_reused(world.judge(image, attempt=2, now=LATER))
