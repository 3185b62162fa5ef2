"""Why a release is started: only what the grants, the ledger and the policy show, whatever the caller says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from imagegate.errors import InvalidEventError, RecordNotFoundError, RejectedInputError
from imagegate.events.arrivals import parse_start
from imagegate.events.decide_call import parse_decision
from imagegate.events.eventbridge import CLOUDTRAIL
from imagegate.grants.approval import Choice
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.order import ORDER_LIFETIME, Order
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate.release.start import Ignore
from imagegate.workflow.decide.order import OrderRefusedError
from imagegate.workflow.reasons import RequestedRelease, StartOnEvent
from tests.component.one_gate import World
from tests.component.test_approvals import asking, held
from tests.component.test_break_glass import glass
from tests.component.test_decide import waiver
from tests.fakes import DEV, LATER, NOW, critical

ANN, BEN = (f"arn:aws:iam::123456789012:user/{name}" for name in ("ann", "ben"))
BY_HAND = (StartReason.OPERATOR, StartReason.ADOPTED)
SECOND = timedelta(seconds=1)


@pytest.fixture
def world() -> World:
    return World()


def requested(
    world: World,
    image: ImageRef,
    reason: StartReason,
    now: datetime = LATER,
    tags: tuple[str, ...] = ("1.0",),
) -> Release | Ignore:
    step = StartOnEvent(start=world.starting(), grants=world.grants)
    return step.run(RequestedRelease(image, tags, reason), now)


def blocked(world: World) -> ImageRef:
    image, judged = world.judged(critical())
    world.announce(image, judged.outcome)
    return image


def order(
    world: World, image: ImageRef, now: datetime = LATER, *, adopt: bool = False, by: str = ANN
) -> None:
    reason = StartReason.ADOPTED if adopt else StartReason.OPERATOR
    world.orders().run(image, ["1.0"], reason, by, now)


@pytest.mark.parametrize("reason", [one for one in StartReason if one is not StartReason.PUSH])
def test_a_made_up_reason_starts_nothing(world: World, reason: StartReason) -> None:
    image = blocked(world)
    with_approval = World(policy=asking())
    with_approval.records.policies[with_approval.policy.digest] = with_approval.policy
    for gate, one in ((world, image), (with_approval, held(with_approval))):
        unknown = gate.registry.push_image(DEV, "9.0", seed="no event yet")
        for target in (one, unknown):
            before = gate.ledger.latest(target)
            try:
                assert isinstance(requested(gate, target, reason), Ignore)
            except RejectedInputError:
                assert reason in (StartReason.NEW_TAG, StartReason.LOST_EXECUTION)
            assert gate.ledger.latest(target) == before


def test_a_push_is_looked_for_in_the_registry(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    begun = requested(world, image, StartReason.PUSH, tags=("made-up",))
    assert isinstance(begun, Release)
    assert (begun.tags, begun.reason, begun.started_by) == (frozenset({"1.0"}), StartReason.PUSH, "")


def test_the_person_who_ordered_an_attempt_is_recorded_once(world: World) -> None:
    image = blocked(world)
    order(world, image)
    assert world.starter.requests == [(image, ("1.0",), "operator")]
    begun = requested(world, image, StartReason.OPERATOR, LATER + SECOND, tags=("made-up",))
    assert isinstance(begun, Release)
    assert (begun.attempt, begun.started_by, begun.tags) == (2, ANN, frozenset({"1.0"}))
    assert requested(world, image, StartReason.OPERATOR, LATER + SECOND) == begun  # Lambda tries again
    world.ledger.close(begun.id, Outcome.BLOCKED, None, LATER, "")
    assert isinstance(requested(world, image, StartReason.OPERATOR, LATER + 2 * SECOND), Ignore)
    assert isinstance(requested(world, image, StartReason.ADOPTED, LATER + 2 * SECOND), Ignore)


def test_the_last_who_ordered_it_counts_and_not_for_long(world: World) -> None:
    image = blocked(world)
    order(world, image)
    order(world, image, LATER + SECOND, by=BEN)
    late = LATER + SECOND + ORDER_LIFETIME
    assert isinstance(requested(world, image, StartReason.OPERATOR, late + SECOND), Ignore)
    begun = requested(world, image, StartReason.OPERATOR, late)
    assert isinstance(begun, Release)
    assert begun.started_by == BEN


def test_the_person_who_ordered_a_release_does_not_approve_it() -> None:
    world = World(policy=asking())
    world.records.policies[world.policy.digest] = world.policy
    image = held(world)
    order(world, image)
    begun = requested(world, image, StartReason.OPERATOR, LATER + SECOND)
    assert isinstance(begun, Release)
    assert begun.started_by == ANN


def test_an_adopted_image_names_the_person_who_adopted_it(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0", at=NOW - timedelta(days=9))
    order(world, image, adopt=True)
    begun = requested(world, image, StartReason.ADOPTED, LATER)
    assert isinstance(begun, Release)
    assert (begun.reason, begun.started_by) == (StartReason.ADOPTED, ANN)


def test_an_impossible_order_is_refused_and_leaves_nothing(world: World) -> None:
    image = blocked(world)
    for tags, there in ((["2.0"], image), (["1.0"], replace(image, repository="tools"))):
        with pytest.raises((OrderRefusedError, RecordNotFoundError)):
            world.orders().run(there, tags, StartReason.OPERATOR, ANN, LATER)
    assert (world.grants.ordered, world.starter.requests) == ([], [])


def test_an_order_is_read_as_it_was_written() -> None:
    one = Order(ImageRef(DEV, Digest.of(b"x")), frozenset({"a", "b"}), StartReason.OPERATOR, ANN, LATER)
    assert Order.from_json(json.loads(json.dumps(one.as_json()))) == one
    for broken in (None, {}, {**one.as_json(), "reason": "x"}, {**one.as_json(), "at": 1}):
        with pytest.raises(RejectedInputError):
            Order.from_json(broken)


def test_the_caller_and_not_the_request_says_who_ordered_it(world: World) -> None:
    image = blocked(world)
    asked = {
        "schema": 1,
        "action": "release",
        "repository": DEV,
        "digest": str(image.digest),
        "tags": ["1.0"],
    }
    told = world.decide(parse_decision({"body": json.dumps(asked)}), BEN, LATER)
    assert (told["order"]["by"], world.grants.ordered[0].by) == (BEN, BEN)
    wrong: list[dict[str, object]] = [{"by": ANN}, {"reason": "approved"}, {"tags": []}]
    for more in wrong:
        with pytest.raises(InvalidEventError):
            parse_decision({"body": json.dumps({**asked, **more})})


# Reasons that hold


def test_an_approval_that_is_complete_goes_on() -> None:
    world = World(policy=asking(quorum=2))
    world.records.policies[world.policy.digest] = world.policy
    image = held(world)
    approvals = world.approvals()
    approvals.run(ReleaseId(image, 1), ANN, Choice.APPROVE, "", LATER)
    assert isinstance(requested(world, image, StartReason.APPROVED), Ignore)
    approvals.run(ReleaseId(image, 1), BEN, Choice.APPROVE, "", LATER)
    assert isinstance(requested(world, image, StartReason.APPROVED), Release)


def test_a_break_glass_that_counts_goes_on(world: World) -> None:
    image = blocked(world)
    other = glass(digest=Digest.of(b"another image"))
    world.grants.break_glass(other)
    assert isinstance(requested(world, image, StartReason.BREAK_GLASS), Ignore)
    one = glass(digest=image.digest)
    world.grants.break_glass(one)
    assert isinstance(requested(world, image, StartReason.BREAK_GLASS, one.expires), Ignore)
    assert isinstance(requested(world, image, StartReason.BREAK_GLASS), Release)


def test_a_waiver_that_counts_here_goes_on(world: World) -> None:
    image = blocked(world)
    world.grants.grant(replace(waiver(repositories="other-*"), granted_at=NOW, granted_by=ANN))
    assert isinstance(requested(world, image, StartReason.NEW_WAIVER), Ignore)
    world.grants.grant(replace(waiver(), granted_at=NOW, granted_by=ANN))
    assert isinstance(requested(world, image, StartReason.NEW_WAIVER, NOW + timedelta(days=99)), Ignore)
    assert isinstance(requested(world, image, StartReason.NEW_WAIVER), Release)


def test_another_policy_goes_on(world: World) -> None:
    image = blocked(world)
    world.policy = replace(world.policy, digest=Digest.of(b"another policy"))
    world.records.policies[world.policy.digest] = world.policy
    assert isinstance(requested(world, image, StartReason.NEW_POLICY), Release)


# Which way it comes

FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:start"
REQUEST = {
    "schema": 1,
    "request": {"repository": DEV, "digest": str(Digest.of(b"x")), "tags": ["1"], "reason": "push"},
}


def test_a_requester_cannot_claim_what_happened() -> None:
    event = {"detail-type": CLOUDTRAIL}
    assert isinstance(parse_start(REQUEST, f"{FUNCTION}:requests"), RequestedRelease)
    with pytest.raises(InvalidEventError, match="not a valid CloudTrailPutImage"):
        parse_start(event, f"{FUNCTION}:live")
    for wrong, by in (
        (event, "requests"),
        (REQUEST, "live"),
        ({**event, "request": {}}, "live"),
        ({}, "requests"),
    ):
        with pytest.raises(InvalidEventError, match="takes only"):
            parse_start(wrong, f"{FUNCTION}:{by}")


def test_a_request_names_nobody() -> None:
    request = parse_start(REQUEST, f"{FUNCTION}:requests")
    assert isinstance(request, RequestedRelease)
    assert request.reason is StartReason.PUSH
    named = {**REQUEST, "request": {**REQUEST["request"], "by": ANN}}  # type: ignore[dict-item]
    with pytest.raises(InvalidEventError, match="unknown field `by`"):
        parse_start(named, f"{FUNCTION}:requests")
