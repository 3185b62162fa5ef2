"""Revoking: what falls with a signature, in which order, who hears of it, and that it stays so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from imagegate.deployment.check import DeploymentRule
from imagegate.errors import (
    AccessRefusedError,
    DecisionRefusedError,
    RecordNotFoundError,
    RejectedInputError,
    ThrottledError,
)
from imagegate.events.decide_call import parse_decision
from imagegate.evidence import attestation
from imagegate.grants.results import RevocationResult
from imagegate.oci.image import Digest, ImageRef
from imagegate.oci.reference import Container
from imagegate.policy.policy import Scanner
from imagegate.release.promotion import Promotion
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate.release.revocation import Revocation, RunsIn
from imagegate.release.start import Ignore
from imagegate.workflow.judge import JudgeRoute
from imagegate.workflow.watch.deployment import JudgeContainers
from tests.component.one_gate import World
from tests.fakes import DEV, LATER, NOW, REGISTRY, STAGING, FakeGrants, FakeSigner, critical

ANN, BEN = "arn:aws:iam::123456789012:user/ann", "arn:aws:iam::123456789012:user/ben"
STOLEN = Revocation(LATER, ANN, "built on a stolen laptop")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def released(world: World) -> ImageRef:
    """Return an image that both gates signed: dev, which promoted it, and staging."""
    image = world.signed()
    assert world.promote(image).outcome is Outcome.RELEASED
    world.announce(image, Outcome.RELEASED)
    there = ImageRef(STAGING, image.digest)
    world.scans.finish(there, [])
    world.start(there, "1.0")
    world.sign(world.judge(there).decision)
    world.announce(there, Outcome.RELEASED)
    world.notifications.messages.clear()
    return image


def revoke(world: World, image: ImageRef, revocation: Revocation = STOLEN, **how: Any) -> RevocationResult:
    return world.revocations().run(image, revocation, **how)


def holding(world: World, image: ImageRef) -> set[str]:
    """Return the stages whose signature on the image is still valid there."""
    subject = world.registry.manifest(image).descriptor
    stages = set()
    for referrer in world.registry.referrers(image):
        if referrer.artifact_type != attestation.NOTATION_SIGNATURE:
            continue
        manifest = world.registry.manifest(ImageRef(image.repository, referrer.digest))
        envelope = world.registry.blob(image.repository, manifest.layers[0])
        for stage in world.policy.stages:
            try:
                world.signer.verify(envelope, subject, stage, NOW)
            except RejectedInputError:
                continue
            stages.add(stage)
    return stages


def test_a_revocation_applies_there_and_in_every_later_stage(world: World, released: ImageRef) -> None:
    there = ImageRef(STAGING, released.digest)
    assert holding(world, released) == {"dev"}
    assert holding(world, there) == {"dev", "staging"}
    done = revoke(world, released)
    assert (done.stages, done.places) == (("dev", "staging"), (released, there))
    assert holding(world, released) == holding(world, there) == set()


def test_a_later_gates_alone_leaves_the_one_before(world: World, released: ImageRef) -> None:
    there = ImageRef(STAGING, released.digest)
    done = revoke(world, there)
    assert (done.stages, done.earlier) == (("staging",), (released,))
    assert holding(world, there) == {"dev"}
    [message] = world.notifications.messages
    assert f"  imagegate decide revoke {released} --reason ..." in message.text.splitlines()
    assert message.detail["earlier"] == [str(released)]
    assert revoke(world, released).earlier == ()


def test_an_earlier_gate_that_has_revoked_its_own_is_not_named(world: World, released: ImageRef) -> None:
    revoke(world, released, onward=False)
    assert revoke(world, ImageRef(STAGING, released.digest)).earlier == ()


def test_the_stages_after_can_be_left_out(world: World, released: ImageRef) -> None:
    assert revoke(world, released, onward=False).stages == ("dev",)
    assert holding(world, ImageRef(STAGING, released.digest)) == {"dev", "staging"} - {"dev"}


def test_a_deployment_of_it_is_refused_from_then_on(world: World, released: ImageRef) -> None:
    container = Container("app", f"{REGISTRY}/{released}", released.digest)
    judge = JudgeContainers(
        images=world.registry, ledger=world.ledger, grants=FakeGrants(), policy=world.policy, allowed=()
    )
    assert judge.run([container], NOW)[0].may_run
    revoke(world, released)
    [ruling] = judge.run([container], LATER)
    assert ruling.rule is DeploymentRule.REFUSED
    assert f"revoked on 2026-11-21 08:01 UTC by {ANN}: built on a stolen laptop" in ruling.why


def test_the_ledger_knows_it_before_anything_else_is_done(world: World, released: ImageRef) -> None:
    class Down(FakeSigner):
        def revoke(self, envelope: bytes, stages: Any, reason: str) -> str | None:
            raise ThrottledError("slow down")

    with pytest.raises(ThrottledError):
        replace(world.revocations(), signer=Down).run(released, STOLEN)
    assert world.ledger.get(ReleaseId(released, 1)).revoked == STOLEN
    done = revoke(world, released, replace(STOLEN, by=BEN))
    assert done.revocation == STOLEN
    assert holding(world, released) == set()
    [message] = world.notifications.messages
    assert ANN in message.text


def test_no_other_attempt_begins_whatever_the_reason(world: World, released: ImageRef) -> None:
    revoke(world, released)
    whys = {StartReason.ADOPTED: "no image to adopt", StartReason.LOST_EXECUTION: "has ended"}
    for reason in StartReason:
        if reason is not StartReason.PUSH:
            begun = world.starting().on_request(released, ("1.0",), reason, LATER)
            assert isinstance(begun, Ignore)
            assert whys.get(reason, "revoked on") in begun.why
    assert isinstance(world.start(released, "2.0"), Ignore)


def test_an_attempt_that_is_open_ends_blocked_and_signs_nothing(world: World) -> None:
    image = world.signed()
    revoke(world, image)
    assert world.judge(image).outcome is Outcome.BLOCKED
    assert world.judge(image).route is JudgeRoute.ANNOUNCE
    promoted = world.promote(image)
    assert promoted.outcome is Outcome.BLOCKED
    assert "built on a stolen laptop" in promoted.detail
    assert (STAGING, "1.0") not in world.registry.tags
    with pytest.raises(DecisionRefusedError, match="revoked"):
        world.sign(world.ledger.get(ReleaseId(image, 1)).decision)


def test_an_unsigned_image_cannot_be_revoked(world: World) -> None:
    image, _ = world.judged(critical())
    with pytest.raises(RecordNotFoundError, match="no gate has signed it"):
        revoke(world, image)
    with pytest.raises(RecordNotFoundError, match="no gate has signed it"):
        revoke(world, ImageRef("till-dev", Digest.of(b"other")))
    assert world.ledger.get(ReleaseId(image, 1)).revoked is None
    assert world.notifications.messages == []


def test_a_signature_that_the_registry_does_not_list_yet_is_revoked_too(
    world: World, released: ImageRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = holding(world, released)
    with monkeypatch.context() as patch:
        patch.setattr(world.registry, "referrers", lambda _image: [])
        revoke(world, released)
    assert before == {"dev"}
    assert holding(world, released) == set()


def test_an_image_that_is_gone_from_one_stage_is_revoked_where_it_went(
    world: World, released: ImageRef
) -> None:
    world.registry.delete(released)
    revoke(world, released)
    assert holding(world, ImageRef(STAGING, released.digest)) == set()


def test_a_way_that_leads_in_circles_ends(world: World, released: ImageRef) -> None:
    there = ImageRef(STAGING, released.digest)
    world.ledger.record(ReleaseId(there, 1), promotion=Promotion(DEV, released.digest, ("1.0",)))
    assert revoke(world, released).places == (released, there)


def test_the_answer_lists_where_the_image_runs(world: World, released: ImageRef) -> None:
    world.policy = replace(world.policy, scanner=Scanner.ENHANCED)
    cluster = "arn:aws:ecs:eu-central-1:123456789012:cluster/prod"
    there = ImageRef(STAGING, released.digest)
    world.usage.runs_in[there] = [RunsIn(cluster, 3)]
    revoke(world, released)
    [message] = world.notifications.messages
    assert message.subject.startswith(f"REVOKED: {DEV}@")
    assert f"It runs in\n  {cluster}: 3 running" in message.text
    assert f"The image is stored in\n  {DEV}\n  {STAGING}" in message.text
    assert message.detail["runsIn"] == [{"cluster": cluster, "running": 3}]


def test_an_unknown_place_of_running_is_reported(world: World, released: ImageRef) -> None:
    assert revoke(world, released).runs_in is None
    assert "It is not known where it runs" in world.notifications.messages[0].text


def test_a_revocation_works_without_permission_for_inspector(
    world: World, released: ImageRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_image: ImageRef) -> list[RunsIn]:
        raise AccessRefusedError("no")

    world.policy = replace(world.policy, scanner=Scanner.ENHANCED)
    monkeypatch.setattr(world.usage, "clusters", refuse)
    assert revoke(world, released).runs_in is None


def test_an_image_that_runs_nowhere_is_reported_so(world: World, released: ImageRef) -> None:
    world.policy = replace(world.policy, scanner=Scanner.ENHANCED)
    assert revoke(world, released).runs_in == ()
    assert "has seen it run nowhere" in world.notifications.messages[0].text


def test_it_is_requested_by_digest_and_answered_in_full(world: World, released: ImageRef) -> None:
    body = {
        "schema": 1,
        "action": "revoke",
        "repository": DEV,
        "digest": str(released.digest),
        "reason": "built on a stolen laptop",
    }
    told = world.decide(parse_decision({"body": json.dumps(body)}), BEN, NOW)
    assert told["revocation"] == {
        "at": "2026-11-21T08:00:00Z",
        "by": BEN,
        "reason": "built on a stolen laptop",
    }
    assert told["stages"] == ["dev", "staging"]
    assert told["repositories"] == [DEV, STAGING]
    assert told["signatures"] >= 2
    assert (told["runsIn"], told["earlier"]) == (None, [])
    assert isinstance(world.ledger.latest(released), Release)
