"""The steps of a release over in-memory ports: what each may do, and that doing it twice changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest

from imagegate.errors import (
    DecisionRefusedError,
    ImageNotFoundError,
    RecordNotFoundError,
    RegistryUnavailableError,
    RejectedInputError,
    UnsupportedImageError,
    VerificationError,
)
from imagegate.events.step_requests import JudgeRequest
from imagegate.events.validation import parse
from imagegate.evidence.attestation import NOTATION_SIGNATURE
from imagegate.findings.scan import Scanning, WaitOutcome
from imagegate.gate.decision_record import Decision
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import OCI_CONFIG, OCI_MANIFEST, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.policy import Arrival, Mode
from imagegate.policy.waiver import Waiver
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate.release.start import Ignore, Push
from imagegate.workflow.announce import AnnounceRoute
from imagegate.workflow.copying import Copy
from imagegate.workflow.judge import JudgeResult, JudgeRoute
from imagegate.workflow.promote import PromoteRoute
from tests.component.one_gate import World
from tests.fakes import (
    DEV,
    LATER,
    NOW,
    POLICY,
    STAGING,
    critical,
)

HALF_HOUR = timedelta(minutes=30)  # the stage's limit for a scan


@pytest.fixture
def world() -> World:
    return World()


def decision_of(world: World, judged: JudgeResult) -> Decision:
    assert judged.decision is not None
    return Decision.decode(world.records.decision(judged.decision))


def rules(world: World, judged: JudgeResult) -> list[str]:
    return [reason["rule"] for reason in decision_of(world, judged).reasons]


# Start


def test_a_push_is_one_attempt_however_often_it_is_announced(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    for _ in range(3):
        assert isinstance(world.start(image), Release)
    assert len(world.workflow.started) == len(world.ledger.releases) == 1


def test_a_start_killed_before_the_execution_is_finished_by_the_next_event(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.workflow.started.clear()
    world.start(image)
    assert len(world.workflow.started) == 1


def test_a_second_tag_joins_the_open_release(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image, "1.0")
    world.registry.push_image(DEV, "latest")
    world.start(image, "latest")
    assert [release.tags for release in world.ledger.releases.values()] == [{"1.0", "latest"}]


def test_a_tag_left_out_of_the_event_is_read_from_the_image(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image, tag=None)
    assert world.ledger.get(ReleaseId(image, 1)).tags == {"1.0"}


def test_a_repository_without_a_stage_starts_nothing(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    elsewhere = world.registry.push_image("tools", "1.0")
    then = NOW - timedelta(days=9)
    old = world.registry.push_image(DEV, "0.1", seed="old", at=then)
    bare = world.registry.push_image(DEV, "x", seed="bare")
    del world.registry.tags[DEV, "x"]
    reasons = [
        world.start(elsewhere),
        world.start(image, result="FAILURE"),
        world.start(old, "0.1", at=then),
        world.start(bare, None),
        world.start(ImageRef(DEV, Digest.of(b"gone"))),
    ]
    assert reasons == [
        Ignore("unmanaged repository"),
        Ignore("failed push"),
        Ignore("older than the installation"),
        Ignore("untagged push"),
        Ignore("the image is gone"),
    ]
    assert not world.ledger.releases


def test_evidence_that_is_pushed_under_a_tag_starts_nothing(world: World) -> None:
    image = world.signed()
    signature = next(r for r in world.registry.referrers(image) if r.artifact_type == NOTATION_SIGNATURE)
    assert world.start(ImageRef(DEV, signature.digest), "sha256-abc.sig") == Ignore("artifact")


def test_an_operator_gets_another_attempt_of_a_closed_release(world: World) -> None:
    image, _ = world.judged(critical())
    world.announce(image, Outcome.BLOCKED)
    assert isinstance(world.start(image), Ignore)
    again = world.starting().on_request(image, ["1.0"], StartReason.OPERATOR, NOW)
    assert isinstance(again, Release)
    assert (again.attempt, again.reason) == (2, StartReason.OPERATOR)


def test_a_request_for_an_unmanaged_repository_is_refused(world: World) -> None:
    with pytest.raises(RejectedInputError, match="no stage of the policy"):
        world.starting().on_request(world.registry.push_image("tools", "1"), ["1"], StartReason.OPERATOR, NOW)


def test_a_deploy_in_the_middle_does_not_change_the_input_of_a_running_attempt(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    newer = replace(
        POLICY,
        digest=Digest.of(b"newer"),
        stages={**POLICY.stages, "dev": replace(POLICY.stages["dev"], promotes_to=None)},
    )
    world.policy = world.records.policies[newer.digest] = newer
    world.start(image)  # the fake refuses one name with two inputs
    assert world.ledger.get(ReleaseId(image, 1)).policy == POLICY.digest


def test_an_execution_that_ended_without_an_outcome_is_replaced(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.workflow.ended.update(world.workflow.started)
    again = world.start(image)
    assert isinstance(again, Release)
    assert (again.attempt, again.reason) == (2, StartReason.LOST_EXECUTION)
    assert world.ledger.get(ReleaseId(image, 1)).outcome is Outcome.FAILED


def test_a_start_killed_before_the_execution_is_finished_even_if_the_image_is_gone(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.workflow.started.clear()
    world.registry.delete(image)
    assert isinstance(world.start(image), Release)
    assert len(world.workflow.started) == 1


def test_duplicates_make_no_new_attempts_however_many_tags_there_are(world: World) -> None:
    image = world.signed()
    world.promote(image)
    world.announce(image, Outcome.RELEASED)
    world.registry.push_image(DEV, "2.0")
    world.start(image, "2.0")
    assert world.ledger.get(ReleaseId(image, 2)).tags == {"1.0", "2.0"}
    world.ledger.close(ReleaseId(image, 2), Outcome.RELEASED, None, NOW, "")
    for tag in ("2.0", "1.0", "2.0", "1.0"):
        assert isinstance(world.start(image, tag), Ignore)


def test_a_tag_that_comes_back_takes_the_next_stage_back(world: World) -> None:
    image = world.signed()
    world.promote(image)
    world.announce(image, Outcome.RELEASED)
    world.ledger.claim_tag(STAGING, "1.0", Digest.of(b"another"), LATER)
    assert isinstance(world.start(image), Ignore)  # the first push, announced once more
    back = world.start(image, at=LATER + timedelta(minutes=1))
    assert isinstance(back, Release)
    assert (back.attempt, back.reason) == (2, StartReason.PUSH)
    assert world.ledger.claim_tag(STAGING, "1.0", image.digest, back.pushed_at or NOW)


# Await Scan


def test_results_that_are_there_already_end_the_wait_at_once(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.scans.finish(image)
    assert world.wait(image) is WaitOutcome.READY
    assert world.workflow.woken["token"]["waited"] == "READY"
    assert not world.ledger.tokens


def test_a_scan_event_after_registration_wakes_once(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    assert world.wait(image) is None
    world.scans.finish(image)
    assert [world.completed().on_scan(image, LATER) for _ in range(3)] == [1, 0, 0]


def test_an_early_scan_event_costs_one_look_of_the_judge(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.wait(image)
    assert world.completed().on_scan(image, LATER) == 1
    assert world.judge(image).route is JudgeRoute.AWAIT


def test_an_event_about_one_platform_does_not_wake_a_release_that_waits_for_another(world: World) -> None:
    index, (amd, arm) = world.index("amd64", "arm64")
    world.start(index)
    world.wait(index)
    assert world.completed().on_scan(amd, LATER) == 0
    world.scans.finish(amd)
    assert world.completed().on_scan(arm, LATER) == 1


def test_a_lost_scan_event_is_found_by_the_reconciler(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.wait(image)
    world.scans.finish(image)
    assert world.reconcile().woken == 1
    assert "token" in world.workflow.woken


def test_a_scan_is_started_only_where_none_comes_by_itself(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.wait(image)
    assert world.scans.started == []
    world.scans.way = Scanning.ON_REQUEST
    world.wait(image)
    assert world.scans.started == [image]


def test_a_scan_that_can_never_come_is_said_at_once(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.scans.way = Scanning.NEVER
    assert world.wait(image) is WaitOutcome.NEVER
    assert "matches no filter" in world.workflow.woken["token"]["why"]


def test_a_late_scan_after_a_timeout_asks_for_another_attempt(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.wait(image)
    world.workflow.expired.add("token")
    world.judge(image, now=NOW + HALF_HOUR)
    world.scans.finish(image)
    assert world.completed().on_scan(image, LATER) == 0
    assert world.starter.requests == []  # the release is not closed yet: the reconciler comes back to it
    world.announce(image, Outcome.BLOCKED)
    world.reconcile()
    assert world.starter.requests == [(image, ("1.0",), "late scan")]
    assert not world.ledger.tokens


def test_one_deleted_image_does_not_hide_the_others_from_the_reconciler(world: World) -> None:
    gone, there = (world.registry.push_image(DEV, tag, seed=tag) for tag in ("1", "2"))
    world.wait(gone, "gone")
    world.wait(there, "there")
    world.registry.delete(gone)
    world.scans.finish(there)
    assert world.reconcile().woken == 2
    assert set(world.workflow.woken) == {"gone", "there"}


def test_the_reconciler_starts_a_scan_that_was_never_begun(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.wait(image)
    world.reconcile()
    assert world.scans.started == [image]


def test_a_push_whose_event_was_lost_is_started_by_the_reconciler(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    elsewhere = world.registry.push_image("tools", "1.0")
    world.registry.names.add("tools")
    assert world.reconcile().started == 1
    assert world.starter.requests == [(image, ("1.0",), "push")]
    started = world.starting().on_request(image, ["1.0"], StartReason.PUSH, LATER)
    assert isinstance(started, Release)
    assert world.reconcile().started == 0
    assert elsewhere not in {request[0] for request in world.starter.requests}


def test_an_arrival_that_the_policy_does_not_gate_is_left_alone_and_said(world: World) -> None:
    dev = replace(POLICY.stages["dev"], not_gated=frozenset({Arrival.REPLICATION}))
    world.policy = replace(POLICY, stages={**POLICY.stages, "dev": dev})
    image = world.registry.push_image(DEV, "1.0")
    replicated = Push(image, NOW, tag="1.0", arrival=Arrival.REPLICATION)
    assert world.starting().on_push(replicated, NOW) == Ignore("replication is not gated by the policy")
    cached = Push(image, NOW, tag="1.0", arrival=Arrival.PULL_THROUGH_CACHE)
    assert isinstance(world.starting().on_push(cached, NOW), Release)


def refuse(image: ImageRef) -> None:
    raise UnsupportedImageError(f"{image} cannot be scanned")


def test_an_image_that_the_scanner_refuses_is_said_to_be_unreadable_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.scans.way = Scanning.ON_REQUEST
    monkeypatch.setattr(world.scans, "start", refuse)
    assert world.wait(image) is WaitOutcome.UNSUPPORTED


# Judge


def test_a_clean_image_goes_on_to_be_signed(world: World) -> None:
    _, judged = world.judged()
    assert (judged.route, judged.verdict) == (JudgeRoute.SIGN, VerdictOutcome.PASS)


@pytest.mark.parametrize("status", ["FAILED", "UNSUPPORTED_IMAGE", "SOMETHING_NEW"])
def test_an_image_that_could_not_be_scanned_is_blocked(world: World, status: str) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.scans.finish(image, status=status)
    world.start(image)
    assert world.judge(image).outcome is Outcome.BLOCKED


def test_a_scan_that_is_not_over_after_all_is_waited_for_again(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")  # deleted while it waited, and pushed again
    world.start(image)
    assert world.judge(image).route is JudgeRoute.AWAIT


def test_no_scan_in_time_is_a_block(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    assert world.judge(image, now=NOW + HALF_HOUR - timedelta(seconds=1)).route is JudgeRoute.AWAIT
    judged = world.judge(image, now=NOW + HALF_HOUR)
    assert (judged.route, judged.outcome) == (JudgeRoute.ANNOUNCE, Outcome.BLOCKED)
    assert rules(world, judged) == ["scan.timeout"]


def test_the_time_for_a_scan_begins_anew_where_the_image_is_pushed_again(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.registry.pushed_at[image] = later = NOW + timedelta(minutes=20)
    world.start(image, "2.0", at=later)
    assert world.judge(image, now=NOW + HALF_HOUR).route is JudgeRoute.AWAIT
    assert world.judge(image, now=later + HALF_HOUR).outcome is Outcome.BLOCKED


def test_that_no_scan_can_come_is_found_by_the_judge_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.scans.way = Scanning.NEVER
    assert rules(world, world.judge(image)) == ["scan.never"]
    world.scans.way = Scanning.ON_REQUEST
    monkeypatch.setattr(world.scans, "start", refuse)
    judged = world.judge(image)
    assert rules(world, judged) == ["scan.unsupported"]
    assert decision_of(world, judged).waited == "UNSUPPORTED"


@pytest.mark.parametrize("waited", list(WaitOutcome))
def test_no_caller_tells_the_judge_how_a_wait_ended(world: World, waited: WaitOutcome) -> None:
    """A waiver for what cannot be scanned frees nothing that a scan is still to come of."""
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    waiver = Waiver("ann", "one binary", date(2026, 12, 1), rule="scan.unsupported", repositories=DEV)
    world.grants.granted["w"] = waiver
    event = {
        "schema": 1,
        "release": {"repository": DEV, "digest": str(image.digest), "attempt": 1},
        "waited": str(waited),
        "why": "the scanner cannot read it",
    }
    request = parse(JudgeRequest, event)
    judged = world.judging().run(request.release.id, NOW)
    assert (judged.route, judged.decision) == (JudgeRoute.AWAIT, None)


def test_a_deleted_image_is_withdrawn_and_a_moved_tag_supersedes(world: World) -> None:
    image, _ = world.judged()
    world.registry.push_image(DEV, "1.0", seed="newer")
    assert world.judge(image).outcome is Outcome.SUPERSEDED
    world.registry.delete(image)
    assert world.judge(image).outcome is Outcome.WITHDRAWN


def test_an_observed_stage_lets_a_refused_image_on_but_does_not_sign_it(world: World) -> None:
    dev = replace(POLICY.stages["dev"], mode=Mode.OBSERVE)
    world.records.policies[POLICY.digest] = replace(POLICY, stages={**POLICY.stages, "dev": dev})
    image, judged = world.judged(critical())
    assert (judged.route, judged.verdict) == (JudgeRoute.PROMOTE, VerdictOutcome.BLOCK)
    with pytest.raises(DecisionRefusedError):
        world.sign(judged.decision)
    assert world.promote(image).outcome is Outcome.RELEASED
    assert (STAGING, "1.0") in world.registry.tags


def test_a_tag_that_comes_back_before_the_end_is_judged_again(world: World) -> None:
    image, _ = world.judged()
    world.registry.push_image(DEV, "1.0", seed="newer")
    superseded = world.judge(image)
    world.registry.push_image(DEV, "1.0")
    world.start(image, at=LATER)
    assert world.announce(image, superseded.outcome) is AnnounceRoute.AGAIN
    assert world.judge(image).route is JudgeRoute.SIGN


@pytest.mark.parametrize(
    ("expires", "outcome"),
    [(NOW.date(), Outcome.RELEASED), (NOW.date() - timedelta(days=1), Outcome.BLOCKED)],
)
def test_an_unreadable_image_passes_by_a_waiver_that_counts_and_by_nothing_else(
    world: World, expires: date, outcome: Outcome
) -> None:
    waiver = Waiver("ann", "built from scratch", expires, rule="scan.unsupported", repositories="shop-*")
    world.records.policies[POLICY.digest] = replace(POLICY, waivers=(waiver,))
    image = world.registry.push_image(DEV, "1.0")
    world.scans.finish(image, status="UNSUPPORTED_IMAGE")
    world.start(image)
    assert world.judge(image).outcome is outcome
    if outcome is Outcome.RELEASED:
        assert "waived until" in world.ledger.get(ReleaseId(image, 1)).reasons[0]["message"]
    world.scans.finish(image, status="FAILED")
    assert world.judge(image).outcome is Outcome.BLOCKED


# Indexes


def test_the_worst_platform_decides_and_is_named(world: World) -> None:
    index, (amd, arm) = world.index("amd64", "arm64")
    world.scans.finish(amd)
    world.scans.finish(arm, critical())
    world.start(index)
    assert world.wait(index) is WaitOutcome.READY
    assert world.judge(index).outcome is Outcome.BLOCKED
    (reason,) = world.ledger.get(ReleaseId(index, 1)).reasons
    assert reason["message"].startswith("linux/arm64: 1 CRITICAL")


def test_an_index_waits_for_its_last_platform(world: World) -> None:
    index, (amd, arm) = world.index("amd64", "arm64")
    assert world.wait(index) is None
    world.scans.finish(amd)
    assert world.completed().on_scan(amd, LATER) == 0
    world.scans.finish(arm)
    assert world.completed().on_scan(arm, LATER) == 1


def test_a_platform_of_two_indexes_wakes_both(world: World) -> None:
    first, (shared,) = world.index("amd64")
    second, _ = world.index("amd64", tag="2.0", note="another index")
    assert first != second
    for index, token in ((first, "one"), (second, "two")):
        world.wait(index, token)
    world.scans.finish(shared)
    assert world.completed().on_scan(shared, LATER) == 2
    assert set(world.workflow.woken) == {"one", "two"}


def test_attestations_are_not_scanned_but_copied(world: World) -> None:
    index, (amd,) = world.index("amd64", attestation=True)
    world.scans.finish(amd)
    world.start(index)
    assert world.wait(index) is WaitOutcome.READY
    world.sign(world.judge(index).decision)
    world.promote(index)
    children = {child.digest for child in world.registry.manifests[index].children}
    assert len(children) == 2
    assert children <= {image.digest for image in world.registry.manifests if image.repository == STAGING}


def test_a_nested_index_is_judged_by_its_leaves(world: World) -> None:
    inner, (amd,) = world.index("amd64", tag="inner")
    outer = world.push_index([world.registry.manifests[inner].descriptor.as_json()], "1.0")
    world.scans.finish(amd, critical())
    world.start(outer)
    assert world.wait(outer) is WaitOutcome.READY
    assert world.judge(outer).outcome is Outcome.BLOCKED


def test_platforms_are_released_with_their_index_and_signed_where_the_stage_says_so(world: World) -> None:
    dev = replace(POLICY.stages["dev"], sign_platforms=True)
    world.records.policies[POLICY.digest] = replace(POLICY, stages={**POLICY.stages, "dev": dev})
    index, (amd, arm) = world.index("amd64", "arm64")
    for platform in (amd, arm):
        world.scans.finish(platform)
    world.start(index)
    signed = world.sign(world.judge(index).decision)
    assert world.sign(world.ledger.get(ReleaseId(index, 1)).decision).signature == signed.signature
    assert len(world.signer.signed) == 3
    assert json.loads(world.signer.signed[1])["targetArtifact"]["annotations"]["imagegate.index"] == str(
        index.digest
    )
    world.promote(index)
    for digest in (index.digest, amd.digest, arm.digest):
        kinds = [entry.artifact_type for entry in world.registry.referrers(ImageRef(STAGING, digest))]
        assert NOTATION_SIGNATURE in kinds
    world.announce(index, Outcome.RELEASED)
    assert world.ledger.platforms == {amd, arm}


def test_a_tag_on_a_child_releases_that_child(world: World) -> None:
    index, (amd,) = world.index("amd64")
    world.registry.tags[DEV, "1.0"] = amd.digest
    world.scans.finish(amd)
    world.start(amd)
    assert world.judge(amd).route is JudgeRoute.SIGN
    assert world.start(index, None) == Ignore("untagged push")


def test_a_foreign_layer_is_not_copied(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    raw = json.loads(world.registry.manifests[image].content)
    foreign = Descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Digest.of(b"far"), 3)
    raw["layers"].append(foreign.as_json())
    windows = Manifest.parse(json.dumps(raw).encode())
    world.registry.push_manifest(DEV, windows, "win")
    copy = Copy(
        origin=world.registry,
        registry=world.registry,
        image=ImageRef(DEV, windows.digest),
        target=STAGING,
        has_time=lambda: True,
    )
    assert copy.run(None) == world.registry.manifests[ImageRef(STAGING, windows.digest)] == windows


def test_a_layer_that_no_scanner_reads_blocks_unless_it_is_waived(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    raw = json.loads(world.registry.manifests[image].content)
    raw["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+encrypted"
    odd = Manifest.parse(json.dumps(raw).encode())
    world.registry.push_manifest(DEV, odd, "odd")
    world.scans.finish(ImageRef(DEV, odd.digest))
    world.start(ImageRef(DEV, odd.digest), "odd")
    assert world.judge(ImageRef(DEV, odd.digest)).outcome is Outcome.BLOCKED
    (reason,) = world.ledger.get(ReleaseId(ImageRef(DEV, odd.digest), 1)).reasons
    assert reason["rule"] == "image.layers"


# Sign


def test_a_pass_is_signed_and_binds_policy_decision_and_summary(world: World) -> None:
    image, judged = world.judged()
    signed = world.sign(judged.decision)
    annotations = json.loads(world.signer.signed[0])["targetArtifact"]["annotations"]
    assert annotations["imagegate.policy"] == str(POLICY.digest)
    assert annotations["imagegate.decision"] == str(judged.decision)
    (evidence,) = signed.evidence
    summary = world.registry.manifests[ImageRef(DEV, evidence)]
    assert annotations["imagegate.vsa"] == str(summary.layers[0].digest)
    assert world.ledger.get(ReleaseId(image, 1)).signature == signed.signature


@pytest.mark.parametrize(("days", "number"), [(29, 2), (31, 1)])
def test_a_signature_that_ends_soon_is_made_again(world: World, days: int, number: int) -> None:
    image, judged = world.judged()
    world.signer.end = NOW + timedelta(days=days)
    world.sign(judged.decision)
    world.sign(judged.decision)
    assert len(world.signer.signed) == number
    assert world.ledger.get(ReleaseId(image, 1)).signature_ends == world.signer.end


def test_the_number_of_criticals_is_that_of_the_worst_platform(world: World) -> None:
    index, (amd, arm) = world.index("amd64", "arm64")
    world.start(index)
    world.scans.finish(amd, critical(1))
    world.scans.finish(arm, critical(3))
    world.judge(index)
    release = world.ledger.get(ReleaseId(index, 1))
    assert (release.criticals, release.judged_at) == (3, NOW)


def test_without_a_complete_scan_the_number_of_criticals_is_not_known(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.judge(image, now=NOW + timedelta(days=2))
    release = world.ledger.get(ReleaseId(image, 1))
    assert (release.criticals, release.verdict) == (None, "BLOCK")


def test_signing_twice_gives_one_signature(world: World) -> None:
    _, judged = world.judged()
    assert world.sign(judged.decision).signature == world.sign(judged.decision).signature
    assert len(world.signer.signed) == 1


def test_signatures_are_looked_for_only_where_there_may_be_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, judged = world.judged()
    with monkeypatch.context() as patch:
        patch.setattr(world.registry, "referrers", lambda _: pytest.fail("nobody can have signed it"))
        signed = world.sign(judged.decision)
    assert [one.digest for one in world.registry.referrers(image)] == [*signed.evidence, signed.signature]
    assert world.sign(judged.decision).signature == signed.signature


def test_the_empty_config_of_evidence_is_pushed_only_if_the_repository_lacks_it(world: World) -> None:
    pushes = []
    for seed in "ab":
        image = world.registry.push_image(DEV, seed, seed=seed)
        world.scans.finish(image, [])
        world.start(image, seed)
        decision = world.judge(image).decision
        world.registry.log.clear()
        world.sign(decision)
        pushes.append([line.partition(" ")[0] for line in world.registry.log])
    # The summary and the signature. The first manifest of a repository is refused once.
    assert pushes == [
        ["blob", "manifest", "blob", "manifest", "blob", "manifest"],
        ["blob", "manifest", "blob", "manifest"],
    ]


def test_a_refused_image_is_never_signed(world: World) -> None:
    _, judged = world.judged(critical())
    with pytest.raises(DecisionRefusedError, match="only a PASS is signed"):
        world.sign(judged.decision)


def test_a_made_up_decision_is_refused(world: World) -> None:
    with pytest.raises(RecordNotFoundError):
        world.sign(Digest.of(b"made up"))


def _forge(world: World, decision: Digest | None, **changes: object) -> Digest:
    assert decision is not None
    forged = replace(Decision.decode(world.records.decision(decision)), **changes)  # type: ignore[arg-type]
    return world.records.put_decision(forged.encode())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"judged_at": NOW - timedelta(hours=2)}, "judge it again"),
        ({"judged_at": NOW + timedelta(hours=1)}, "judge it again"),
        ({"registry": "999999999999.dkr.ecr.eu-central-1.amazonaws.com"}, "decided in 9999"),
        ({"stage": "staging"}, "not of stage staging"),
        ({"verdict": VerdictOutcome.BLOCK}, "only a PASS"),
        ({"size": 7}, "not its release's last decision"),
    ],
)
def test_an_old_foreign_or_altered_decision_is_refused(
    world: World, changes: dict[str, object], message: str
) -> None:
    _, judged = world.judged()
    digest = _forge(world, judged.decision, **changes)
    with pytest.raises(DecisionRefusedError, match=message):
        world.sign(digest)


def test_an_older_pass_is_not_signed_after_a_newer_block(world: World) -> None:
    image, first = world.judged()
    world.scans.finish(image, critical())
    world.judge(image)
    with pytest.raises(DecisionRefusedError, match="last decision"):
        world.sign(first.decision)


def test_a_closed_release_is_not_signed(world: World) -> None:
    image, judged = world.judged()
    world.announce(image, Outcome.FAILED)
    with pytest.raises(DecisionRefusedError, match="is over"):
        world.sign(judged.decision)


def test_only_a_missing_image_sends_a_release_back_to_the_judge(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, judged = world.judged()

    def lost(repository: str, content: bytes) -> Descriptor:
        raise ImageNotFoundError("the repository answers 404")

    monkeypatch.setattr(world.registry, "push_blob", lost)
    with pytest.raises(RegistryUnavailableError):
        world.sign(judged.decision)
    world.registry.delete(image)
    with pytest.raises(ImageNotFoundError):
        world.sign(judged.decision)


# Promote


def test_an_image_is_copied_with_its_evidence_and_tagged_last(world: World) -> None:
    image = world.signed()
    evidence = {referrer.digest for referrer in world.registry.referrers(image)}
    world.registry.log.clear()
    promoted = world.promote(image)
    assert (promoted.route, promoted.outcome) == (PromoteRoute.ANNOUNCE, Outcome.RELEASED)
    target = ImageRef(STAGING, image.digest)
    assert world.registry.tags[STAGING, "1.0"] == image.digest
    assert {referrer.digest for referrer in world.registry.referrers(target)} == evidence
    assert world.registry.log[-1] == f"manifest {STAGING}:1.0"
    assert [line for line in world.registry.log if line.endswith(":1.0")] == [f"manifest {STAGING}:1.0"]


def test_an_unsigned_or_refused_image_is_never_copied(world: World) -> None:
    image, _ = world.judged(critical())
    with pytest.raises(DecisionRefusedError, match="nothing is copied"):
        world.promote(image)
    assert not [key for key in world.registry.tags if key[0] == STAGING]


def test_a_copy_that_runs_out_of_time_is_finished_by_the_next_call(world: World) -> None:
    image = world.signed()
    assert world.promote(image, blobs=1).route is PromoteRoute.CONTINUE
    assert (STAGING, "1.0") not in world.registry.tags
    assert world.promote(image).outcome is Outcome.RELEASED


def test_an_immutable_tag_with_another_digest_is_a_conflict(world: World) -> None:
    image = world.signed()
    world.registry.push_image(STAGING, "1.0", seed="other")
    world.registry.immutable.add(STAGING)
    promoted = world.promote(image)
    assert promoted.outcome is Outcome.CONFLICT
    assert STAGING in promoted.detail


def test_an_older_image_does_not_take_the_tag_of_a_newer_one(world: World) -> None:
    image = world.signed()
    world.ledger.claim_tag(STAGING, "1.0", Digest.of(b"newer"), LATER)
    assert world.promote(image).outcome is Outcome.SUPERSEDED
    assert (STAGING, "1.0") not in world.registry.tags


def test_a_tag_that_moved_is_not_promoted(world: World) -> None:
    image = world.signed()
    world.registry.push_image(DEV, "1.0", seed="newer")
    assert world.promote(image).outcome is Outcome.SUPERSEDED


def test_evidence_that_is_not_listed_yet_travels_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.signed()
    evidence = {referrer.digest for referrer in world.registry.referrers(image)}
    with monkeypatch.context() as patch:
        patch.setattr(world.registry, "referrers", lambda image: [])
        world.promote(image)
    target = ImageRef(STAGING, image.digest)
    assert {referrer.digest for referrer in world.registry.referrers(target)} == evidence


def test_a_referrer_that_could_run_is_left_behind_and_named(world: World) -> None:
    image = world.signed()
    hidden = json.loads(world.registry.manifests[image].content)
    hidden["subject"] = world.registry.manifests[image].descriptor.as_json()
    world.registry.push_manifest(DEV, Manifest.parse(json.dumps(hidden).encode()))
    promoted = world.promote(image)
    assert "could run" in promoted.detail
    assert len(world.registry.referrers(ImageRef(STAGING, image.digest))) == 2


def attach(world: World, image: ImageRef, content: bytes) -> Digest:
    """Push an attestation in buildx's older form, with this content, that refers to the image; return its digest."""
    blobs = [world.registry.push_blob(DEV, blob) for blob in (b'{"rootfs": {}}', content)]
    config, layer = (blob.as_json() for blob in blobs)
    raw = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {**config, "mediaType": OCI_CONFIG},
        "layers": [{**layer, "mediaType": "application/vnd.in-toto+json"}],
        "subject": world.registry.manifests[image].descriptor.as_json(),
    }
    manifest = Manifest.parse(json.dumps(raw).encode())
    world.registry.push_manifest(DEV, manifest)
    return manifest.digest


