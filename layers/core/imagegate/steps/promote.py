"""Promote Image: an exact copy by digest with all its evidence; children first, subject before referrers, tags last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from imagegate.domain.errors import DecisionRefusedError, ImageNotFoundError, TagConflictError
from imagegate.domain.image import ImageRef, Manifest
from imagegate.domain.policy import Mode, Stage
from imagegate.domain.promotion import TagPlan, plan_tags
from imagegate.domain.release import Facts, Outcome, Promotion, Release, ReleaseId
from imagegate.domain.verdict import VerdictOutcome
from imagegate.ports import Images, Ledger, Records, Registry

# Evidence about evidence (a signature of an attestation) is as deep as it goes.
_REFERRER_LEVELS = 2


class Next(StrEnum):
    """Where the state machine goes next."""

    CONTINUE = "CONTINUE"  # time is nearly up: call again, finished work is skipped
    ANNOUNCE = "ANNOUNCE"


@dataclass(frozen=True, slots=True)
class Promoted:
    """How one call ended. `tags`: all that it looked at, so that a tag which comes later is not lost."""

    route: Next
    outcome: Outcome = Outcome.RELEASED
    tags: tuple[str, ...] = ()
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "route": str(self.route),
            "outcome": str(self.outcome),
            "tags": list(self.tags),
            "detail": self.detail,
        }


class _OutOfTimeError(Exception):
    """This call's time is nearly up."""


@dataclass(frozen=True, slots=True)
class PromoteImage:
    images: Images
    ledger: Ledger
    records: Records
    registry: Registry

    def run(self, id_: ReleaseId, has_time: Callable[[], bool]) -> Promoted:
        """Raise `DecisionRefusedError` for a release that did not pass and is not merely observed."""
        release = self.ledger.get(id_)
        seen = tuple(sorted(release.tags))
        if release.outcome is not None:
            return Promoted(Next.ANNOUNCE, release.outcome, seen)
        policy = self.records.policy(release.policy)
        stage = policy.stages[release.stage]
        target = policy.target_of(release.image.repository)
        if target is None:
            return Promoted(Next.ANNOUNCE, Outcome.RELEASED, seen)
        _check_may_leave(release, stage)
        try:
            return self._promote(release, self.images.facts(release.image), stage, target, has_time)
        except ImageNotFoundError:
            return Promoted(
                Next.ANNOUNCE, Outcome.WITHDRAWN, seen, "the image was deleted before its promotion"
            )
        except _OutOfTimeError:
            return Promoted(Next.CONTINUE)

    def _promote(
        self, release: Release, facts: Facts, stage: Stage, target: str, has_time: Callable[[], bool]
    ) -> Promoted:
        seen = tuple(sorted(release.tags))
        plan = plan_tags(stage, release.tags, facts.tags)
        if plan.is_superseded:
            return Promoted(
                Next.ANNOUNCE, Outcome.SUPERSEDED, seen, f"moved to another image: {', '.join(plan.gone)}"
            )
        if not plan.move:
            return Promoted(
                Next.ANNOUNCE, Outcome.RELEASED, seen, "no tag of this image is promoted from this stage"
            )
        self.images.make_repository(target, like=release.image.repository)
        copy = _Copy(self.registry, release.image.repository, target, has_time)
        manifest = copy.with_evidence(release.image)
        return self._tag(release, facts, manifest, target, plan)

    def _tag(
        self, release: Release, facts: Facts, manifest: Manifest, target: str, plan: TagPlan
    ) -> Promoted:
        seen = tuple(sorted(release.tags))
        digest = release.image.digest
        claimed = [t for t in plan.move if self.ledger.claim_tag(target, t, digest, facts.pushed_at)]
        if not claimed:
            detail = f"a newer image has {', '.join(plan.move)} in {target}"
            return Promoted(Next.ANNOUNCE, Outcome.SUPERSEDED, seen, detail)
        try:
            for tag in claimed:
                self.registry.push_manifest(target, manifest, tag)
        except TagConflictError as conflict:
            return Promoted(Next.ANNOUNCE, Outcome.CONFLICT, seen, str(conflict))
        self.ledger.record(
            ReleaseId(release.image, release.attempt), promotion=Promotion(target, digest, tuple(claimed))
        )
        return Promoted(Next.ANNOUNCE, Outcome.RELEASED, seen)


def _check_may_leave(release: Release, stage: Stage) -> None:
    passed = release.verdict == VerdictOutcome.PASS and release.signature is not None
    observed = stage.mode is Mode.OBSERVE and release.verdict is not None
    if not passed and not observed:
        raise DecisionRefusedError(
            f"{release.image}: has not passed the {stage.name} gate; nothing is copied"
        )


@dataclass(frozen=True, slots=True)
class _Copy:
    """One copy between two repositories. What is there already is not copied again."""

    registry: Registry
    source: str
    target: str
    has_time: Callable[[], bool]
    done: set[str] = field(default_factory=set)

    def with_evidence(self, image: ImageRef, level: int = 0) -> Manifest:
        manifest = self._image(image)
        if level < _REFERRER_LEVELS:
            for referrer in self.registry.referrers(image):
                self.with_evidence(ImageRef(self.source, referrer.digest), level + 1)
        return manifest

    def _image(self, image: ImageRef) -> Manifest:
        manifest = self.registry.manifest(self.source, image.digest)
        if self.registry.has_manifest(ImageRef(self.target, image.digest)):
            return manifest  # a registry takes a manifest only when everything it names is there
        for child in manifest.children:
            self._image(ImageRef(self.source, child.digest))
        for blob in manifest.blobs:
            self._check_time()
            if str(blob.digest) not in self.done:
                self.registry.copy_blob(blob, self.source, self.target)
                self.done.add(str(blob.digest))
        self.registry.push_manifest(self.target, manifest)
        return manifest

    def _check_time(self) -> None:
        if not self.has_time():
            raise _OutOfTimeError
