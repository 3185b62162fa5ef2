"""A release: one image making one hop to its next stage, in numbered attempts.

One attempt is one execution of the state machine. The tags of one digest are a set on its release, not releases of
their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from imagegate.policy.rules import AMBIGUOUS, ENTRY

if TYPE_CHECKING:
    from imagegate.evidence.sbom import Sbom
    from imagegate.oci.image import Digest, ImageRef
    from imagegate.release.promotion import Promotion
    from imagegate.release.revocation import Revocation

# An image that is blocked only by these rules may pass once its scan is complete.
_LATE_SCAN_RULES = frozenset({"scan.timeout", "findings.incomplete"})


class Outcome(StrEnum):
    """The ways in which a release ends: each in exactly one."""

    RELEASED = "released"
    BLOCKED = "blocked"
    HELD = "held"
    CONFLICT = "conflict"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"


class StartReason(StrEnum):
    """Why an attempt begins."""

    PUSH = "push"
    NEW_TAG = "new tag"
    NEW_POLICY = "new policy"
    NEW_WAIVER = "new waiver"
    BREAK_GLASS = "break-glass"
    APPROVED = "approved"
    PROMOTED = "promoted"  # it was refused before, because no stage had promoted it
    LATE_SCAN = "late scan"
    ADOPTED = "adopted"  # it was in the registry before the installation
    OPERATOR = "operator"
    # The execution ended without closing its release: it was aborted, or the last step failed.
    LOST_EXECUTION = "lost execution"


@dataclass(frozen=True, slots=True)
class ReleaseId:
    """The name of one attempt; the steps of the state machine get no more than this."""

    image: ImageRef
    attempt: int

    def __str__(self) -> str:
        return f"{self.image} attempt {self.attempt}"


@dataclass(frozen=True, slots=True)
class Ending:
    """The ending of a release, as a step has noted it before the release is closed."""

    outcome: Outcome
    seen: int | None = None  # the release's `changes` that the step knew; None: it holds whatever changed
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"outcome": str(self.outcome), "seen": self.seen, "detail": self.detail}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Ending:
        seen = raw["seen"]
        return cls(Outcome(raw["outcome"]), seen if seen is None else int(seen), str(raw["detail"]))


@dataclass(frozen=True, slots=True)
class Release:
    """One attempt, as the ledger stores it. `outcome` is None while it is open."""

    image: ImageRef
    attempt: int
    stage: str
    policy: Digest
    tags: frozenset[str]
    reason: StartReason
    started_at: datetime
    pushed_at: datetime | None = None  # the last push of one of the tags: decides which image is newer
    changes: int = 0  # how often tags or pushed_at changed since it began
    ending: Ending | None = None
    outcome: Outcome | None = None
    closed_at: datetime | None = None
    verdict: str | None = None
    attention: str | None = None  # how it is announced: log, alert
    reasons: Sequence[dict[str, str]] = ()
    remedies: tuple[str, ...] = ()  # actions after which it would pass, as sentences
    decision: Digest | None = None
    judged_at: datetime | None = None  # by that decision; None: it is from an earlier version
    criticals: int | None = (
        None  # findings of the worst platform by that decision; None: no scan was complete
    )
    signature: Digest | None = None
    signature_ends: datetime | None = (
        None  # None: it does not end, or an earlier attempt or version has signed
    )
    evidence: tuple[Digest, ...] = ()  # of the other artifacts pushed: summary, platforms' signatures, SBOMs
    sbom: Sbom | None = None  # None: the stage requests none, or nothing passed yet
    platforms: tuple[Digest, ...] = ()  # of an index: those that were judged, and are released with it
    promotion: Promotion | None = None
    uploads: Mapping[Digest, str] = field(default_factory=dict)  # of incomplete blobs: the URL to continue at
    detail: str = ""
    message_id: str | None = None
    break_glass: str = ""  # the break-glass that lets it through though it did not pass, as a sentence
    revoked: Revocation | None = None
    started_by: str = ""  # ARN, if a person began it
    replicating_since: datetime | None = None
    clean_since: Mapping[Digest, datetime] = field(default_factory=dict)  # when a scan first had no findings
    soaks_until: datetime | None = None  # it passed and is signed, and stays in its stage until then

    @property
    def id(self) -> ReleaseId:
        return ReleaseId(self.image, self.attempt)

    @property
    def is_open(self) -> bool:
        return self.outcome is None

    @property
    def arrived_at(self) -> datetime:
        """The time of the last push of one of its tags; without one, of the start of the attempt."""
        return self.pushed_at or self.started_at

    @property
    def timed_out(self) -> bool:
        """True if it is blocked only because its scan result was not complete in time."""
        rules = self._blocking_rules()
        return self.outcome is Outcome.BLOCKED and bool(rules) and rules <= _LATE_SCAN_RULES

    @property
    def lacked_promotion(self) -> bool:
        """True if it is blocked, and a promotion might change that."""
        return self.outcome is Outcome.BLOCKED and ENTRY in self._blocking_rules()

    @property
    def is_ambiguous(self) -> bool:
        """True if clients could read the image in two ways. No grant lets such an image through."""
        return any(reason["rule"] == AMBIGUOUS for reason in self.reasons)

    @property
    def key(self) -> str:
        """A name that is stable across retries, for the execution, messages and tokens: 40 hex digits."""
        text = f"{self.image}#{self.attempt}"
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    @property
    def execution_name(self) -> str:
        return f"{self.key}-{self.attempt}"

    def _blocking_rules(self) -> set[str]:
        return {reason["rule"] for reason in self.reasons if reason["action"] == "enforce"}


@dataclass(frozen=True, slots=True)
class History:
    """All that the ledger knows of one digest, from one read."""

    attempts: tuple[Release, ...] = ()  # newest first
    indexes: tuple[Digest, ...] = ()  # that were released with this digest as one of their platforms


@dataclass(frozen=True, slots=True)
class WaitingScan:
    """A task token that waits for the scan of one platform, with all the platforms that its release waits for."""

    image: ImageRef
    release: ReleaseId
    token: str
    platforms: tuple[Digest, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class CurrentRelease:
    """The image that was released into a repository last, and the decision that let it in."""

    repository: str
    image: ImageRef  # in the stage before
    decision: Digest
    pushed_at: datetime


@dataclass(frozen=True, slots=True)
class EcrImage:
    """One image as ECR describes it (DescribeImages), with facts of its manifest."""

    image: ImageRef
    tags: frozenset[str]
    pushed_at: datetime
    media_type: str
    artifact_type: str | None = None
    size: int = 0  # bytes, compressed
    annotations: dict[str, str] = field(default_factory=dict)