def statement(number: int) -> bytes:
    return json.dumps({"_type": "https://in-toto.io/Statement/v1", "number": number}).encode()


def carried(world: World, image: ImageRef) -> set[Digest]:
    return {found.digest for found in world.registry.referrers(ImageRef(STAGING, image.digest))}


def test_nothing_that_others_attach_takes_the_place_of_the_gates_own_evidence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegate.workflow.copying.EVIDENCE", 3)
    image = world.registry.push_image(DEV, "1.0")
    attached = [attach(world, image, statement(number)) for number in range(9)]
    world.scans.finish(image)
    world.start(image)
    signed = world.sign(world.judge(image).decision)
    promoted = world.promote(image)
    there = carried(world, image)
    assert signed.signature in there
    assert (len(there), len(there & set(attached))) == (3, 1)
    assert "stay" in promoted.detail


def test_signatures_that_others_attach_do_not_keep_the_signer_busy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.registry.push_image(DEV, "1.0")
    junk = [
        Descriptor(OCI_MANIFEST, Digest.of(bytes([n])), 1, artifact_type=NOTATION_SIGNATURE)
        for n in range(200)
    ]
    world.scans.finish(image)
    world.start(image)
    decision = world.judge(image).decision
    looked = list[Digest | str]()
    manifest = world.registry.manifest
    monkeypatch.setattr(world.registry, "referrers", lambda image: junk)

    def noted(image: ImageRef | str, reference: Digest | str = "") -> Manifest:
        looked.append(reference)
        return manifest(image, reference)

    monkeypatch.setattr(world.registry, "manifest", noted)
    assert world.sign(decision).signature
    assert len({one.digest for one in junk} & set(looked)) <= 50


