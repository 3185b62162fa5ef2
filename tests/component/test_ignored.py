"""Images that are ignored or refused at the start are recorded, so that the reconciler does not start them again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from imagegate.errors import RejectedInputError, ThrottledError
from imagegate.oci.image import OCI_MANIFEST, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.policy import Arrival, Policy
from imagegate.release.release import EcrImage, Release, StartReason
from imagegate.release.start import Ignore, IgnoredImage, Push
from tests.component.cli_gate import CliGate, gate
from tests.component.one_gate import World
from tests.fakes import DEV, LATER, NOW, POLICY

__all__ = ["gate"]
REPLICATED = "replication is not gated by the policy"


@pytest.fixture
def world() -> World:
    return World()


def with_policy(world: World, name: str, **changes: object) -> Policy:
    dev = replace(POLICY.stages["dev"], **changes)  # type: ignore[arg-type]
    made = replace(POLICY, digest=Digest.of(name.encode()), stages={**POLICY.stages, "dev": dev})
    world.policy = world.records.policies[made.digest] = made
    return made


def ungated(world: World, name: str = "one") -> Policy:
    return with_policy(world, name, not_gated=frozenset({Arrival.REPLICATION}))


HELM = "application/vnd.cncf.helm"


def chart(world: World, tag: str = "1.0.0") -> ImageRef:
    """Push an artifact under a tag."""
    config, layer = b'{"name": "shop", "apiVersion": "v2"}', b"chart"
    for content in (config, layer):
        world.registry.blobs[DEV, Digest.of(content)] = content
    raw = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": Descriptor(f"{HELM}.config.v1+json", Digest.of(config), len(config)).as_json(),
        "layers": [Descriptor(f"{HELM}.chart.content.v1.tar+gzip", Digest.of(layer), len(layer)).as_json()],
    }
    manifest = Manifest.parse(json.dumps(raw).encode())
    world.registry.push_manifest(DEV, manifest, tag)
    return ImageRef(DEV, manifest.digest)


def replicate(world: World, image: ImageRef) -> Release | Ignore:
    return world.starting().on_push(Push(image, NOW, tag="1.0", arrival=Arrival.REPLICATION), NOW)


def poison(world: World, monkeypatch: pytest.MonkeyPatch, image: ImageRef) -> None:
    manifest = world.registry.manifest

    def unreadable(wanted: ImageRef | str, reference: Digest | str = "") -> Manifest:
        if wanted == image:
            raise RejectedInputError("no manifest at all\x1b[31m")
        return manifest(wanted, reference)

    monkeypatch.setattr(
        world.registry, "facts", lambda one: EcrImage(one, frozenset({"1.0"}), NOW, "application/json")
    )
    monkeypatch.setattr(world.registry, "manifest", unreadable)


def carried_out(world: World) -> list[tuple[ImageRef, str]]:
    """Run the reconciler's requests; return their results."""
    asked = [(image, reason) for image, _, reason in world.starter.requests]
    for image, tags, reason in world.starter.requests:
        try:
            world.starting().on_request(image, tags, StartReason(reason), LATER)
        except RejectedInputError:
            continue  # a dead letter
    world.starter.requests.clear()
    return asked


def test_an_artifact_under_a_tag_is_started_once(world: World) -> None:
    """Its event was lost."""
    image = chart(world)
    world.reconcile()
    assert carried_out(world) == [(image, "push")]
    world.reconcile(LATER)
    assert carried_out(world) == []


def test_an_ignored_image_is_not_started_by_the_reconciler(world: World) -> None:
    assert world.start(chart(world), "1.0.0") == Ignore("artifact")
    world.reconcile(LATER)
    assert carried_out(world) == []


def test_an_unreadable_manifest_is_one_dead_letter_and_not_one_for_each_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.registry.push_image(DEV, "1.0")
    poison(world, monkeypatch, image)
    with pytest.raises(RejectedInputError):
        world.start(image)
    world.reconcile()
    assert carried_out(world) == []
    known = world.ledger.ignored(image)
    assert known is not None
    assert known.why.startswith("refused: no manifest at all")


