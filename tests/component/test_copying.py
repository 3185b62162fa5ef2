"""The cost and the order of a copy, and how a promotion treats its outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from imagegate.errors import (
    ImageNotFoundError,
    MissingLayerError,
    MissingRepositoryError,
    RegistryUnavailableError,
)
from imagegate.oci.image import Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.policy import RemoteRegistry
from imagegate.release.release import Outcome, ReleaseId, StartReason
from imagegate.workflow.copying import Copy, OutOfTimeError
from imagegate.workflow.promote import PromoteRoute
from tests.component.one_gate import World
from tests.fakes import DEV, LATER, POLICY, FakeRegistry

STAGING = "shop-staging"


@pytest.fixture
def world() -> World:
    return World()


class Counted(FakeRegistry):
    """A port that counts its calls."""

    def __init__(self, registry: FakeRegistry) -> None:
        self.__dict__ = registry.__dict__
        self.asked: list[str] = []
        self.states: list[set[Digest]] = []

    def blob_states(self, repository: str, blobs: Sequence[Descriptor]) -> Mapping[Digest, str]:
        if blobs:
            self.states.append({blob.digest for blob in blobs})
        return super().blob_states(repository, blobs)

    def manifest(self, image: ImageRef | str, reference: Digest | str = "") -> Manifest:
        self.asked.append(f"manifest {image} {reference}")
        return super().manifest(image, reference)

    def referrers(self, image: ImageRef) -> list[Descriptor]:
        self.asked.append(f"referrers {image}")
        return super().referrers(image)


def copy_of(world: World, image: ImageRef, has_time: Callable[[], bool] = lambda: True) -> Copy:
    return Copy(
        origin=world.registry, registry=world.registry, image=image, target=STAGING, has_time=has_time
    )


def pushed(world: World) -> list[str]:
    return [line for line in world.registry.log if line.startswith("manifest")]


def test_children_come_first_then_evidence_and_the_index_last(world: World) -> None:
    index, platforms = world.index("amd64", "arm64")
    world.scans.finish(platforms[0])
    world.scans.finish(platforms[1])
    world.start(index)
    signed = world.sign(world.judge(index).decision)
    world.registry.log.clear()
    copy_of(world, index).run(None)
    first = [f"manifest {STAGING}:{platform.digest.short}" for platform in platforms]
    assert pushed(world)[:2] == first
    assert f"manifest {STAGING}:{signed.signature.short}" in pushed(world)[2:-1]
    assert pushed(world)[-1] == f"manifest {STAGING}:{index.digest.short}"


def test_an_image_that_is_tagged_next_is_pushed_once(world: World) -> None:
    image = world.signed()
    world.registry.log.clear()
    assert world.promote(image).outcome is Outcome.RELEASED
    of_image = [line for line in pushed(world) if line.endswith((":1.0", image.digest.short))]
    assert of_image == [pushed(world)[-1]] == [f"manifest {STAGING}:1.0"]


class SubjectsFirst(FakeRegistry):
    """A registry that refuses evidence about what it does not have."""

    def push_manifest(self, repository: str, manifest: Manifest, tag: str | None = None) -> None:
        if manifest.subject and ImageRef(repository, manifest.subject.digest) not in self.manifests:
            raise RegistryUnavailableError("something it names is not in the repository")
        super().push_manifest(repository, manifest, tag)


def test_a_registry_that_wants_a_subject_before_its_evidence_gets_it() -> None:
    world = World(registry=SubjectsFirst())
    image = world.signed()
    world.registry.log.clear()
    assert world.promote(image).outcome is Outcome.RELEASED
    assert pushed(world)[0] == f"manifest {STAGING}:{image.digest.short}"
    assert pushed(world)[-1] == f"manifest {STAGING}:1.0"
    assert len(pushed(world)) == 4


def test_all_blobs_are_copied_before_the_first_manifest(world: World) -> None:
    image = world.signed()
    world.registry.log.clear()
    copy_of(world, image).run(None)
    kinds = [line.partition(" ")[0] for line in world.registry.log]
    assert kinds == sorted(kinds)  # copy, then manifest


def test_a_repeated_copy_costs_three_requests_at_any_size(world: World) -> None:
    index, platforms = world.index("amd64", "arm64", "s390x")
    for platform in platforms:
        world.scans.finish(platform)
    world.start(index)
    world.sign(world.judge(index).decision)
    copy_of(world, index).run(None)
    world.registry.push_manifest(STAGING, world.registry.manifests[index], "1.0")
    counted = Counted(world.registry)
    copy = Copy(origin=counted, registry=counted, image=index, target=STAGING, has_time=lambda: True)
    world.registry.log.clear()
    copy.run(copy.find("1.0"), was_complete=True)
    assert len(counted.asked) == 3
    assert world.registry.log == []
    assert copy.tagged == "1.0"


def test_an_image_with_a_missing_blob_is_not_looked_for_and_each_blob_is_asked_for_once(world: World) -> None:
    image = world.signed()
    unknown = world.registry.push_attestation(DEV, image)
    known = [world.registry.manifests[image], *about(world, image)]
    world.registry.blobs[STAGING, known[0].layers[0].digest] = b"of another image"
    counted = Counted(world.registry)
    copy = Copy(origin=counted, registry=counted, image=image, target=STAGING, has_time=lambda: True)
    copy.read = {manifest.digest: manifest for manifest in known if manifest != unknown}
    world.registry.log.clear()
    copy.run(copy.find())
    assert not [line for line in counted.asked if line.startswith(f"manifest {STAGING}")]
    first, second = counted.states
    assert first == {blob.digest for manifest in copy.read.values() for blob in manifest.blobs} - second
    assert second == {unknown.layers[0].digest}
    copied = [line for line in world.registry.log if line.startswith("copy")]
    assert f"copy {known[0].layers[0].digest.short} {STAGING}" not in copied
    assert len(copied) == len(first) + len(second) - 1


def about(world: World, image: ImageRef) -> list[Manifest]:
    return [
        world.registry.manifests[ImageRef(image.repository, found.digest)]
        for found in world.registry.referrers(image)
    ]


@pytest.mark.parametrize("reports", [True, False])
def test_an_image_that_is_whole_in_the_target_is_found(
    world: World, reports: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry may report no states, and does not store a layer that another place has."""
    urls = {"urls": ["https://elsewhere"]}
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    layer = Descriptor(kind, Digest.of(b"elsewhere"), 9).as_json() | urls
    manifest = world.registry.manifests[world.registry.push_image(DEV, "")]
    raw = json.loads(manifest.content)
    foreign = Manifest.parse(json.dumps({**raw, "layers": [*raw["layers"], layer]}).encode())
    for repository in (DEV, STAGING):
        for blob in manifest.blobs:
            world.registry.blobs[repository, blob.digest] = world.registry.blobs[DEV, blob.digest]
        world.registry.push_manifest(repository, foreign, "1.0")
    if not reports:
        monkeypatch.setattr(world.registry, "blob_states", lambda *_: {})
    assert copy_of(world, ImageRef(DEV, foreign.digest)).find() == foreign


