"""A release: one image making one hop to its next stage, in numbered attempts.

Rules: one attempt is one execution; tags of one digest are a set on the release, not releases of their own;
a closed release opens again only for a named reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from imagegate.evidence.sbom import Sbom
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Arrival, Stage
from imagegate.policy.rules import AMBIGUOUS, ENTRY
from imagegate.release.revocation import Revocation

SCHEMA = 1


class Outcome(StrEnum):
    """Every release ends in exactly one of these."""

    RELEASED = "released"
    BLOCKED = "blocked"
    HELD = "held"
    CONFLICT = "conflict"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"


class StartReason(StrEnum):
    """Why an attempt was made."""

    PUSH = "push"
    NEW_TAG = "new tag"
    NEW_POLICY = "new policy"
    NEW_WAIVER = "new waiver"
    BREAK_GLASS = "break-glass"
    APPROVED = "approved"
    PROMOTED = "promoted"  # after it had been refused because nothing had promoted it
    LATE_SCAN = "late scan"
    ADOPTED = "adopted"  # it was there before the installation
    OPERATOR = "operator"
    LOST_EXECUTION = (
        "lost execution"  # it ended without closing its release: aborted, or a fault in the end itself
    )


@dataclass(frozen=True, slots=True)
class Promotion:
    """Where an image went."""

    repository: str
    digest: Digest
    tags: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"repository": self.repository, "digest": str(self.digest), "tags": list(self.tags)}


_LATE = frozenset({"scan.timeout", "findings.incomplete"})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a step found that a release ends. `seen`: how many of its changes that covers; None: whatever changed."""

    outcome: Outcome
    seen: int | None = None
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"outcome": str(self.outcome), "seen": self.seen, "detail": self.detail}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Ending:
        seen = raw["seen"]
        return cls(Outcome(raw["outcome"]), seen if seen is None else int(seen), str(raw["detail"]))


@dataclass(frozen=True, slots=True)
class Release:
    """One attempt, as the ledger knows it. `outcome` is None while it is open."""

    image: ImageRef
    attempt: int
    stage: str
    policy: Digest
    tags: frozenset[str]
    reason: StartReason
    started_at: datetime
    pushed_at: datetime | None = None  # the last push of one of the tags: decides which image is newer
    changes: int = 0  # of tags and pushed_at since it began
    ending: Ending | None = None  # what the step that decided it has noted; it is not closed by that
    outcome: Outcome | None = None
    closed_at: datetime | None = None
    verdict: str | None = None
    attention: str | None = None  # who hears of it: log, alert
    reasons: Sequence[dict[str, str]] = ()
    remedies: tuple[str, ...] = ()  # what would make it pass, for people
    decision: Digest | None = None
    signature: Digest | None = None
    evidence: tuple[Digest, ...] = ()  # what else was pushed: summary, platforms' signatures, SBOMs
    sbom: Sbom | None = None  # what became of it; None: the stage asks for none, or nothing passed yet
    platforms: tuple[Digest, ...] = ()  # of an index: what was judged, and is released with it
    promotion: Promotion | None = None
    uploads: Mapping[Digest, str] = field(default_factory=dict)  # of blobs left half-done: where they stand
    detail: str = ""
    message_id: str | None = None
    break_glass: str = ""  # what lets it through though it did not pass, for people
    revoked: Revocation | None = None
    started_by: str = ""  # ARN, where a person began it
    replicating_since: datetime | None = None
    clean_since: Mapping[Digest, datetime] = field(default_factory=dict)  # first looks that found nothing
    soaks_until: datetime | None = None  # it passed and is signed, and stays in its stage until then

    @property
    def id(self) -> ReleaseId:
        return ReleaseId(self.image, self.attempt)

    @property
    def is_open(self) -> bool:
        return self.outcome is None

    @property
    def timed_out(self) -> bool:
        """Blocked only because no scan result, or not the whole of it, came in time."""
        rules = {reason["rule"] for reason in self.reasons if reason["action"] == "enforce"}
        return self.outcome is Outcome.BLOCKED and bool(rules) and rules <= _LATE

    @property
    def lacked_promotion(self) -> bool:
        """Blocked, and a promotion might change that."""
        rules = {reason["rule"] for reason in self.reasons if reason["action"] == "enforce"}
        return self.outcome is Outcome.BLOCKED and ENTRY in rules

    @property
    def is_ambiguous(self) -> bool:
        """Say whether its judge refused it because clients could read it in two ways: nothing lets it on."""
        return any(reason["rule"] == AMBIGUOUS for reason in self.reasons)

    @property
    def key(self) -> str:
        """Stable across retries; names the execution, messages and tokens. Hex, so legal in execution names."""
        text = f"{self.image}#{self.attempt}"
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    @property
    def execution_name(self) -> str:
        return f"{self.key}-{self.attempt}"


