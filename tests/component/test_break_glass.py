"""Break-glass: what it lets through, for how long, who hears of it, and that it never becomes a signature."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.deployment.check import DeploymentRule, apply_break_glass
from imagegate.errors import (
    DecisionRefusedError,
    InvalidDigestError,
    InvalidEventError,
    RecordNotFoundError,
    RejectedInputError,
    ThrottledError,
)
from imagegate.events.decide_call import caller_arn, parse_decision
from imagegate.grants.break_glass import BreakGlass, active_break_glass
from imagegate.notices.announcement import announce
from imagegate.oci.image import Digest, ImageRef
from imagegate.oci.reference import Container
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate.release.revocation import Revocation
from imagegate.release.start import Ignore
from imagegate.workflow.decide.break_glass import BreakGlassRefusedError
from imagegate.workflow.judge import JudgeResult, JudgeRoute
from tests.component.deployments import IMAGE, Cluster, attempt, blocked, image_name
from tests.component.one_gate import World
from tests.fakes import DEV, LATER, NOW, STAGING, FakeStarter, critical

ANN, BEN = "arn:aws:iam::123456789012:user/ann", "arn:aws:iam::123456789012:user/ben"
HOUR = timedelta(hours=1)


@pytest.fixture
def world() -> World:
    return World()


def glass(**changes: Any) -> BreakGlass:
    plain = BreakGlass("shop-*", IMAGE.digest, "the shop is down", NOW + 4 * HOUR, NOW, ANN)
    return replace(plain, **changes)


def refused(world: World, tag: str = "1.0") -> ImageRef:
    image = world.registry.push_image(DEV, tag, seed=tag)
    world.scans.finish(image, critical())
    world.start(image, tag)
    world.judge(image)
    world.announce(image, Outcome.BLOCKED)
    return image


def second_attempt(world: World, image: ImageRef, now: Any = LATER) -> JudgeResult:
    begun = world.starting().on_request(image, ("1.0",), StartReason.BREAK_GLASS, now)
    assert isinstance(begun, Release)
    return world.judge(image, attempt=2, now=now)


def promote(world: World, image: ImageRef, now: Any = LATER) -> Any:
    return world.promoting().run(ReleaseId(image, 2), lambda: True, now)


# What it is


def test_written_findings_are_read_back_unchanged() -> None:
    for one in (glass(), glass(platforms=(Digest.of(b"arm"),), withdrawn_at=LATER)):
        assert BreakGlass.from_json(json.loads(json.dumps(one.as_json()))) == one


@pytest.mark.parametrize("raw", [None, [], {}, {**glass().as_json(), "expires": "soon"}])
def test_an_unreadable_document_is_refused(raw: Any) -> None:
    with pytest.raises(RejectedInputError):
        BreakGlass.from_json(raw)


def test_its_name_stays_when_it_is_withdrawn() -> None:
    assert glass().id == glass(withdrawn_at=LATER).id
    assert glass().id != glass(reason="another").id


@given(st.integers(-10_000_000, 10_000_000), st.integers(-10_000_000, 10_000_000))
def test_it_counts_from_its_grant_until_its_end_and_never_again(first: int, more: int) -> None:
    now = NOW + timedelta(seconds=first)
    counts = glass().counts(now)
    assert counts is (NOW <= now < NOW + 4 * HOUR)
    if not counts and now > NOW:
        assert not glass().counts(now + timedelta(seconds=abs(more)))


def test_it_is_about_one_digest_and_its_platforms_in_the_repositories_that_it_names() -> None:
    leaf, other = Digest.of(b"arm"), Digest.of(b"other")
    one = glass(platforms=(leaf,))
    assert one.covers(IMAGE)
    assert one.covers(ImageRef(STAGING, leaf))
    assert not one.covers(ImageRef(DEV, other))
    assert not one.covers(ImageRef("till-dev", IMAGE.digest))


def test_the_break_glass_that_ends_last_is_active_and_none_from_before_a_revocation() -> None:
    longer = glass(expires=NOW + 5 * HOUR)
    assert active_break_glass([glass(), longer], IMAGE, LATER) == longer
    assert active_break_glass([glass(), longer], IMAGE, LATER, since=NOW) is None
    assert active_break_glass([glass(granted_at=LATER)], IMAGE, LATER, since=NOW) is not None


# What it lets through


def test_a_deployment_of_it_is_let_through_until_it_ends() -> None:
    cluster = Cluster()
    cluster.known(blocked())
    container = Container("app", image_name(IMAGE), IMAGE.digest)
    assert not cluster.check(container).rulings[0].may_run
    cluster.grants.break_glass(glass())
    [ruling] = cluster.check(container).rulings
    assert (ruling.rule, ruling.may_run) == (DeploymentRule.BREAK_GLASS, True)
    assert "break-glass until 2026-11-21 12:00 UTC by" in ruling.why
    assert "did not pass the dev gate" in ruling.why
    [ruling] = cluster.check(container, now=NOW + 4 * HOUR).rulings
    assert ruling.rule is DeploymentRule.REFUSED


def test_one_from_before_a_revocation_lets_nothing_through_and_one_from_after_does() -> None:
    cluster = Cluster()
    cluster.known(attempt(revoked=Revocation(LATER, BEN, "built on a stolen laptop")))
    container = Container("app", image_name(IMAGE), IMAGE.digest)
    cluster.grants.break_glass(glass())
    later = LATER + timedelta(minutes=1)
    [ruling] = cluster.check(container, now=later).rulings
    assert ruling.rule is DeploymentRule.REFUSED
    assert "revoked on 2026-11-21 08:01 UTC by" in ruling.why
    cluster.grants.break_glass(glass(granted_at=later))
    assert cluster.check(container, now=later).rulings[0].may_run


def test_break_glass_does_not_change_passed_and_foreign_images() -> None:
    cluster = Cluster()
    cluster.known(attempt())
    cluster.grants.break_glass(glass())
    passed, foreign = cluster.check(
        Container("app", image_name(IMAGE), IMAGE.digest), Container("web", "docker.io/library/nginx")
    ).rulings
    assert (passed.rule, foreign.rule) == (DeploymentRule.PASSED, DeploymentRule.OUTSIDE)
    assert apply_break_glass(foreign, [glass()], NOW) is foreign


def test_it_goes_on_to_the_next_stage_unsigned_and_says_so(world: World) -> None:
    image = refused(world)
    broken = world.glass().run(glass(digest=image.digest), NOW)
    assert broken.resumed[0].image == image
    assert world.starter.requests == [(image, ("1.0",), "break-glass")]
    found = second_attempt(world, image)
    assert (found.route, found.outcome) == (JudgeRoute.PROMOTE, Outcome.RELEASED)
    assert promote(world, image).outcome is Outcome.RELEASED
    assert world.registry.tags[STAGING, "1.0"] == image.digest
    release = world.ledger.get(ReleaseId(image, 2))
    assert release.signature is None
    told = announce(release, Outcome.RELEASED)
    assert "by break-glass: the dev gate would have blocked it" in told.subject
    assert told.attributes["alert"] == "alert"
    assert ANN in told.text
    assert told.detail["breakGlass"]
    assert told.detail["signature"] is None


def test_it_ends_also_between_the_verdict_and_the_copy(world: World) -> None:
    image = refused(world)
    world.glass().run(glass(digest=image.digest), NOW)
    second_attempt(world, image)
    with pytest.raises(DecisionRefusedError, match="has not passed"):
        promote(world, image, NOW + 4 * HOUR)


def test_break_glass_never_signs(world: World) -> None:
    image = refused(world)
    world.glass().run(glass(digest=image.digest), NOW)
    found = second_attempt(world, image)
    with pytest.raises(DecisionRefusedError, match="only a PASS is signed"):
        world.sign(found.decision)


def test_without_it_nothing_changes(world: World) -> None:
    image = refused(world)
    world.glass().run(glass(digest=Digest.of(b"another")), NOW)
    assert world.starter.requests == []
    assert second_attempt(world, image).outcome is Outcome.BLOCKED


def test_it_does_not_reopen_what_is_not_blocked(world: World) -> None:
    image = world.signed()
    world.promote(image)
    world.announce(image, Outcome.RELEASED)
    begun = world.starting().on_request(image, ("1.0",), StartReason.BREAK_GLASS, LATER)
    assert isinstance(begun, Ignore)


def test_an_image_that_passed_needs_none(world: World) -> None:
    image = world.signed()
    world.promote(image)
    world.announce(image, Outcome.RELEASED)
    with pytest.raises(BreakGlassRefusedError, match="the image passed the dev gate and is signed"):
        world.glass().run(glass(digest=image.digest), LATER)
    assert world.grants.broken_glass() == []


def test_a_revoked_image_is_let_through_with_a_warning(world: World) -> None:
    image = world.signed()
    world.promote(image)
    world.announce(image, Outcome.RELEASED)
    world.ledger.revoke(ReleaseId(image, 1), Revocation(NOW, ANN, "stolen"))
    result = world.glass().run(glass(digest=image.digest, granted_at=LATER), LATER)
    [revoked] = result.revoked
    assert (revoked.image, result.resumed) == (image, ())


# Who hears of it


def test_everybody_hears_of_it_at_once_and_once(world: World) -> None:
    first = world.glass().run(glass(), NOW)
    again = world.glass().run(glass(granted_at=LATER), LATER)
    assert first.is_new
    assert not again.is_new
    assert again.glass == first.glass
    [message] = world.notifications.messages
    assert message.subject.startswith("BREAK-GLASS: shop-*@")
    assert ANN in message.text
    assert f"imagegate decide withdraw {first.glass.id}" in message.text
    assert message.attributes["alert"] == "alert"


def test_a_call_that_was_killed_is_finished_by_the_next(world: World) -> None:
    class Killed(FakeStarter):
        def request(self, image: ImageRef, tags: Any, reason: str, by: str = "") -> None:
            raise ThrottledError("slow down")

    image = refused(world)
    before = len(world.notifications.messages)
    with pytest.raises(ThrottledError):
        replace(world.glass(), starter=Killed()).run(glass(digest=image.digest), NOW)
    world.glass().run(glass(digest=image.digest, granted_at=LATER), LATER)
    assert len(world.grants.broken_glass()) == 1
    assert len(world.notifications.messages) == before + 1
    assert world.starter.requests == [(image, ("1.0",), "break-glass")]


def test_the_end_of_break_glass_is_announced_before_and_after_once_each(world: World) -> None:
    world.glass().run(glass(), NOW)
    world.notifications.messages.clear()
    for minutes in (10, 185, 190, 240, 245, 3000):
        world.reconcile(NOW + timedelta(minutes=minutes))
    ending, ended = world.notifications.messages
    assert ending.subject.startswith("BREAK-GLASS ENDS at 12:00 UTC")
    assert ended.subject.startswith("BREAK-GLASS ENDED")


def test_a_withdrawn_break_glass_ends_now_and_is_not_announced_again(world: World) -> None:
    granted = world.glass().run(glass(), NOW).glass
    world.notifications.messages.clear()
    assert world.glass().withdraw(granted.id, BEN, LATER).ends_at == LATER
    [message] = world.notifications.messages
    assert message.subject.startswith("BREAK-GLASS WITHDRAWN")
    world.reconcile(NOW + 5 * HOUR)
    assert len(world.notifications.messages) == 1


def test_one_that_is_not_there_cannot_be_withdrawn(world: World) -> None:
    with pytest.raises(RecordNotFoundError, match="b-1"):
        world.glass().withdraw("b-1", BEN, NOW)


@pytest.mark.parametrize(
    ("expires", "why"),
    [(NOW, "would be over already"), (NOW + timedelta(days=7, seconds=1), "longer than 7 days")],
)
def test_one_that_would_not_end_in_time_is_refused(world: World, expires: Any, why: str) -> None:
    with pytest.raises(BreakGlassRefusedError, match=why):
        world.glass().run(glass(expires=expires), NOW)
    assert world.grants.broken_glass() == []
    assert world.notifications.messages == []


def test_an_index_is_let_through_with_its_platforms(world: World) -> None:
    index, platforms = world.index("amd64", "arm64")
    for platform in platforms:
        world.scans.finish(platform, critical())
    world.start(index, "1.0")
    world.judge(index)
    world.announce(index, Outcome.BLOCKED)
    granted = world.glass().run(glass(digest=index.digest, repositories=DEV), NOW).glass
    assert set(granted.platforms) == {platform.digest for platform in platforms}


# Requests


def call_event(body: dict[str, Any]) -> dict[str, Any]:
    return {"requestContext": {"authorizer": {"iam": {"userArn": BEN}}}, "body": json.dumps(body)}


def request(**changes: Any) -> dict[str, Any]:
    plain = {
        "schema": 1,
        "action": "break-glass",
        "repositories": "shop-*",
        "digest": str(IMAGE.digest),
        "reason": "the shop is down",
        "expires": "2026-11-21T13:00:00+01:00",
    }
    return {**plain, **changes}


def test_the_person_is_the_caller_and_not_taken_from_the_request(world: World) -> None:
    event = call_event(request())
    told = world.decide(parse_decision(event), caller_arn(event), NOW)
    [kept] = world.grants.broken_glass()
    assert (kept.granted_by, kept.expires, kept.id) == (BEN, NOW + 4 * HOUR, told["breakGlass"]["id"])
    event = call_event({"schema": 1, "action": "withdraw", "id": kept.id})
    told = world.decide(parse_decision(event), caller_arn(event), LATER)
    assert told["breakGlass"]["withdrawnAt"] == "2026-11-21T08:01:00Z"


@pytest.mark.parametrize(
    "changes",
    [{"expires": "2026-11-21T13:00:00"}, {"expires": "soon"}, {"reason": ""}, {"grantedBy": ANN}],
)
def test_what_is_not_written_as_it_has_to_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidEventError):
        parse_decision(call_event(request(**changes)))


def test_an_image_is_named_by_its_digest(world: World) -> None:
    event = call_event(request(digest="1.0"))
    with pytest.raises(InvalidDigestError):
        world.decide(parse_decision(event), BEN, NOW)
