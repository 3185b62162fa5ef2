"""Set the tags of a promoted image; the first one pushes the image itself.

The ledger gets a claim of each tag before the push, so that a newer image wins.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from imagegate.errors import ImageNotFoundError, TagConflictError
from imagegate.oci.image import Digest, ImageRef
from imagegate.ports.ledger import RecordedReleases, TagClaims
from imagegate.ports.pending import RepeatedRequests
from imagegate.release.promotion import Promotion, TagPlan
from imagegate.release.release import Outcome, Release, StartReason

if TYPE_CHECKING:
    from imagegate.oci.manifest import Manifest
    from imagegate.ports.images import Images
    from imagegate.workflow.copying import Copy


class TagLedger(RecordedReleases, RepeatedRequests, TagClaims, Protocol):
    """The parts of the ledger that `SetTags` uses."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """The outcome of a promotion, notes for people, and where the image is now, if a tag moved."""

    outcome: Outcome
    detail: str = ""
    promotion: Promotion | None = None


@dataclass(slots=True, kw_only=True)
class SetTags:
    """Sets the tags in the target. It notes why a tag does not move."""

    images: Images
    ledger: TagLedger
    release: Release
    target: str  # as in the ledger: with the registry if it is another one
    manifest: Manifest
    copy: Copy
    moved: list[str] = field(default_factory=list)
    newer: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    def run(self, plan: TagPlan, now: datetime) -> Promoted:
        """Set the tags of the plan. The caller records the promotion."""
        target = ImageRef(self.target, self.release.image.digest)
        was_there = self.copy.registry is self.copy.origin and not self.copy.is_new
        known = self.ledger.latest(target) if was_there else None
        for tag in plan.move:
            self._move(tag)
        promotion = None
        if self.moved:
            promotion = Promotion(self.target, self.release.image.digest, tuple(self.moved))
            if known and known.outcome in (None, Outcome.BLOCKED):
                # The image and its tag were there before, so ECR sends no event about the promotion.
                self.ledger.request_again(target, now)
        return Promoted(self._outcome(), "; ".join(self._notes(plan)), promotion)

    def _move(self, tag: str) -> None:
        if not self._claims(tag):
            return
        if tag == self.copy.tagged:
            self.moved.append(tag)  # this release claimed it before it looked
            return
        try:
            self._push(self.manifest, tag)
        except TagConflictError as conflict:
            self.conflicts.append(str(conflict))
            return
        # A newer image may have claimed and taken the tag between the claim and the push.
        if self._claims(tag):
            self.moved.append(tag)

    def _claims(self, tag: str) -> bool:
        pushed_at = self.release.arrived_at
        if self._is_taken_from_before(tag, pushed_at):
            self.newer.append(tag)
            return False
        if self.ledger.claim_tag(self.target, tag, self.release.image.digest, pushed_at):
            return True
        self.newer.append(tag)
        self._give_back(tag)
        return False

    def _is_taken_from_before(self, tag: str, pushed_at: datetime) -> bool:
        """Say whether an adopted image would take the tag of a later image, pushed before tags were claimed."""
        if self.release.reason is not StartReason.ADOPTED or self.ledger.holder(self.target, tag):
            return False
        tagged = self._digest_of(tag)
        if tagged in (None, self.release.image.digest):
            return False
        if self.copy.registry is not self.copy.origin:
            return True  # only the stack of that registry knows when that image arrived
        return self.images.facts(ImageRef(self.target, tagged)).pushed_at > pushed_at

    def _give_back(self, tag: str) -> None:
        """Move the tag back to its holder, if this call or one that was killed had moved it.

        A holder that is not there yet pushes itself by this tag: it has claimed the tag for that.
        """
        holder = self.ledger.holder(self.target, tag)
        ours = self._digest_of(tag) == self.release.image.digest
        if ours and holder is not None and holder != self.release.image.digest:
            with suppress(ImageNotFoundError):
                self._push(self.copy.registry.manifest(self.copy.target, holder), tag)

    def _push(self, manifest: Manifest, tag: str) -> None:
        self.copy.registry.push_manifest(self.copy.target, manifest, tag)

    def _digest_of(self, tag: str) -> Digest | None:
        try:
            return self.copy.registry.manifest(self.copy.target, tag).digest
        except ImageNotFoundError:
            return None

    def _outcome(self) -> Outcome:
        if self.conflicts:
            return Outcome.CONFLICT
        return Outcome.RELEASED if self.moved else Outcome.SUPERSEDED

    def _notes(self, plan: TagPlan) -> list[str]:
        notes = list(self.conflicts)
        if self.conflicts and self.moved:
            notes.append(f"promoted nevertheless: {', '.join(self.moved)}")
        if self.newer:
            notes.append(f"a newer image has {', '.join(self.newer)} in {self.target}")
        if plan.gone:
            notes.append(f"moved to another image: {', '.join(plan.gone)}")
        if left := self.copy.left_behind:
            notes.append(f"referrers that could run are not evidence and stay: {', '.join(left)}")
        return notes