@dataclass(frozen=True, slots=True)
class Push:
    """An image that came in, as the event tells it; the rest is read from ECR."""

    image: ImageRef
    at: datetime
    result: str = "SUCCESS"
    tag: str | None = None
    arrival: Arrival = Arrival.PUSH


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Somebody or something asks for a release of an image under these tags, pushed at that time."""

    image: ImageRef
    tags: frozenset[str]
    pushed_at: datetime
    reason: StartReason = StartReason.PUSH
    by: str = ""  # the ARN of who asks, where a person does


@dataclass(frozen=True, slots=True)
class Situation:
    """What has become of the image and its tags by now."""

    present: frozenset[str]  # the tags that point to it
    is_overtaken: bool = False  # another image holds one of the requested tags in the next stage


@dataclass(frozen=True, slots=True)
class Begin:
    """Allocate this attempt."""

    attempt: int
    reason: StartReason


@dataclass(frozen=True, slots=True)
class Join:
    """The attempt is open: add the tag to it, and make sure that its execution runs."""

    release: Release


@dataclass(frozen=True, slots=True)
class Ignore:
    """There is nothing to do, and this is why."""

    why: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """An image that no release was begun for, and why: nobody asks for one again until something changes."""

    image: ImageRef
    why: str
    at: datetime
    tags: frozenset[str]  # that it had then
    arrival: Arrival = Arrival.PUSH
    policy: Digest | None = None  # that said so; None: no policy would change it

    def covers(self, facts: EcrImage) -> bool:
        """Whether it is still about the image: it was not pushed again, and has no other tag."""
        return facts.pushed_at <= self.at and facts.tags <= self.tags

    def settles(self, facts: EcrImage, policy: Digest) -> bool:
        """Whether nothing would come of asking again."""
        return self.covers(facts) and self.policy in (None, policy)


def decide_start(
    latest: Release | None, request: StartRequest, policy: Digest, situation: Situation
) -> Begin | Join | Ignore:
    """What to do about a request, given the latest attempt of that image."""
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


def _reason_to_reopen(
    latest: Release, request: StartRequest, policy: Digest, situation: Situation
) -> StartReason | None:
    if request.reason is StartReason.LATE_SCAN:
        return StartReason.LATE_SCAN if latest.timed_out else None
    if request.reason in (StartReason.NEW_WAIVER, StartReason.NEW_POLICY, StartReason.BREAK_GLASS):
        return request.reason if latest.outcome is Outcome.BLOCKED else None
    if request.reason is StartReason.PROMOTED:
        return StartReason.PROMOTED if latest.lacked_promotion else None
    if request.reason is StartReason.APPROVED:
        return StartReason.APPROVED if latest.outcome is Outcome.HELD else None
    if request.reason is StartReason.ADOPTED:
        return None  # a gate has seen it already
    if request.reason is not StartReason.PUSH:
        return request.reason
    if request.tags - latest.tags:
        return StartReason.NEW_TAG
    if _came_back(latest, request, situation):
        return StartReason.PUSH
    return StartReason.NEW_POLICY if policy != latest.policy else None


def _came_back(latest: Release, request: StartRequest, situation: Situation) -> bool:
    """Pushed again after it was deleted, or after its tag had gone to another image."""
    if not request.tags & situation.present:
        return False
    is_later = latest.pushed_at is None or request.pushed_at > latest.pushed_at
    return latest.outcome in (Outcome.WITHDRAWN, Outcome.SUPERSEDED) or (situation.is_overtaken and is_later)


def workflow_input(release: Release, stage: Stage) -> dict[str, Any]:
    """What the state machine gets: nothing that decides anything.

    The same for every retry of one attempt, so that StartExecution is idempotent.
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


@dataclass(frozen=True, slots=True)
class ReleaseId:
    """Names one attempt: what the steps are given."""

    image: ImageRef
    attempt: int

    def __str__(self) -> str:
        return f"{self.image} attempt {self.attempt}"


@dataclass(frozen=True, slots=True)
class WaitingScan:
    """A task token that waits for the scan of one platform image, with all that its release waits for."""

    image: ImageRef
    release: ReleaseId
    token: str
    platforms: tuple[Digest, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class CurrentRelease:
    """What was released into a repository last: the image, where it came from, and the decision that let it in."""

    repository: str
    image: ImageRef  # in the stage before
    decision: Digest
    pushed_at: datetime


@dataclass(frozen=True, slots=True)
class EcrImage:
    """What ECR says about one image: DescribeImages and the manifest."""

    image: ImageRef
    tags: frozenset[str]
    pushed_at: datetime
    media_type: str
    artifact_type: str | None = None
    size: int = 0  # bytes, compressed
    annotations: dict[str, str] = field(default_factory=dict)