def test_an_image_that_is_gone_meanwhile_is_not_remembered(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.registry.delete(image)
    assert world.start(image) == Ignore("the image is gone")
    assert world.ledger.left_alone == {}


@pytest.mark.parametrize("result", ["unmanaged", "untagged", "failed", "old"])
def test_images_that_the_reconciler_never_starts_are_not_recorded(world: World, result: str) -> None:
    long_ago = NOW - timedelta(days=9)
    if result == "unmanaged":
        found = world.start(world.registry.push_image("tools", "1.0"))
    elif result == "untagged":
        found = world.start(world.registry.push_image(DEV, ""), None)
    elif result == "failed":
        found = world.start(world.registry.push_image(DEV, "1.0"), result="FAILURE")
    else:
        found = world.start(world.registry.push_image(DEV, "1.0", at=long_ago), at=long_ago)
    assert isinstance(found, Ignore)
    assert world.ledger.left_alone == {}


def test_an_arrival_that_is_not_gated_is_never_asked_for_under_the_policy_that_says_so(world: World) -> None:
    ungated(world)
    image = world.registry.push_image(DEV, "1.0")
    assert replicate(world, image) == Ignore(REPLICATED)
    world.reconcile(LATER)
    assert carried_out(world) == []


def test_another_policy_lets_an_arrival_be_looked_at_again(world: World) -> None:
    ungated(world)
    image = world.registry.push_image(DEV, "1.0")
    replicate(world, image)
    with_policy(world, "two")
    world.reconcile(LATER)
    assert carried_out(world) == [(image, "push")]
    assert world.ledger.latest(image) is not None


def test_another_policy_that_gates_it_as_little_leaves_it_alone(world: World) -> None:
    """The reconciler does not know how the image arrived; the ledger does."""
    ungated(world)
    image = world.registry.push_image(DEV, "1.0")
    replicate(world, image)
    ungated(world, "two")
    world.reconcile(LATER)
    assert carried_out(world) == [(image, "push")]
    assert world.ledger.latest(image) is None
    world.reconcile(LATER)
    assert carried_out(world) == []


def test_another_policy_changes_nothing_about_an_artifact(world: World) -> None:
    world.start(chart(world), "1.0.0")
    with_policy(world, "two")
    world.reconcile(LATER)
    assert carried_out(world) == []


def test_a_push_is_looked_at_whatever_was_ignored_before(world: World) -> None:
    ungated(world)
    image = world.registry.push_image(DEV, "1.0")
    replicate(world, image)
    assert isinstance(world.start(image), Release)


@pytest.mark.parametrize("change", ["another tag", "pushed again"])
def test_changed_images_are_started_although_their_event_was_lost(world: World, change: str) -> None:
    ungated(world)
    image = world.registry.push_image(DEV, "1.0")
    replicate(world, image)
    if change == "another tag":
        world.registry.tags[DEV, "2.0"] = image.digest
    else:
        world.registry.pushed_at[image] = LATER
    world.reconcile(LATER)
    assert carried_out(world) == [(image, "push")]
    assert world.ledger.latest(image) is not None


def test_status_says_why_an_image_was_left_alone(gate: CliGate) -> None:
    image = chart(gate.world)
    gate.world.start(image, "1.0.0")
    result = gate.call("status", f"{DEV}:1.0.0")
    assert (result.code, result.out) == (2, "")
    assert "shop-dev:1.0.0 has no release: it was left alone on 2026-11-21 08:00 UTC: artifact" in result.err


# one faulty item


def test_one_faulty_image_does_not_stop_the_others_and_is_announced_once_a_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (world.registry.push_image(DEV, tag, seed=tag) for tag in ("1", "2"))
    ignored_among = world.ledger.ignored_among

    def faulty(images: Sequence[ImageRef]) -> dict[ImageRef, IgnoredImage]:
        if bad in images:
            raise RejectedInputError("no such thing\n\x1b[31mred")
        return ignored_among(images)

    monkeypatch.setattr(world.ledger, "ignored_among", faulty)
    for hours in (0, 1, 2):
        found = world.reconcile(NOW + timedelta(hours=hours))
        assert found.started == 1
        assert [text.partition(": ")[0] for text in found.faults] == [str(bad)]
    assert {image for image, _, _ in world.starter.requests} == {good}
    [message] = world.notifications.messages
    assert message.subject.startswith(f"NOT RECONCILED: {bad}"[:40])
    assert message.attributes["alert"] == "alert"
    assert "\x1b" not in message.text
    world.reconcile(NOW + timedelta(hours=17))
    assert len(world.notifications.messages) == 2
    world.reconcile(NOW + timedelta(hours=41))
    assert len(world.notifications.messages) == 2  # the image is older than a day by now


@pytest.mark.parametrize(
    "what", ["repositories", "all_tokens", "held", "requested_again", "waivers", "broken_glass"]
)
def test_a_list_that_cannot_be_read_costs_the_others_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    image = world.registry.push_image(DEV, "1.0")
    waiting = world.registry.push_image(DEV, "", seed="waiting")
    world.wait(waiting)
    world.scans.finish(waiting)

    def broken(*_: object) -> None:
        raise KeyError("no such column")

    port = next(one for one in (world.registry, world.ledger, world.grants) if hasattr(one, what))
    monkeypatch.setattr(port, what, broken)
    found = world.reconcile()
    assert len(found.faults) == 1
    assert found.started == (what != "repositories")
    assert found.woken == (what != "all_tokens")
    assert len(world.notifications.messages) == 1
    assert image.repository == DEV


def test_faults_that_may_pass_are_tried_again_and_announced_if_they_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.registry.push_image(DEV, "1.0")

    def slower() -> None:
        raise ThrottledError("slower, please")

    monkeypatch.setattr(world.ledger, "all_tokens", slower)
    found = world.reconcile()
    assert (found.faults, found.passing) == ((), ("what waits: ThrottledError: slower, please",))
    assert [asked[0] for asked in world.starter.requests] == [image]
    world.reconcile(NOW + timedelta(minutes=55))
    assert world.notifications.messages == []
    for minutes in (60, 65):
        assert world.reconcile(NOW + timedelta(minutes=minutes)).passing == ()
    assert len(world.notifications.messages) == 1
    monkeypatch.undo()
    assert world.reconcile(NOW + timedelta(minutes=70)).faults == ()


def test_nothing_is_considered_once_and_for_all_while_waivers_cannot_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise KeyError("no such column")

    monkeypatch.setattr(world.grants, "waivers", broken)
    world.reconcile()
    assert not world.ledger.is_noted(f"{world.policy.digest} considered")
