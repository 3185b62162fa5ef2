"""Replication: ECR copies what a stage gets to other Regions and accounts, when it gets round to it.

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
    """One destination. `failure`: ECR's code, where it failed."""

    region: str
    status: ReplicaStatus
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Replication:
    """Where a stage's images have to be before a release is over; not for ever."""

    regions: tuple[str, ...]
    timeout: timedelta = timedelta(minutes=30)


def missing(wanted: Replication, replicas: Iterable[Replica]) -> list[str]:
    """Regions that have no image yet, and may still get it. A Region may have several destinations: all count."""
    known = list(replicas)
    return [region for region in wanted.regions if not _is_over(region, known)]


def failed(wanted: Replication, replicas: Iterable[Replica]) -> list[str]:
    """Sentences about what will not come any more."""
    return [
        f"replication to {one.region} failed{f': {one.failure}' if one.failure else ''}"
        for one in replicas
        if one.region in wanted.regions and one.status is ReplicaStatus.FAILED
    ]


def _is_over(region: str, replicas: list[Replica]) -> bool:
    own = [one.status for one in replicas if one.region == region]
    return bool(own) and ReplicaStatus.IN_PROGRESS not in own