def test_a_tag_of_another_image_is_not_taken_for_this_one(world: World) -> None:
    image = world.signed()
    world.registry.push_image(STAGING, "1.0", seed="other")
    copy = copy_of(world, image)
    assert copy.find("1.0") is None
    assert copy.tagged is None


def test_a_promotion_that_is_repeated_copies_nothing_and_moves_no_tag(world: World) -> None:
    image = world.signed()
    world.promote(image)
    world.registry.log.clear()
    assert world.promote(image).outcome is Outcome.RELEASED
    assert world.registry.log == []


def test_a_tag_that_was_taken_away_is_set_again(world: World) -> None:
    image = world.signed()
    world.promote(image)
    world.registry.push_image(STAGING, "1.0", seed="pushed by hand")
    assert world.promote(image).outcome is Outcome.RELEASED
    assert world.registry.tags[STAGING, "1.0"] == image.digest


def test_evidence_that_was_lost_in_the_target_comes_back(world: World) -> None:
    image = world.signed()
    world.promote(image)
    signature = world.ledger.get(ReleaseId(image, 1)).signature
    assert signature
    world.registry.delete(ImageRef(STAGING, signature))
    world.promote(image)
    assert ImageRef(STAGING, signature) in world.registry.manifests


def test_the_offset_of_uploads_is_kept_for_the_next_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.signed()
    layer = world.registry.manifests[image].layers[0].digest
    given: list[Mapping[Digest, str]] = []
    finish = world.registry.copy_blobs

    def stops(
        blobs: Sequence[Descriptor],
        source: str,
        target: str,
        has_time: Callable[[], bool],
        begun: Mapping[Digest, str],
    ) -> dict[Digest, str]:
        given.append(dict(begun))
        return finish(blobs, source, target, has_time, begun) if begun else {layer: "https://there/7"}

    monkeypatch.setattr(world.registry, "copy_blobs", stops)
    assert world.promote(image).route is PromoteRoute.CONTINUE
    assert world.promote(image).outcome is Outcome.RELEASED
    assert given == [{}, {layer: "https://there/7"}]