def test_no_more_evidence_is_read_than_a_call_can_look_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.signed()
    before = {found.digest for found in world.registry.referrers(ImageRef(DEV, image.digest))}
    attached = [attach(world, image, statement(number)) for number in range(4)]
    size = len(b'{"rootfs": {}}') + len(statement(0))
    monkeypatch.setattr("imagegate.workflow.copying.EVIDENCE_BYTES", 2 * size)
    promoted = world.promote(image)
    assert carried(world, image) == before | set(attached[:2])
    assert "stay" in promoted.detail


def test_a_stage_that_asks_for_approval_holds_whatever_the_execution_says(world: World) -> None:
    staging = replace(POLICY.stages["staging"], approval=ApprovalTerms())
    world.records.policies[POLICY.digest] = replace(POLICY, stages={**POLICY.stages, "staging": staging})
    image = world.signed()
    assert world.promote(image).outcome is Outcome.HELD
    assert not [key for key in world.registry.tags if key[0] == STAGING]


def test_a_signature_of_somebody_else_does_not_let_an_image_leave(world: World) -> None:
    image = world.signed()
    other = world.registry.push_image(DEV, "2.0", seed="other")
    world.scans.finish(other)
    world.start(other, "2.0")
    signature = world.sign(world.judge(other).decision).signature
    world.ledger.record(ReleaseId(image, 1), signature=signature)
    with pytest.raises(VerificationError, match="not about"):
        world.promote(image)


