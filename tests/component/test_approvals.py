"""Approvals: who may let an image in, what it takes, what makes it void, and that nothing waits for ever."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.errors import (
    AccessRefusedError,
    InvalidEventError,
    RecordNotFoundError,
    RejectedInputError,
    ThrottledError,
)
from imagegate.events.decide_call import caller_arn, parse_call, parse_decision
from imagegate.grants.approval import (
    Approval,
    ApprovalRequest,
    ApprovalStatus,
    Choice,
    approval_request,
    approval_status,
    find_held_attempt,
)
from imagegate.grants.approval_link import LinkEndedError
from imagegate.grants.caller_proof import NOBODY
from imagegate.grants.results import ApprovalResult
from imagegate.notices.announcement import announce
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.approval_terms import MAIL, ApprovalTerms, Person
from imagegate.policy.policy import Policy, RepositoryPattern
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate.release.start import Ignore
from imagegate.workflow.decide.approve import ApprovalRefusedError
from imagegate.workflow.decide.carry_out import decided_json
from imagegate.workflow.promote import PromoteRoute
from tests.component.deployments import attempt
from tests.component.one_gate import World
from tests.component.proofs import FUNCTION, Caller, FakeSts
from tests.fakes import DEV, LATER, NOW, POLICY, STAGING, FakeStarter, critical

USER = "arn:aws:iam::123456789012:user/"
ANN, BEN, CAT = (USER + name for name in ("ann", "ben", "cat"))
MANAGERS = "arn:aws:iam::123456789012:role/release-managers"
SESSION = "arn:aws:sts::123456789012:assumed-role/release-managers/dan"
DAY = timedelta(days=1)


def asking(**terms: Any) -> Policy:
    """Return a policy in which staging needs approval."""
    staging = replace(POLICY.stages["staging"], approval=ApprovalTerms(**terms))
    return replace(POLICY, stages={**POLICY.stages, "staging": staging})


def gate(**terms: Any) -> World:
    world = World(policy=asking(**terms))
    world.records.policies[POLICY.digest] = world.policy
    return world


@pytest.fixture
def world() -> World:
    return gate()


def held(world: World) -> ImageRef:
    image = world.signed()
    assert world.promote(image).outcome is Outcome.HELD
    world.announce(image, Outcome.HELD)
    return image


def decide(
    world: World,
    image: ImageRef,
    by: str = ANN,
    choice: Choice = Choice.APPROVE,
    reason: str = "",
    now: datetime = LATER,
    attempt: int = 1,
) -> ApprovalResult:
    return world.approvals().run(ReleaseId(image, attempt), by, choice, reason, now)


def going_on(world: World, image: ImageRef, now: datetime = LATER) -> Outcome:
    """Run the attempt that an approval begins, up to the end of its promotion."""
    begun = world.starting().on_request(image, ("1.0",), StartReason.APPROVED, now)
    assert isinstance(begun, Release)
    assert begun.reason is StartReason.APPROVED
    judged = world.judge(image, attempt=begun.attempt, now=now)
    if judged.outcome is not Outcome.RELEASED:
        return judged.outcome
    world.sign(judged.decision)
    return world.promoting().run(begun.id, lambda: True, now).outcome


# What it takes


def test_one_approval_lets_it_in_and_it_is_judged_again_first(world: World) -> None:
    image = held(world)
    done = decide(world, image)
    assert done.status is ApprovalStatus.APPROVED
    assert world.starter.requests == [(image, ("1.0",), "approved")]
    assert going_on(world, image) is Outcome.RELEASED
    assert world.registry.tags[STAGING, "1.0"] == image.digest


def test_so_many_have_to_approve_and_each_counts_once() -> None:
    world = gate(quorum=2)
    image = held(world)
    assert decide(world, image).status is ApprovalStatus.WAITING
    assert decide(world, image).status is ApprovalStatus.WAITING
    assert world.starter.requests == []
    assert list(world.ledger.held()) == [ReleaseId(image, 1)]
    assert decide(world, image, BEN).status is ApprovalStatus.APPROVED
    assert list(world.ledger.held()) == []


def test_one_rejection_blocks_the_image_whoever_has_approved() -> None:
    world = gate(quorum=2)
    image = held(world)
    decide(world, image)
    world.notifications.messages.clear()
    assert decide(world, image, BEN, Choice.REJECT, "not before the audit").status is ApprovalStatus.REJECTED
    assert decide(world, image, CAT).status is ApprovalStatus.REJECTED
    assert world.starter.requests == []
    [message] = world.notifications.messages
    assert message.subject == "REJECTED: shop-dev:1.0 does not go to staging"
    assert f"{BEN} has rejected it: not before the audit" in message.text
    assert "not before the audit" in world.ledger.get(ReleaseId(image, 1)).detail


def test_an_approver_may_still_reject_but_a_rejection_is_final() -> None:
    world = gate(quorum=2)
    image = held(world)
    decide(world, image)
    assert decide(world, image, choice=Choice.REJECT).status is ApprovalStatus.REJECTED
    with pytest.raises(
        ApprovalRefusedError,
        match="you have rejected it already; to request approval again: imagegate release shop-dev@sha256:",
    ):
        decide(world, image)


def test_without_an_approval_no_attempt_gets_in(world: World) -> None:
    image = held(world)
    for reason in (StartReason.OPERATOR, StartReason.NEW_TAG):
        begun = world.starting().on_request(image, ("1.0",), reason, LATER)
        assert isinstance(begun, Release)
        world.sign(world.judge(image, attempt=begun.attempt, now=LATER).decision)
        assert world.promoting().run(begun.id, lambda: True, LATER).outcome is Outcome.HELD
        world.ledger.close(begun.id, Outcome.HELD, None, LATER, "")
    assert (STAGING, "1.0") not in world.registry.tags


def test_the_starter_of_an_attempt_does_not_approve_it(world: World) -> None:
    """The reason alone gives nothing: the approvals are looked for."""
    image = held(world)
    assert going_on(world, image) is Outcome.HELD


# Who may


@pytest.mark.parametrize(
    ("approvers", "by", "may"),
    [
        ((), ANN, True),
        ((ANN,), ANN, True),
        ((ANN,), BEN, False),
        ((MANAGERS,), SESSION, True),
        ((MANAGERS,), SESSION.replace("release", "other"), False),
        ((USER + "*",), BEN, True),
        (("tag:team=platform",), ANN, True),
        (("tag:team=platform",), BEN, False),
        (("tag:team=platform",), SESSION, True),
        ((ANN,), "mailto:ann@example.com", False),
        ((), "mailto:eve@example.com", False),
        ((), "mailto:ann@example.com", True),
    ],
)
def test_only_listed_approvers_may_decide(approvers: tuple[str, ...], by: str, may: bool) -> None:
    mails = () if approvers else ("ann@example.com",)
    world = gate(approvers=approvers, by_mail=mails)
    world.people.known = {ANN: {"team": "platform"}, SESSION: {"team": "platform"}, BEN: {"team": "web"}}
    image = held(world)
    if may:
        assert decide(world, image, by).status is ApprovalStatus.APPROVED
        return
    with pytest.raises(ApprovalRefusedError, match="none of the approvers of staging"):
        decide(world, image, by)
    assert world.grants.approvals(ReleaseId(image, 1)) == []


def test_tags_are_read_from_iam_only_if_the_policy_names_some() -> None:
    world = gate(approvers=(ANN,))
    decide(world, held(world))
    assert world.people.asked == []


@pytest.mark.parametrize(
    ("started_by", "by"), [(ANN, ANN), (SESSION, SESSION), (SESSION, SESSION.replace("dan", "eve"))]
)
def test_the_person_who_pushed_the_image_does_not_approve_it(started_by: str, by: str, world: World) -> None:
    image = held(world)
    release = world.ledger.get(ReleaseId(image, 1))
    world.ledger.releases[image, 1] = replace(release, started_by=started_by)
    with pytest.raises(ApprovalRefusedError, match="whoever brought the image"):
        decide(world, image, by)
    assert decide(world, image, BEN).status is ApprovalStatus.APPROVED


def test_the_first_pusher_of_an_image_does_not_approve_it_later() -> None:
    production = replace(POLICY.stages["staging"], name="production")
    production = replace(
        production, repositories=RepositoryPattern("{app}-production"), approval=ApprovalTerms()
    )
    staging = replace(POLICY.stages["staging"], promotes_to="production")
    stages = {**POLICY.stages, "staging": staging, "production": production}
    world = World(policy=replace(POLICY, stages=stages))
    world.records.policies[POLICY.digest] = world.policy
    image = world.signed()
    assert world.starting().on_pushed_by(image, ANN) == Ignore("the pusher is recorded")
    assert world.promote(image).outcome is Outcome.RELEASED
    world.announce(image, Outcome.RELEASED)
    there = ImageRef(STAGING, image.digest)
    # Promotion pushes, too: whoever did it there has not brought the image.
    for other in (there, ImageRef("unmanaged", image.digest)):
        assert world.starting().on_pushed_by(other, BEN) == Ignore("the pusher matters only in first stages")
    world.scans.finish(there, [])
    world.start(there, "1.0")
    world.sign(world.judge(there).decision)
    assert world.promote(there).outcome is Outcome.HELD
    world.announce(there, Outcome.HELD)
    with pytest.raises(ApprovalRefusedError, match="whoever brought the image"):
        decide(world, there, ANN)
    assert decide(world, there, BEN).status is ApprovalStatus.APPROVED


def test_the_person_who_starts_an_attempt_by_hand_is_recorded(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    begun = world.starting().on_request(image, ("1.0",), StartReason.OPERATOR, NOW, ANN)
    assert isinstance(begun, Release)
    assert begun.started_by == ANN


def test_the_policy_can_require_a_reason() -> None:
    world = gate(needs_reason=True)
    image = held(world)
    for reason in ("", "  "):
        with pytest.raises(ApprovalRefusedError, match="requires a reason: add --reason TEXT"):
            decide(world, image, reason=reason)
    assert decide(world, image, reason="tested by hand").status is ApprovalStatus.APPROVED


# What makes it void


def test_a_worse_verdict_blocks_an_approved_image(world: World) -> None:
    image = held(world)
    decide(world, image)
    world.scans.finish(image, critical())
    assert going_on(world, image) is Outcome.BLOCKED


def test_a_new_push_of_the_tag_ends_it(world: World) -> None:
    image = held(world)
    world.registry.push_image(DEV, "1.0", seed="newer", at=LATER)
    with pytest.raises(ApprovalRefusedError, match="another image has its tags by now"):
        decide(world, image)


def test_a_new_push_between_the_approval_and_the_copy_ends_it_too(world: World) -> None:
    image = held(world)
    decide(world, image)
    world.registry.push_image(DEV, "1.0", seed="newer", at=LATER)
    assert going_on(world, image) is Outcome.SUPERSEDED


def test_an_image_that_is_gone_cannot_be_let_in(world: World) -> None:
    image = held(world)
    world.registry.delete(image)
    with pytest.raises(ApprovalRefusedError):
        decide(world, image)


def deploy_another_policy(world: World) -> None:
    """Deploy a policy that asks for two approvals."""
    other = replace(asking(quorum=2), digest=Digest.of(b"another policy"))
    world.policy = world.records.policies[other.digest] = other


def test_an_approval_counts_under_the_policy_that_asked_for_it(world: World) -> None:
    image = held(world)
    deploy_another_policy(world)
    assert decide(world, image).status is ApprovalStatus.APPROVED
    assert going_on(world, image) is Outcome.RELEASED
    assert world.ledger.get(ReleaseId(image, 2)).policy == POLICY.digest


def test_what_goes_on_after_a_lost_execution_keeps_its_policy(world: World) -> None:
    image = held(world)
    decide(world, image)
    assert isinstance(world.starting().on_request(image, ("1.0",), StartReason.APPROVED, LATER), Release)
    deploy_another_policy(world)
    world.workflow.ended.add(world.ledger.get(ReleaseId(image, 2)).execution_name)
    begun = world.starting().on_request(image, ("1.0",), StartReason.APPROVED, LATER)
    assert isinstance(begun, Release)
    assert (begun.reason, begun.policy) == (StartReason.LOST_EXECUTION, POLICY.digest)


def test_another_attempt_under_another_policy_asks_anew(world: World) -> None:
    image = held(world)
    deploy_another_policy(world)
    begun = world.starting().on_request(image, ("1.0",), StartReason.OPERATOR, LATER)
    assert isinstance(begun, Release)
    assert begun.policy == world.policy.digest
    with pytest.raises(ApprovalRefusedError, match="attempt 2 has begun since"):
        decide(world, image)


def test_an_approval_of_one_attempt_is_none_of_the_next(world: World) -> None:
    image = held(world)
    begun = world.starting().on_request(image, ("1.0",), StartReason.OPERATOR, LATER)
    assert isinstance(begun, Release)
    with pytest.raises(ApprovalRefusedError, match="attempt 2 has begun since"):
        decide(world, image)


def test_a_lost_execution_goes_on_with_the_approval() -> None:
    one = attempt(1, Outcome.HELD)
    two = attempt(2, Outcome.FAILED, reason=StartReason.APPROVED)
    three = attempt(3, None, reason=StartReason.LOST_EXECUTION)
    assert find_held_attempt(three, [three, two, one]) == one
    other = attempt(2, Outcome.FAILED, reason=StartReason.NEW_TAG)
    assert find_held_attempt(three, [three, other, one]) is None
    assert find_held_attempt(one, [one]) is None


@pytest.mark.parametrize(
    "outcome", [Outcome.RELEASED, Outcome.BLOCKED, Outcome.FAILED, Outcome.SUPERSEDED, None]
)
def test_a_release_that_does_not_wait_takes_no_decision(world: World, outcome: Outcome | None) -> None:
    image = held(world)
    world.ledger.releases[image, 1] = replace(world.ledger.get(ReleaseId(image, 1)), outcome=outcome)
    with pytest.raises(RecordNotFoundError, match="does not wait"):
        decide(world, image)


def test_an_approval_begins_nothing_where_nothing_is_held(world: World) -> None:
    image = world.signed()
    world.ledger.close(ReleaseId(image, 1), Outcome.RELEASED, None, NOW, "")
    assert isinstance(world.starting().on_request(image, ("1.0",), StartReason.APPROVED, LATER), Ignore)


# Time


def test_an_expired_approval_blocks_the_image_and_is_announced_once_before_and_after(world: World) -> None:
    image = held(world)
    world.notifications.messages.clear()
    for days in (1, 5.9, 6.1, 6.9, 7.1, 8, 30):
        world.reconcile(NOW + days * DAY)
    ending, message = [one for one in world.notifications.messages if one.detail_type != "Daily Digest"]
    assert ending.subject == "APPROVAL ENDS at 2026-11-28 08:01 UTC: shop-dev:1.0 waits for staging"
    assert "imagegate decide approve shop-dev:1.0" in ending.text
    assert message.subject == "APPROVAL EXPIRED: shop-dev:1.0 does not go to staging"
    assert "imagegate release shop-dev:1.0" in message.text
    assert list(world.ledger.held()) == []
    with pytest.raises(ApprovalRefusedError, match="the time to decide ended on"):
        decide(world, image, now=NOW + 8 * DAY)
    assert "in time" in world.ledger.get(ReleaseId(image, 1)).detail


def test_a_decided_release_is_not_announced_as_expired(world: World) -> None:
    image = held(world)
    decide(world, image)
    world.ledger.hold(ReleaseId(image, 1), NOW)  # the call was killed before the end
    going_on(world, image)
    world.notifications.messages.clear()
    world.reconcile(NOW + 8 * DAY)
    assert world.notifications.messages == []
    assert list(world.ledger.held()) == []


def test_a_call_that_was_killed_is_finished_by_the_next(world: World) -> None:
    class Killed(FakeStarter):
        def request(self, image: ImageRef, tags: Any, reason: str, by: str = "") -> None:
            raise ThrottledError("slow down")

    image = held(world)
    with pytest.raises(ThrottledError):
        replace(world.approvals(), starter=Killed()).run(ReleaseId(image, 1), ANN, Choice.APPROVE, "", LATER)
    assert decide(world, image).status is ApprovalStatus.APPROVED
    assert world.starter.requests == [(image, ("1.0",), "approved")]


# Soak


def soaking(hours: float) -> World:
    dev = replace(POLICY.stages["dev"], soak=timedelta(hours=hours))
    world = World(policy=replace(POLICY, stages={**POLICY.stages, "dev": dev}))
    world.records.policies[POLICY.digest] = world.policy
    return world


def test_an_image_soaks_until_so_long_after_its_push_and_then_goes_on() -> None:
    world = soaking(24)
    image = world.signed()
    promoted = world.promote(image)
    assert promoted.route is PromoteRoute.SOAK
    assert promoted.as_json()["until"] == "2026-11-22T08:00:01Z"
    assert (STAGING, "1.0") not in world.registry.tags
    release = world.ledger.get(ReleaseId(image, 1))
    assert (release.is_open, release.soaks_until) == (True, promoted.until)
    assert promoted.until is not None
    after = world.promoting().run(release.id, lambda: True, promoted.until)
    assert (after.route, after.outcome) == (PromoteRoute.ANNOUNCE, Outcome.RELEASED)


def test_an_image_is_judged_again_after_its_soak() -> None:
    world = soaking(24)
    image = world.signed()
    world.promote(image)
    world.scans.finish(image, critical())
    assert world.judge(image, now=NOW + DAY).outcome is Outcome.BLOCKED


def test_an_old_image_does_not_soak_again() -> None:
    world = soaking(0.01)
    image = world.signed()
    assert world.promote(image).outcome is Outcome.RELEASED


# What it comes to


def request(**changes: Any) -> ApprovalRequest:
    plain = ApprovalRequest(
        ReleaseId(ImageRef(DEV, Digest.of(b"image")), 1), "staging", POLICY.digest, ApprovalTerms(), NOW
    )
    return replace(plain, **changes)


def approval_by(by: str = ANN, **changes: Any) -> Approval:
    approval_request = request()
    plain = Approval(
        approval_request.release, approval_request.stage, approval_request.policy, Choice.APPROVE, by, LATER
    )
    return replace(plain, **changes)


def test_only_what_is_about_this_attempt_stage_and_policy_in_time_counts() -> None:
    assert approval_status(request(), [approval_by()], LATER) is ApprovalStatus.APPROVED
    for other in (
        approval_by(release=replace(request().release, attempt=2)),
        approval_by(stage="production"),
        approval_by(policy=Digest.of(b"other")),
        approval_by(at=NOW + 7 * DAY),
    ):
        assert approval_status(request(), [other], LATER) is ApprovalStatus.WAITING


_people = st.lists(st.tuples(st.sampled_from([ANN, BEN, CAT]), st.sampled_from(Choice)), max_size=6)


@given(_people, st.integers(1, 4))
def test_a_rejection_more_or_a_person_less_never_lets_in(
    people: list[tuple[str, Choice]], quorum: int
) -> None:
    approval_request = request(terms=ApprovalTerms(quorum=quorum))
    decided = [approval_by(by, choice=choice) for by, choice in people]
    status = approval_status(approval_request, decided, LATER)
    approving = {by for by, choice in people if choice is Choice.APPROVE}
    is_rejected = any(choice is Choice.REJECT for _, choice in people)
    assert (status is ApprovalStatus.APPROVED) is (len(approving) >= quorum and not is_rejected)
    assert (
        approval_status(approval_request, [*decided, approval_by(CAT, choice=Choice.REJECT)], LATER)
        is ApprovalStatus.REJECTED
    )
    if status is not ApprovalStatus.APPROVED and decided:
        fewer = [one for one in decided[1:] if one.choice is Choice.APPROVE] if not is_rejected else []
        assert approval_status(approval_request, fewer, LATER) is not ApprovalStatus.APPROVED


def test_written_findings_are_read_back_unchanged() -> None:
    assert Approval.from_json(json.loads(json.dumps(approval_by().as_json()))) == approval_by()
    for broken in (None, {}, {**approval_by().as_json(), "choice": "perhaps"}):
        with pytest.raises(RejectedInputError):
            Approval.from_json(broken)


def test_a_session_is_known_by_its_role_too() -> None:
    assert Person(SESSION).names == (SESSION, MANAGERS)
    assert Person(ANN).names == (ANN,)


# Who is one person


def of_role(role: str, name: str) -> str:
    return f"arn:aws:sts::123456789012:assumed-role/{role}/{name}"


SSO, SSO_TOO = "AWSReservedSSO_Admin_0123456789abcdef", "AWSReservedSSO_Ops_fedcba9876543210"


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        (ANN, ANN, True),
        (ANN, BEN, False),
        (ANN, ANN.replace("user/", "user/team/"), False),
        (SESSION, of_role("release-managers", "eve"), True),
        (SESSION, of_role("other-managers", "dan"), False),
        (of_role("named-ops", "ann"), of_role("named-ops", "ben"), False),
        (of_role("named-ops", "ann"), of_role("named-ops", "Ann"), True),
        (of_role("named-ops", "ann"), of_role("named-dev", "ann"), True),
        (of_role(SSO, "ann@example.com"), of_role(SSO, "ben@example.com"), False),
        (of_role(SSO, "ann@example.com"), of_role(SSO_TOO, "Ann@Example.com"), True),
        (of_role(SSO, "ann@example.com"), "mailto:ann@example.com", True),
        ("mailto:ann@example.com", "mailto:ANN@example.com", True),
        (of_role(SSO[:-1], "ann"), of_role(SSO[:-1], "ben"), True),
        (of_role(SSO.lower(), "ann"), of_role(SSO.lower(), "ben"), True),
        (of_role(f"x{SSO}", "ann"), of_role(f"x{SSO}", "ben"), True),
    ],
)
def test_a_quorum_counts_people_not_names(one: str, other: str, are_one: bool) -> None:
    terms = ApprovalTerms(quorum=2, named_sessions=("arn:aws:iam::123456789012:role/named-*",))
    decided = [approval_by(one), approval_by(other)]
    status = approval_status(request(terms=terms), decided, LATER)
    assert status is (ApprovalStatus.WAITING if are_one else ApprovalStatus.APPROVED)
    brought = request(terms=terms, brought_by=(one,))
    fault = brought.fault(Person(other), "", LATER) or ""
    assert (fault == f"{BROUGHT}, and {other.removeprefix(MAIL)} did: ask somebody else") is are_one
    assert len(brought.approving([approval_by(CAT), *decided])) == (1 if are_one else 2)


BROUGHT = "whoever brought the image does not decide about it"


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::123456789012:root",
        "arn:aws:sts::123456789012:federated-user/ann",
        MANAGERS,
        "arn:aws:sts::123456789012:assumed-role/ops",
        "ann",
    ],
)
def test_a_caller_without_a_personal_identity_decides_nothing(world: World, arn: str) -> None:
    image = held(world)
    for choice in Choice:
        with pytest.raises(ApprovalRefusedError, match="nobody knows who that is"):
            decide(world, image, arn, choice)


def test_two_sessions_of_one_role_are_one_approval() -> None:
    world = gate(quorum=2)
    image = held(world)
    assert decide(world, image, SESSION).status is ApprovalStatus.WAITING
    again = decide(world, image, SESSION.replace("dan", "eve"))
    assert (again.status, decided_json(again)["approving"]) == (ApprovalStatus.WAITING, 1)
    assert decide(world, image, ANN).status is ApprovalStatus.APPROVED


def test_an_approval_by_the_pusher_does_not_count_once_the_pusher_is_known(world: World) -> None:
    image = held(world)
    assert decide(world, image).status is ApprovalStatus.APPROVED
    world.ledger.note_pusher(image, ANN)
    assert going_on(world, image) is Outcome.HELD


# Messages to people


def test_a_held_image_shows_its_approval_and_the_commands() -> None:
    world = gate(quorum=2, approvers=(MANAGERS, "tag:team=platform"), needs_reason=True)
    image = held(world)
    message = world.notifications.messages[-1]
    assert message.subject.startswith("HELD: shop-dev:1.0 passed the dev gate, waits for approval")
    assert "staging needs 2 approvals until 2026-11-28 08:01 UTC" in message.text
    assert "imagegate decide approve shop-dev:1.0 --reason TEXT\n" in message.text
    assert message.detail["approval"]["quorum"] == 2
    asks = approval_request(world.ledger.get(ReleaseId(image, 1)), world.policy)
    assert asks is not None
    page = message.detail["approval"]["page"]
    assert page in message.text
    assert announce(world.ledger.get(ReleaseId(image, 1)), Outcome.HELD, asks, page) == message


# Requests


def request_body(**changes: Any) -> dict[str, Any]:
    plain = {
        "schema": 1,
        "action": "approve",
        "repository": DEV,
        "digest": str(Digest.of(b"image")),
        "attempt": 1,
        "reason": "",
    }
    body = json.dumps({**plain, **changes})
    return {"requestContext": {"authorizer": {"iam": {"userArn": BEN}}}, "body": body}


def test_the_person_is_the_caller_and_not_taken_from_the_request(world: World) -> None:
    image = held(world)
    event = request_body(digest=str(image.digest))
    told = world.decide(parse_decision(event), caller_arn(event), LATER)
    assert told["standing"] == "approved"
    assert [one["by"] for one in told["decided"]] == [BEN]
    assert told["request"]["into"] == "staging"


@pytest.mark.parametrize(
    "changes", [{"attempt": 0}, {"attempt": "1.5"}, {"reason": "x" * 501}, {"by": ANN}, {"action": "allow"}]
)
def test_what_is_not_written_as_it_has_to_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidEventError):
        parse_decision(request_body(**changes))


def test_a_retried_announcement_holds_and_tells_once(world: World) -> None:
    image = held(world)
    number = len(world.notifications.messages)
    world.announce(image, Outcome.HELD)
    assert len(world.notifications.messages) == number


# By mail


def mailed(world: World) -> dict[str, str]:
    """Return the token of each link by the text of the line before it."""
    [mail] = world.mails.messages
    return dict(re.findall(r"^(Let it in|Keep it out): +\S+\?t=(\S+)$", mail.text, re.MULTILINE))


def by_link(world: World, token: str, now: datetime = LATER) -> Any:
    body = json.dumps({"schema": 1, "action": "decide-by-link", "token": token, "reason": "looks good"})
    sts = FakeSts(())
    caller, request = parse_call({"body": body}, BY_LINK, sts.check, now)
    assert (caller, sts.asked) == (NOBODY, [])
    return world.decide(request, "", now)


BY_LINK = "arn:aws:lambda:eu-central-1:123456789012:function:imagegate-decide:by-link"


def test_each_address_gets_one_mail_with_links_of_its_own() -> None:
    world = gate(by_mail=("ann@example.com", "ben@example.com"))
    held(world)
    assert [mail.attributes["approver"] for mail in world.mails.messages] == [
        "ann@example.com",
        "ben@example.com",
    ]
    links = [re.findall(r"https://\S+", mail.text) for mail in world.mails.messages]
    assert len({link for pair in links for link in pair}) == 4
    told = world.notifications.messages[-1].text
    assert "https://page.example/?t=" in told
    assert not any(link in told for pair in links for link in pair)


def test_a_link_decides_in_the_name_of_whom_it_was_sent_to() -> None:
    world = gate(by_mail=("ann@example.com",))
    image = held(world)
    told = by_link(world, mailed(world)["Let it in"])
    assert (told["standing"], told["by"]) == ("approved", "mailto:ann@example.com")
    assert going_on(world, image) is Outcome.RELEASED


def test_a_link_is_good_for_one_answer() -> None:
    world = gate(by_mail=("ann@example.com",))
    held(world)
    tokens = mailed(world)
    assert by_link(world, tokens["Keep it out"])["standing"] == "rejected"
    assert by_link(world, tokens["Keep it out"])["standing"] == "rejected"
    with pytest.raises(
        ApprovalRefusedError,
        match="you have rejected it already; to request approval again: imagegate release shop-dev@sha256:",
    ):
        by_link(world, tokens["Let it in"])


def test_a_link_ends_with_the_time_to_decide() -> None:
    world = gate(by_mail=("ann@example.com",))
    held(world)
    with pytest.raises(LinkEndedError):
        by_link(world, mailed(world)["Let it in"], NOW + 8 * DAY)


def test_a_link_that_shows_decides_nothing(world: World) -> None:
    held(world)
    [token] = re.findall(r"\?t=(\S+)", world.notifications.messages[-1].text)
    with pytest.raises(InvalidEventError, match="shows, and decides nothing"):
        by_link(world, token)


LINK = {"schema": 1, "action": "decide-by-link", "token": "1.a.b"}


@pytest.mark.parametrize(
    ("event", "function"),
    [
        ({"body": json.dumps(LINK)}, FUNCTION),
        ({**request_body(), "body": json.dumps(LINK)}, FUNCTION),
        (Caller(BEN).asks(LINK, LATER), FUNCTION),
        (request_body(), BY_LINK),
        ({"body": request_body()["body"]}, FUNCTION),
        (request_body(), FUNCTION),
    ],
)
def test_the_page_cannot_say_that_it_is_somebody_and_nobody_else_takes_links(
    event: dict[str, Any], function: str
) -> None:
    with pytest.raises(AccessRefusedError):
        parse_call(event, function, FakeSts((Caller(BEN),)).check, LATER)
