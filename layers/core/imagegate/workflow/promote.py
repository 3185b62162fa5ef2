"""Promote Image: copy an image and its evidence by digest into the next stage's repository; set the tags last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from imagegate.canonical_json import timestamp
from imagegate.errors import DecisionRefusedError, ImageNotFoundError, MissingRepositoryError
from imagegate.evidence import attestation
from imagegate.gate.verdict import VerdictOutcome
from imagegate.grants.approval import ApprovalStatus, approval_status, find_held_attempt
from imagegate.grants.break_glass import active_break_glass
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Mode, Policy, RemoteRegistry, Stage
from imagegate.ports.ledger import Pushers, StepResults
from imagegate.release.promotion import Promotion, TagPlan, plan_tags
from imagegate.release.release import Ending, Outcome, Release, ReleaseId
from imagegate.workflow.copying import Copy, OutOfTimeError
from imagegate.workflow.examination.contents import MANIFESTS
from imagegate.workflow.examination.signatures import verify_signature
from imagegate.workflow.pending_approval import pending_request
from imagegate.workflow.replicate import AwaitReplicas
from imagegate.workflow.set_tags import Promoted, SetTags, TagLedger

if TYPE_CHECKING:
    from imagegate.oci.manifest import Manifest
    from imagegate.ports.grants import Grants
    from imagegate.ports.images import Images
    from imagegate.ports.records import Records
    from imagegate.ports.registry import Registry
    from imagegate.ports.settings import NewRepositories
    from imagegate.ports.signer import Signer

_SECOND = timedelta(seconds=1)


class PromoteRoute(StrEnum):
    """The next state of the state machine."""

    CONTINUE = "CONTINUE"  # no time left: call again, finished work is skipped
    REPLICATE = "REPLICATE"  # ECR still replicates the image: look again later
    SOAK = "SOAK"  # the image stays in its stage for a time, and is then judged again
    ANNOUNCE = "ANNOUNCE"


@dataclass(frozen=True, slots=True)
class PromoteResult:
    """The result of one call. `until` is the time of the next call, if the route has one."""

    route: PromoteRoute
    outcome: Outcome = Outcome.RELEASED
    detail: str = ""
    until: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "route": str(self.route),
            "outcome": str(self.outcome),
            "until": self.until and timestamp(self.until),
        }


class PromotionLedger(TagLedger, Pushers, Protocol):
    """The parts of the ledger that `PromoteImage` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteImage:
    images: Images
    ledger: PromotionLedger
    records: Records
    registry: Registry
    signer: Signer
    grants: Grants
    registry_at: Callable[[RemoteRegistry], Registry]
    new_repositories: Callable[[Policy], NewRepositories]

    def run(self, id_: ReleaseId, has_time: Callable[[], bool], now: datetime) -> PromoteResult:
        """Promote the image while there is time. Raises `DecisionRefusedError` if it may not leave its stage."""
        release = self.ledger.get(id_)
        if release.outcome is not None:
            return PromoteResult(PromoteRoute.ANNOUNCE, release.outcome)
        if release.revoked:
            return self._end(release, Ending(Outcome.BLOCKED, None, f"its signature was {release.revoked}"))
        policy = self.records.policy(release.policy)
        target = policy.target_of(release.image.repository)
        if target is None:
            return PromoteResult(PromoteRoute.ANNOUNCE)
        try:
            if until := self._soak_end(release, policy, now):
                return PromoteResult(PromoteRoute.SOAK, until=until)
            promoted = Promoted(Outcome.RELEASED)
            if not _is_promoted(release, policy):
                promoted = self._promote(release, policy, target, has_time, now)
            replicated = self._replicated(release, policy, promoted, target, now)
            if isinstance(replicated, datetime):
                return PromoteResult(PromoteRoute.REPLICATE, until=replicated)
            detail = "; ".join(filter(None, (promoted.detail, replicated)))
            ending, promotion = Ending(promoted.outcome, release.changes, detail), promoted.promotion
        except ImageNotFoundError as error:
            withdrawn = f"gone before its promotion ended: {error}"
            ending, promotion = Ending(Outcome.WITHDRAWN, release.changes, withdrawn), None
        except OutOfTimeError as stopped:
            if stopped.uploads:
                self.ledger.record(release.id, uploads=stopped.uploads)
            return PromoteResult(PromoteRoute.CONTINUE)
        return self._end(release, ending, promotion)

    def _end(self, release: Release, ending: Ending, promotion: Promotion | None = None) -> PromoteResult:
        """Record the ending, with the number of changes of the release that it includes: so a later tag is not lost."""
        results: StepResults = {"ending": ending}
        if promotion:
            results["promotion"] = promotion
        self.ledger.record(release.id, **results)
        return PromoteResult(PromoteRoute.ANNOUNCE, ending.outcome, ending.detail)

    def _promote(
        self, release: Release, policy: Policy, target: str, has_time: Callable[[], bool], now: datetime
    ) -> Promoted:
        stage, following = policy.stages[release.stage], policy.next_stage(policy.stages[release.stage])
        read = self._read_evidence(release)
        self._check_may_leave(release, stage, read, now)
        needs_plan = following is not None and following.approval is not None
        plan = self._plan(release, stage) if needs_plan else plan_tags(stage, release.tags, release.tags)
        if plan.move:
            if not self._may_enter(release, following, policy, now):
                return Promoted(Outcome.HELD)
            copy = self._copy_to(target, following.remote if following else None, release.image, has_time)
            copy.read = read | self._read_children(read[release.image.digest], release.image)
            manifest = self._copy(copy, release)
        plan = self._plan(release, stage)  # at the last moment: the tags may have moved during the copy
        if plan.is_superseded:
            return Promoted(Outcome.SUPERSEDED, f"moved to another image: {', '.join(plan.gone)}")
        if not plan.move:
            return Promoted(Outcome.RELEASED, "no tag of this image is promoted from this stage")
        step = SetTags(
            images=self.images,
            ledger=self.ledger,
            release=release,
            target=target,
            manifest=manifest,
            copy=copy,
        )
        return step.run(plan, now)

    def _replicated(
        self, release: Release, policy: Policy, promoted: Promoted, target: str, now: datetime
    ) -> datetime | str:
        """Return the time of the next look, or a note for people (may be empty)."""
        following = policy.next_stage(policy.stages[release.stage])
        if promoted.outcome is not Outcome.RELEASED or following is None or following.replication is None:
            return ""
        if following.remote:
            return ""  # the stack of that registry waits for its own replicas
        if promoted.promotion:
            self.ledger.record(release.id, promotion=promoted.promotion)
        image = ImageRef(target, release.image.digest)
        return AwaitReplicas(images=self.images, ledger=self.ledger).run(
            release, image, following.replication, now
        )

    def _copy_to(
        self, target: str, elsewhere: RemoteRegistry | None, image: ImageRef, has_time: Callable[[], bool]
    ) -> Copy:
        if elsewhere is None:
            return Copy(
                origin=self.registry, registry=self.registry, image=image, target=target, has_time=has_time
            )
        name = target.removeprefix(f"{elsewhere.registry}/")
        return Copy(
            origin=self.registry,
            registry=self.registry_at(elsewhere),
            image=image,
            target=name,
            has_time=has_time,
        )

    def _soak_end(self, release: Release, policy: Policy, now: datetime) -> datetime | None:
        """Return until when the image stays in its stage, counted from its first push, or None if that is over."""
        soak = policy.stages[release.stage].soak
        if not soak:
            return None
        # In whole seconds and never too early: the state machine waits until exactly this time.
        until = (self.images.facts(release.image).pushed_at + soak).replace(microsecond=0) + _SECOND
        if now >= until:
            return None
        if release.verdict == VerdictOutcome.PASS:
            self.ledger.note_platforms(release)
        self.ledger.record(release.id, soaks_until=until)
        return until

    def _may_enter(self, release: Release, following: Stage | None, policy: Policy, now: datetime) -> bool:
        """Say whether the next stage needs no approval, or has approved this image."""
        if following is None or following.approval is None:
            return True
        held = find_held_attempt(release, self.ledger.history(release.image).attempts)
        request = (
            pending_request(held, policy, self.ledger) if held and held.policy == release.policy else None
        )
        if request is None:
            return False
        decided = self.grants.approvals(request.release)
        return approval_status(request, decided, now) is ApprovalStatus.APPROVED

    def _copy(self, copy: Copy, release: Release) -> Manifest:
        """Copy the image. After an earlier promotion of this release, only newer evidence is copied."""
        before = release.promotion.tags if release.promotion else ()
        there = copy.find(before[0] if before else None)
        try:
            return copy.run(
                there,
                known=_evidence(release),
                was_complete=bool(there and before),
                uploads=release.uploads,
                is_tagged_next=True,
            )
        except MissingRepositoryError:
            if copy.registry is not copy.origin:
                raise
        policy = self.records.policy(release.policy)
        self.new_repositories(policy).create(copy.target, like=release.image.repository)
        copy.send(release.uploads)
        return copy.manifest

    def _read_evidence(self, release: Release) -> dict[Digest, Manifest]:
        """Read the image and the evidence that the ledger knows, in one request. Raises `ImageNotFoundError`."""
        image = release.image
        read = self.images.read_manifests(image.repository, (image.digest, *_evidence(release)))
        return read if image.digest in read else {image.digest: self.images.manifest(image), **read}

    def _read_children(self, manifest: Manifest, image: ImageRef) -> dict[Digest, Manifest]:
        """Read the manifests that an index names, a hundred in a request; the copy reads those of an index in it."""
        children = [child.digest for child in manifest.children[:MANIFESTS]]
        return self.images.read_manifests(image.repository, children)

    def _plan(self, release: Release, stage: Stage) -> TagPlan:
        return plan_tags(stage, release.tags, self.images.facts(release.image).tags)

    def _check_may_leave(
        self, release: Release, stage: Stage, read: Mapping[Digest, Manifest], now: datetime
    ) -> None:
        """Raise `DecisionRefusedError` if the image may not leave its stage. The signature itself is verified again."""
        if release.is_ambiguous:
            raise DecisionRefusedError(f"{release.image}: could be read in two ways; nothing is copied")
        if release.verdict not in (None, VerdictOutcome.PASS):
            if stage.mode is Mode.OBSERVE:
                return
            if active_break_glass(self.grants.broken_glass(), release.image, now):
                return
        if release.verdict != VerdictOutcome.PASS or release.signature is None:
            raise DecisionRefusedError(
                f"{release.image}: has not passed the {stage.name} gate; nothing is copied"
            )
        signature = ImageRef(release.image.repository, release.signature)
        subject = read[release.image.digest].descriptor
        manifest = read.get(release.signature)
        signed = verify_signature(
            self.registry, self.signer, signature, subject, stage.name, now, manifest=manifest
        )
        if signed.get(attestation.POLICY) != str(release.policy):
            raise DecisionRefusedError(f"{release.image}: {signature.digest.short} is of another policy")


def _evidence(release: Release) -> list[Digest]:
    """Return what the gate has attached to the image, as the ledger knows it."""
    return [digest for digest in (release.signature, *release.evidence) if digest]


def _is_promoted(release: Release, policy: Policy) -> bool:
    """Say whether all tags are promoted, so that only replicas are missing."""
    if release.replicating_since is None or release.promotion is None:
        return False
    stage = policy.stages[release.stage]
    return {tag for tag in release.tags if stage.promotes(tag)} <= set(release.promotion.tags)
