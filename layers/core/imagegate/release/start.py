"""The start of a release: what a push or a person requests, and whether a new attempt begins, joins one or is ignored.

A release that is closed opens again only for a named reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imagegate.policy.policy import Arrival, Stage
from imagegate.release.release import EcrImage, Outcome, Release, StartReason

if TYPE_CHECKING:
    from imagegate.oci.image import Digest, ImageRef

SCHEMA = 1
# The detail of an attempt whose execution ended without closing it.
TAKEN_OVER = "its execution ended without an outcome; another attempt was begun"


@dataclass(frozen=True, slots=True)
class Push:
    """An image that arrived, as the event describes it; the rest is read from ECR."""

    image: ImageRef
    at: datetime
    result: str = "SUCCESS"
    tag: str | None = None
    arrival: Arrival = Arrival.PUSH


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A request for a release of an image under these tags, which were pushed at that time."""

    image: ImageRef
    tags: frozenset[str]
    pushed_at: datetime
    reason: StartReason = StartReason.PUSH
    by: str = ""  # the ARN of the person who requests it; "" for an event


@dataclass(frozen=True, slots=True)
class Situation:
    """The current state of the image and its tags."""

    present: frozenset[str]  # the tags that point to it
    is_overtaken: bool = False  # another image has one of the requested tags in the next stage


@dataclass(frozen=True, slots=True)
class Begin:
    """The decision to allocate this attempt."""

    attempt: int
    reason: StartReason


@dataclass(frozen=True, slots=True)
class Join:
    """The decision to add the tag to the open attempt, and to make sure that its execution runs."""

    release: Release


@dataclass(frozen=True, slots=True)
class Ignore:
    """The decision to do nothing, and the reason for it."""

    why: str


@dataclass(frozen=True, slots=True)
class IgnoredImage:
    """An image for which no release was begun, and why. It is not considered again until something changes."""

    image: ImageRef
    why: str
    at: datetime
    tags: frozenset[str]  # that it had then
    arrival: Arrival = Arrival.PUSH
    policy: Digest | None = None  # the policy that excludes the image; None: every policy would

    def covers(self, image: EcrImage) -> bool:
        """Return True if the image was not pushed again and has no new tag since."""
        return image.pushed_at <= self.at and image.tags <= self.tags

    def settles(self, image: EcrImage, policy: Digest) -> bool:
        """Return True if a request under this policy would be ignored again."""
        return self.covers(image) and self.policy in (None, policy)


def decide_start(
    latest: Release | None, request: StartRequest, policy: Digest, situation: Situation
) -> Begin | Join | Ignore:
    """Decide about a request. `latest`: the latest attempt of the image, or None if there is none."""
    if latest is None:
        return Begin(1, request.reason)
    if latest.is_open:
        return Join(latest)
    if latest.revoked:
        return Ignore(f"its signature was {latest.revoked}; push another image")
    reason = _reason_to_reopen(latest, request, policy, situation)
    if reason is None:
        return Ignore(f"already {latest.outcome} in attempt {latest.attempt}")
    return Begin(latest.attempt + 1, reason)


def decide_after_loss(lost: Release, request: StartRequest) -> Begin | Ignore:
    """Decide about an open attempt whose execution has ended. By itself, a release goes on once after such a loss."""
    if request.reason is StartReason.OPERATOR:
        return Begin(lost.attempt + 1, StartReason.OPERATOR)
    if lost.reason is StartReason.LOST_EXECUTION:
        return Ignore("two executions of it were lost; the reconciler ends it as failed")
    return Begin(lost.attempt + 1, StartReason.LOST_EXECUTION)


def _reason_to_reopen(
    latest: Release, request: StartRequest, policy: Digest, situation: Situation
) -> StartReason | None:
    """Return the reason for another attempt after a closed one, or None if there is none."""
    if request.reason is StartReason.LOST_EXECUTION:
        return None  # it has ended, so nothing is lost
    if request.reason is StartReason.LATE_SCAN:
        return StartReason.LATE_SCAN if latest.timed_out else None
    if request.reason in (StartReason.NEW_WAIVER, StartReason.NEW_POLICY, StartReason.BREAK_GLASS):
        return request.reason if latest.outcome is Outcome.BLOCKED else None
    if request.reason is StartReason.PROMOTED:
        return StartReason.PROMOTED if latest.lacked_promotion else None
    if request.reason is StartReason.APPROVED:
        return StartReason.APPROVED if latest.outcome is Outcome.HELD else None
    if request.reason is StartReason.ADOPTED:
        return None  # a gate has judged it already
    if request.reason is not StartReason.PUSH:
        return request.reason
    if request.tags - latest.tags:
        return StartReason.NEW_TAG
    if _came_back(latest, request, situation):
        return StartReason.PUSH
    return StartReason.NEW_POLICY if policy != latest.policy else None


def _came_back(latest: Release, request: StartRequest, situation: Situation) -> bool:
    """Return True for an image that was pushed again after it was deleted, or after it lost its tag to another."""
    if not request.tags & situation.present:
        return False
    is_later = latest.pushed_at is None or request.pushed_at > latest.pushed_at
    return latest.outcome in (Outcome.WITHDRAWN, Outcome.SUPERSEDED) or (situation.is_overtaken and is_later)


def workflow_input(release: Release, stage: Stage) -> dict[str, Any]:
    """Return the input of the state machine. It contains nothing that a decision rests on.

    It is the same for every retry of one attempt, so that StartExecution is idempotent.
    """
    return {
        "schema": SCHEMA,
        "release": {
            "repository": release.image.repository,
            "digest": str(release.image.digest),
            "attempt": release.attempt,
        },
        "scanTimeoutSeconds": int(stage.scan_timeout.total_seconds()),
    }
