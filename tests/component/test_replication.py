"""Copies by ECR: what is waited for, how long, and what is said of those that do not come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from imagegate.aws.ecr.images import EcrImages
from imagegate.errors import InvalidPolicyError
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.file.load import parse_policy
from imagegate.policy.replication import Replica, ReplicaStatus, Replication
from imagegate.release.release import Outcome, ReleaseId
from imagegate.workflow.promote import PromoteResult, PromoteRoute
from tests.component.one_gate import World
from tests.fakes import DEV, NOW, POLICY, STAGING

WANTED = Replication(("eu-west-1", "us-east-1"), timedelta(minutes=30))
DONE, COMING, FAILED = ReplicaStatus.COMPLETE, ReplicaStatus.IN_PROGRESS, ReplicaStatus.FAILED


@pytest.fixture
def world() -> World:
    staging = replace(POLICY.stages["staging"], replication=WANTED)
    world = World(policy=replace(POLICY, stages={**POLICY.stages, "staging": staging}))
    world.records.policies[POLICY.digest] = world.policy
    return world


def promote(world: World, image: ImageRef, minutes: float = 1) -> PromoteResult:
    return world.promoting().run(ReleaseId(image, 1), lambda: True, NOW + timedelta(minutes=minutes))


def copies(world: World, image: ImageRef, **status: ReplicaStatus) -> None:
    world.registry.copies[ImageRef(STAGING, image.digest)] = [
        Replica(name.replace("_", "-"), one, "NO_ACCESS" if one is FAILED else "")
        for name, one in status.items()
    ]


def test_a_release_is_over_when_all_copies_are_there(world: World) -> None:
    image = world.signed()
    copies(world, image, eu_west_1=DONE, us_east_1=COMING)
    waits = promote(world, image)
    assert waits.route is PromoteRoute.REPLICATE
    assert waits.until is not None
    assert waits.until > NOW + timedelta(minutes=1)
    copies(world, image, eu_west_1=DONE, us_east_1=DONE, ap_south_1=FAILED)
    done = promote(world, image, 2)
    assert (done.route, done.outcome, done.detail) == (PromoteRoute.ANNOUNCE, Outcome.RELEASED, "")


def test_nothing_is_copied_or_tagged_again_while_it_is_waited(world: World) -> None:
    image = world.signed()
    promote(world, image)
    before = list(world.registry.log)
    assert promote(world, image, 2).route is PromoteRoute.REPLICATE
    assert world.registry.log == before


def test_a_tag_that_comes_meanwhile_is_promoted_too(world: World) -> None:
    image = world.signed()
    promote(world, image)
    world.registry.tags[DEV, "2.0"] = image.digest
    world.ledger.join(ReleaseId(image, 1), frozenset({"2.0"}), NOW)
    promote(world, image, 2)
    assert world.registry.tags[STAGING, "2.0"] == image.digest


def test_a_copy_that_failed_is_an_alert_and_no_refusal(world: World) -> None:
    image = world.signed()
    copies(world, image, eu_west_1=DONE, us_east_1=FAILED)
    done = promote(world, image)
    assert done.outcome is Outcome.RELEASED
    assert done.detail == "replication to us-east-1 failed: NO_ACCESS"
    assert world.ledger.get(ReleaseId(image, 1)).attention == "alert"


def test_it_is_not_waited_for_ever(world: World) -> None:
    image = world.signed()
    copies(world, image, eu_west_1=DONE)
    assert promote(world, image, 1).route is PromoteRoute.REPLICATE
    assert promote(world, image, 30).route is PromoteRoute.REPLICATE
    done = promote(world, image, 32)
    assert (done.outcome, done.detail) == (Outcome.RELEASED, "not replicated to us-east-1 within 30 min")
    assert world.ledger.get(ReleaseId(image, 1)).attention == "alert"


def test_the_answer_of_ecr_is_read(monkeypatch: pytest.MonkeyPatch, aws_account: None) -> None:
    image = ImageRef(DEV, Digest.of(b"image"))
    ecr: Any = boto3.client("ecr")
    monkeypatch.setattr("imagegate.aws.ecr.images.client", lambda _service: ecr)
    with Stubber(ecr) as stub:
        stub.add_response(
            "describe_image_replication_status",
            {
                "repositoryName": DEV,
                "imageId": {"imageDigest": str(image.digest)},
                "replicationStatuses": [
                    {"region": "eu-west-1", "registryId": "123456789012", "status": "COMPLETE"},
                    {
                        "region": "us-east-1",
                        "registryId": "123456789012",
                        "status": "FAILED",
                        "failureCode": "NO_ACCESS",
                    },
                ],
            },
            {"repositoryName": DEV, "imageId": {"imageDigest": str(image.digest)}},
        )
        assert EcrImages("registry").replicas(image) == [
            Replica("eu-west-1", DONE),
            Replica("us-east-1", FAILED, "NO_ACCESS"),
        ]


def test_the_policy_says_where_and_how_long() -> None:
    text = 'version: 1\nstages: {a: {repositories: "a", replication: {regions: [eu-west-1], timeout: 5m}}}\n'
    assert parse_policy(text.encode()).stages["a"].replication == Replication(
        ("eu-west-1",), timedelta(minutes=5)
    )
    with pytest.raises(InvalidPolicyError, match="must be a Region such as eu-west-1"):
        parse_policy(text.replace("eu-west-1", "Europe").encode())
