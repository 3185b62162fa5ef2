"""Announce closes a release as what the ledger proves, and as nothing else, whoever calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from imagegate.errors import UnprovenEndingError
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.policy import Mode
from imagegate.release.release import Outcome, Release, ReleaseId
from imagegate.release.revocation import Revocation
from imagegate.workflow.announce import AnnounceRoute
from tests.component.cli_gate import with_stage
from tests.component.one_gate import World
from tests.fakes import DEV, LATER, NOW, POLICY, STAGING, critical

REVOKED = Revocation(NOW, "arn:aws:iam::123456789012:user/ann", "stolen")


def release_of(world: World, image: ImageRef) -> Release:
    return world.ledger.get(ReleaseId(image, 1))


def begun(world: World) -> ImageRef:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    return image


def passed(world: World) -> ImageRef:
    return world.judged()[0]


def refused(world: World) -> ImageRef:
    return world.judged(critical())[0]


def signed(world: World) -> ImageRef:
    return world.signed()


def promoted(world: World) -> ImageRef:
    image = world.signed()
    assert world.promote(image).outcome is Outcome.RELEASED
    return image


def copied_in_part(world: World) -> ImageRef:
    image = world.signed()
    assert world.promote(image, blobs=1).outcome is Outcome.RELEASED  # and is to be called again
    return image


def moved(world: World) -> ImageRef:
    image = world.signed()
    world.registry.push_image(DEV, "1.0", seed="newer")
    world.promote(image)
    return image


def moved_before_the_verdict(world: World) -> ImageRef:
    image, _ = world.judged()
    world.registry.push_image(DEV, "1.0", seed="newer")
    world.judge(image)
    return image


def overtaken(world: World) -> ImageRef:
    image = world.signed()
    world.ledger.claim_tag(STAGING, "1.0", Digest.of(b"newer"), LATER)
    world.promote(image)
    return image


def deleted(world: World) -> ImageRef:
    image = passed(world)
    world.registry.delete(image)
    world.judge(image)
    return image


def deleted_late(world: World) -> ImageRef:
    image = world.signed()
    world.registry.delete(image)
    world.promote(image)
    return image


def promote_to_taken_tag(world: World) -> ImageRef:
    image = world.signed()
    world.registry.push_image(STAGING, "1.0", seed="other")
    world.registry.immutable.add(STAGING)
    world.promote(image)
    return image


def held(world: World) -> ImageRef:
    deploy(world, "staging", approval=ApprovalTerms())
    image = world.signed()
    world.promote(image)
    return image


def observed(world: World) -> ImageRef:
    deploy(world, "dev", mode=Mode.OBSERVE)
    image = refused(world)
    world.promote(image)
    return image


def deploy(world: World, stage: str, **changes: object) -> None:
    world.policy = with_stage(POLICY, stage, **changes)
    world.records.policies[world.policy.digest] = world.policy


@pytest.mark.parametrize(
    ("way", "proven"),
    [
        (begun, None),
        (passed, None),
        (refused, Outcome.BLOCKED),
        (signed, None),
        (copied_in_part, None),
        (promoted, Outcome.RELEASED),
        (moved, Outcome.SUPERSEDED),
        (moved_before_the_verdict, Outcome.SUPERSEDED),
        (overtaken, Outcome.SUPERSEDED),
        (deleted, Outcome.WITHDRAWN),
        (deleted_late, Outcome.WITHDRAWN),
        (promote_to_taken_tag, Outcome.CONFLICT),
        (held, Outcome.HELD),
        (observed, Outcome.RELEASED),
    ],
)
def test_a_release_closes_only_with_the_outcome_that_the_ledger_proves(
    way: Callable[[World], ImageRef], proven: Outcome | None
) -> None:
    for outcome in Outcome:
        world = World()
        image = way(world)
        if outcome in (proven, Outcome.FAILED):
            assert world.announce(image, outcome) is AnnounceRoute.END
            assert release_of(world, image).outcome is outcome
            continue
        before = release_of(world, image)
        with pytest.raises(UnprovenEndingError, match=f"does not end as {outcome}"):
            world.announce(image, outcome)
        assert release_of(world, image) == before
        assert before.is_open
        assert world.notifications.messages == []


def test_nothing_is_released_without_its_signature_whatever_a_step_noted() -> None:
    world = World()
    image = promoted(world)
    world.ledger.record(ReleaseId(image, 1), signature=None)
    with pytest.raises(UnprovenEndingError, match="not signed"):
        world.announce(image, Outcome.RELEASED)


def test_a_last_stage_needs_exactly_a_signature() -> None:
    world = World()
    deploy(world, "dev", promotes_to=None)
    image, judged = world.judged()
    with pytest.raises(UnprovenEndingError):
        world.announce(image, Outcome.RELEASED)
    world.sign(judged.decision)
    assert world.announce(image, Outcome.RELEASED) is AnnounceRoute.END


def test_deployers_get_no_event_of_an_image_that_was_revoked_meanwhile() -> None:
    world = World()
    image = promoted(world)
    world.ledger.revoke(ReleaseId(image, 1), REVOKED)
    assert world.announce(image, Outcome.RELEASED) is AnnounceRoute.AGAIN
    assert world.promote(image).outcome is Outcome.BLOCKED
    assert world.announce(image, Outcome.BLOCKED) is AnnounceRoute.END
    assert [told.detail["outcome"] for told in world.notifications.messages] == ["blocked"]


def test_a_stale_result_closes_no_release() -> None:
    world = World()
    image = moved(world)
    world.registry.push_image(DEV, "1.0")
    world.start(image, at=LATER)
    assert world.announce(image, Outcome.SUPERSEDED) is AnnounceRoute.AGAIN
    assert release_of(world, image).is_open


def test_proof_that_changes_while_the_release_is_closed_closes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    image = promoted(world)
    policy = world.records.policy

    def revoked_now(digest: Digest) -> object:
        world.ledger.revoke(ReleaseId(image, 1), REVOKED)
        return policy(digest)

    monkeypatch.setattr(world.records, "policy", revoked_now)
    assert world.announce(image, Outcome.RELEASED) is AnnounceRoute.AGAIN
    assert release_of(world, image).is_open


def test_a_new_verdict_replaces_an_earlier_one() -> None:
    world = World()
    image = moved_before_the_verdict(world)
    world.registry.push_image(DEV, "1.0")
    world.judge(image)
    with pytest.raises(UnprovenEndingError):
        world.announce(image, Outcome.SUPERSEDED)


def test_a_failure_is_announced_with_its_error_and_grants_nothing() -> None:
    world = World()
    image = promoted(world)
    world.announce(image, Outcome.FAILED, "ThrottledError: too often")
    closed = release_of(world, image)
    assert (closed.outcome, closed.detail) == (Outcome.FAILED, "ThrottledError: too often")
    assert world.ledger.current_release(STAGING) is None


def test_break_glass_applies_to_its_verdict_and_to_no_later_one() -> None:
    world = World()
    deploy(world, "dev", promotes_to=None)
    image = refused(world)
    world.ledger.record(ReleaseId(image, 1), break_glass="by ann")
    open_ = release_of(world, image)
    assert world.announce(image, Outcome.RELEASED) is AnnounceRoute.END
    world.ledger.releases[image, 1] = replace(open_)
    assert world.judge(image).outcome is Outcome.BLOCKED
    with pytest.raises(UnprovenEndingError):
        world.announce(image, Outcome.RELEASED)
