"""Replication: ECR copies the images of a stage to other Regions and accounts, some time after the push.

Source: Amazon ECR API reference, DescribeImageReplicationStatus.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class ReplicaStatus(StrEnum):
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Replica:
    """The replication to one destination. `failure`: ECR's code if it failed."""

    region: str
    status: ReplicaStatus
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Replication:
    """The Regions that must have an image before its release is closed, and how long to wait for them."""

    regions: tuple[str, ...]
    timeout: timedelta = timedelta(minutes=30)


def unfinished_regions(replication: Replication, replicas: Iterable[Replica]) -> list[str]:
    """Return the Regions whose replication is not over. All destinations in a Region count."""
    replicas = list(replicas)
    return [region for region in replication.regions if not _is_over(region, replicas)]


def describe_failures(replication: Replication, replicas: Iterable[Replica]) -> list[str]:
    """Return a sentence for each replication that failed."""
    return [
        f"replication to {one.region} failed{f': {one.failure}' if one.failure else ''}"
        for one in replicas
        if one.region in replication.regions and one.status is ReplicaStatus.FAILED
    ]


def _is_over(region: str, replicas: list[Replica]) -> bool:
    statuses = [one.status for one in replicas if one.region == region]
    return bool(statuses) and ReplicaStatus.IN_PROGRESS not in statuses