def test_a_copy_stops_between_manifests_too(world: World) -> None:
    image = world.signed()
    blobs = len(world.registry.blobs)
    left = iter([True] * blobs + [False] * 9)
    with pytest.raises(OutOfTimeError):
        copy_of(world, image, lambda: next(left)).run(None)
    copy_of(world, image).run(None)
    assert ImageRef(STAGING, image.digest) in world.registry.manifests


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_layer_that_is_missing_is_an_image_that_is_damaged_or_gone(
    world: World, monkeypatch: pytest.MonkeyPatch, is_deleted: bool
) -> None:
    image = world.signed()

    def missing(*_: object) -> dict[Digest, str]:
        if is_deleted:
            world.registry.delete(image)
        raise MissingLayerError("a layer is missing")

    monkeypatch.setattr(world.registry, "copy_blobs", missing)
    if is_deleted:
        assert world.promote(image).outcome is Outcome.WITHDRAWN
    else:
        with pytest.raises(MissingLayerError):
            world.promote(image)
    assert not [tag for repository, tag in world.registry.tags if repository == STAGING]
    assert DEV in world.registry.names


# Another account or Region.


HOST = "210987654321.dkr.ecr.eu-west-1.amazonaws.com"


@dataclass
class OtherAccount(FakeRegistry):
    """Gets its blobs from the registry of the stack, and makes no repositories."""

    origin: FakeRegistry = field(default_factory=FakeRegistry)

    def copy_blobs(
        self,
        blobs: Sequence[Descriptor],
        source: str,
        target: str,
        has_time: Callable[[], bool],
        begun: Mapping[Digest, str],
    ) -> dict[Digest, str]:
        if target not in self.names:
            raise ImageNotFoundError(f"{target}: the registry answered 404 NAME_UNKNOWN")
        for blob in blobs:
            self.blobs[target, blob.digest] = self.origin.blobs[source, blob.digest]
        return {}


@pytest.fixture
def abroad() -> World:
    """Return a world in which staging is in another account."""
    staging = replace(POLICY.stages["staging"], remote=RemoteRegistry(HOST, "role"), promotes_to=None)
    policy = replace(POLICY, stages={"dev": POLICY.stages["dev"], "staging": staging})
    world = World(policy=policy)
    world.records.policies[policy.digest] = policy
    world.elsewhere = OtherAccount(origin=world.registry, names={STAGING})
    return world


def test_into_another_account_goes_all_of_it_and_here_nothing_changes(abroad: World) -> None:
    image = abroad.signed()
    evidence = {referrer.digest for referrer in abroad.registry.referrers(image)}
    abroad.registry.log.clear()
    assert abroad.promote(image).outcome is Outcome.RELEASED
    assert abroad.registry.log == []
    assert STAGING not in abroad.registry.names
    assert abroad.elsewhere.tags[STAGING, "1.0"] == image.digest
    assert {found.digest for found in abroad.elsewhere.referrers(ImageRef(STAGING, image.digest))} == evidence
    promotion = abroad.ledger.get(ReleaseId(image, 1)).promotion
    assert promotion
    assert promotion.repository == f"{HOST}/{STAGING}"
    assert abroad.ledger.holder(f"{HOST}/{STAGING}", "1.0") == image.digest


def test_a_repository_that_is_missing_there_is_not_an_image_that_is_gone(abroad: World) -> None:
    image = abroad.signed()
    abroad.elsewhere.names.clear()
    with pytest.raises(MissingRepositoryError, match=f"make the repository {STAGING} there"):
        abroad.promote(image)


def test_a_repository_of_the_same_name_here_is_not_guarded_by_the_stage_elsewhere(abroad: World) -> None:
    assert abroad.policy.stage_of(STAGING) is None
    assert abroad.policy.target_of(DEV) == f"{HOST}/{STAGING}"


def test_a_tag_that_a_newer_image_claimed_there_is_given_back_there(
    abroad: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = abroad.signed()
    newer = abroad.elsewhere.push_image(STAGING, "x", seed="newer")
    push = abroad.elsewhere.push_manifest

    def overtaken(repository: str, manifest: Manifest, tag: str | None = None) -> None:
        if tag == "1.0" and manifest.digest == image.digest:
            abroad.ledger.claim_tag(f"{HOST}/{STAGING}", "1.0", newer.digest, LATER)
        push(repository, manifest, tag)

    monkeypatch.setattr(abroad.elsewhere, "push_manifest", overtaken)
    assert abroad.promote(image).outcome is Outcome.SUPERSEDED
    assert abroad.elsewhere.tags[STAGING, "1.0"] == newer.digest


def test_an_adopted_image_takes_no_tag_there_that_another_image_has(abroad: World) -> None:
    image = abroad.signed()
    key = next(iter(abroad.ledger.releases))
    abroad.ledger.releases[key] = replace(abroad.ledger.releases[key], reason=StartReason.ADOPTED)
    other = abroad.elsewhere.push_image(STAGING, "1.0", seed="other")
    assert abroad.promote(image).outcome is Outcome.SUPERSEDED
    assert abroad.elsewhere.tags[STAGING, "1.0"] == other.digest