def test_a_tag_that_a_newer_image_claimed_meanwhile_is_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.signed()
    newer = world.registry.push_image(STAGING, "x", seed="newer")
    push = world.registry.push_manifest

    def overtaken(repository: str, manifest: Manifest, tag: str | None = None) -> None:
        """Tag a newer image between the older one's claim and its push."""
        if tag == "1.0" and manifest.digest == image.digest:
            world.ledger.claim_tag(STAGING, "1.0", newer.digest, LATER)
            push(repository, world.registry.manifests[newer], tag)
        push(repository, manifest, tag)

    monkeypatch.setattr(world.registry, "push_manifest", overtaken)
    assert world.promote(image).outcome is Outcome.SUPERSEDED
    assert world.registry.tags[STAGING, "1.0"] == newer.digest


def test_moved_tags_are_recorded_even_if_another_tag_could_not_move(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.registry.push_image(DEV, "2.0")
    world.scans.finish(image)
    world.start(image, None)
    world.sign(world.judge(image).decision)
    world.registry.push_image(STAGING, "2.0", seed="other")
    world.registry.immutable.add(STAGING)
    promoted = world.promote(image)
    promotion = world.ledger.get(ReleaseId(image, 1)).promotion
    assert promoted.outcome is Outcome.CONFLICT
    assert "promoted nevertheless: 1.0" in promoted.detail
    assert promotion is not None
    assert promotion.tags == ("1.0",)


# Announce


def test_a_release_closes_once_and_is_announced_once(world: World) -> None:
    image, _ = world.judged(critical())
    assert [world.announce(image, Outcome.BLOCKED) for _ in range(3)] == [AnnounceRoute.END] * 3
    assert world.announce(image, Outcome.RELEASED) is AnnounceRoute.END
    assert [message.detail["outcome"] for message in world.notifications.messages] == ["blocked"]


def test_a_tag_that_comes_during_the_promotion_is_promoted_too(world: World) -> None:
    image = world.signed()
    world.promote(image)
    world.registry.push_image(DEV, "latest")
    world.start(image, "latest")
    assert world.announce(image, Outcome.RELEASED) is AnnounceRoute.AGAIN
    world.promote(image)
    assert world.announce(image, Outcome.RELEASED) is AnnounceRoute.END
    assert {tag for repo, tag in world.registry.tags if repo == STAGING} == {"1.0", "latest"}


def test_a_message_lost_after_closing_is_sent_by_the_retry(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.ledger.close(ReleaseId(image, 1), Outcome.BLOCKED, None, NOW, "")
    world.announce(image, Outcome.BLOCKED)
    assert len(world.notifications.messages) == 1


def test_another_scan_of_a_released_image_has_it_judged_again(world: World) -> None:
    image = world.signed()
    assert world.completed().on_scan(image, LATER) == 0
    assert world.ledger.queue == {}  # its release is open
    world.ledger.close(ReleaseId(image, 1), Outcome.RELEASED, None, NOW, "")
    world.completed().on_scan(image, LATER)
    assert [(one.image, one.due) for one in world.ledger.queue.values()] == [(image, LATER)]
