"""The arrival of images and the end of scans, in every shape that AWS sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imagegate.errors import InvalidEventError
from imagegate.events.eventbridge import parse_arrival, parse_scan
from imagegate.policy.policy import Arrival

EVENTS = Path(__file__).parents[2] / "events"


def sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


@pytest.mark.parametrize(
    ("name", "arrival", "tag"),
    [
        ("ecr_image_action_push", Arrival.PUSH, "latest"),
        ("ecr_replication_action", Arrival.REPLICATION, "3.17.2"),
        ("ecr_pull_through_cache_action", Arrival.PULL_THROUGH_CACHE, "3.17.2"),
    ],
)
def test_an_image_arrives_in_three_ways(name: str, arrival: Arrival, tag: str) -> None:
    came = parse_arrival(sample(name))
    assert (came.arrival, came.tag, came.result) == (arrival, tag, "SUCCESS")


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("ecr_image_scan_complete_basic", "my-repository-name"),
        ("inspector2_scan", "amazon/amazon-ecs-sample"),
        ("inspector2_scan_versioned", None),
        ("ecr_image_action_delete", "my-repository-name"),
    ],
)
def test_the_image_of_a_scan_event_is_found_for_both_scanners(name: str, repository: str | None) -> None:
    image = parse_scan(sample(name))
    assert repository is None or image.repository == repository
    assert "arn:" not in image.repository


@pytest.mark.parametrize("parse", [parse_arrival, parse_scan])
@pytest.mark.parametrize(
    "detail_type",
    ["ECR Replication Action", "Inspector2 Scan", "Something Else", None, 7, ["ECR Image Scan"], {}],
)
def test_an_event_without_its_detail_is_refused(parse: Any, detail_type: object) -> None:
    with pytest.raises(InvalidEventError):
        parse({"detail-type": detail_type, "detail": {}})


def test_a_repository_arn_that_names_none_is_refused() -> None:
    event = sample("inspector2_scan")
    event["detail"]["repository-name"] = "arn:aws:ecr:us-east-2:123456789012:repository/"
    with pytest.raises(Exception, match="not an ECR repository name"):
        parse_scan(event)
