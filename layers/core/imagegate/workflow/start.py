"""Start: allocate an attempt for a push or a request, and start its execution exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from imagegate.errors import ImageNotFoundError, RejectedInputError, RetryableError
from imagegate.policy.policy import Arrival, Policy, Stage
from imagegate.ports.ledger import IgnoredImages, Pushers, ReleaseAttempts, TagHolders
from imagegate.release.release import EcrImage, Outcome, Release, StartReason
from imagegate.release.start import (
    TAKEN_OVER,
    Begin,
    Ignore,
    IgnoredImage,
    Join,
    Push,
    Situation,
    StartRequest,
    decide_after_loss,
    decide_start,
    workflow_input,
)
from imagegate.workflow.examination.contents import is_artifact

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.ports.executions import Workflow
    from imagegate.ports.images import Images
    from imagegate.ports.records import Records
    from imagegate.ports.registry import Registry

# Concurrent starts of one image race for the next attempt; a loser reads again and joins the winner.
_MOST_RACES = 5
# These go on with the attempt before: what people approved, or what an execution has begun.
_GO_ON = (StartReason.APPROVED, StartReason.LOST_EXECUTION)


class StartContentionError(RetryableError):
    """Too many concurrent starts of one image. Lambda delivers the event again."""


class StartLedger(ReleaseAttempts, IgnoredImages, Pushers, TagHolders, Protocol):
    """The parts of the ledger that `StartRelease` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRelease:
    """Decides whether an image needs a release, and makes sure that exactly one execution runs it."""

    images: Images
    ledger: StartLedger
    workflow: Workflow
    records: Records
    policy: Policy
    installed_at: datetime
    registry: Callable[[], Registry]

    def on_push(self, push: Push, now: datetime) -> Release | Ignore:
        """Start a release for a push, or return why not. The same push twice is one attempt."""
        stage = self.policy.stage_of(push.image.repository)
        if stage is None:
            return Ignore("unmanaged repository")
        if push.result != "SUCCESS":
            return Ignore("failed push")
        facts = self._facts(push.image)
        if facts is None:
            return self._resume(push.image, now) or Ignore("the image is gone")
        # An image from before the installation counts if it is pushed again.
        pushed_at = max(facts.pushed_at, min(push.at, now))
        if pushed_at < self.installed_at:
            return Ignore("older than the installation")
        tags = frozenset({push.tag}) if push.tag else facts.tags
        if not tags:
            return Ignore("untagged push")
        ignore = self._ignore(push, stage, facts, now)
        return ignore or self._start(StartRequest(push.image, tags, pushed_at), facts.tags, now)

    def on_request(
        self, image: ImageRef, tags: Iterable[str], reason: StartReason, now: datetime, by: str = ""
    ) -> Release | Ignore:
        """Start a release for a proven request. Raises `RejectedInputError` for a repository of no stage."""
        if self.policy.stage_of(image.repository) is None:
            raise RejectedInputError(f"{image.repository}: no stage of the policy has this repository")
        if reason is StartReason.LOST_EXECUTION:
            return self._resume(image, now) or Ignore("it has ended")
        facts = self._facts(image)
        if facts is None and reason is not StartReason.OPERATOR:
            return Ignore("the image is gone")
        facts = facts or self.images.facts(image)
        if reason is StartReason.PUSH:  # the reconciler found a push whose event was lost
            known = self.ledger.ignored(image)
            arrival = known.arrival if known and known.covers(facts) else Arrival.PUSH
            return self.on_push(Push(image, facts.pushed_at, arrival=arrival), now)
        if reason is StartReason.ADOPTED and facts.pushed_at >= self.installed_at:
            return Ignore("pushed after the installation: it is no image to adopt")
        # A request by hand is about this image, even if a later push has taken its tag.
        pushed_at = now if reason is StartReason.OPERATOR else facts.pushed_at
        return self._start(StartRequest(image, frozenset(tags), pushed_at, reason, by), facts.tags, now)

    def _ignore(self, push: Push, stage: Stage, facts: EcrImage, now: datetime) -> Ignore | None:
        """Return why no gate judges the image, or None. The ledger keeps it for the reconciler."""
        ignored = IgnoredImage(
            push.image, "", now, facts.tags | ({push.tag} if push.tag else set()), push.arrival
        )
        ignore, policy = None, None
        if push.arrival in stage.not_gated:
            ignore, policy = Ignore(f"{push.arrival} is not gated by the policy"), self.policy.digest
        else:
            try:
                if is_artifact(self.images, self.registry, push.image):
                    ignore = Ignore("artifact")
            except ImageNotFoundError:
                raise
            except RejectedInputError as error:
                self.ledger.note_ignored(replace(ignored, why=f"refused: {error}"))
                raise
        if ignore is not None:
            self.ledger.note_ignored(replace(ignored, why=ignore.why, policy=policy))
        return ignore

    def on_pushed_by(self, image: ImageRef, arn: str) -> Ignore:
        """Record who pushed an image into a first stage: they may not approve it later. No release starts."""
        stage = self.policy.stage_of(image.repository)
        if stage is None or self.policy.stages_before(stage):
            return Ignore("the pusher matters only in first stages")
        self.ledger.note_pusher(image, arn)
        return Ignore("the pusher is recorded")

    def _facts(self, image: ImageRef) -> EcrImage | None:
        try:
            return self.images.facts(image)
        except ImageNotFoundError:
            return None

    def _resume(self, image: ImageRef, now: datetime) -> Release | Ignore | None:
        """Make sure that the open attempt of the image runs, also if the image is gone. Return None if none is open.

        If it is gone, the attempt ends as withdrawn.
        """
        latest = self.ledger.latest(image)
        if latest is None or not latest.is_open:
            return None
        request = StartRequest(image, latest.tags, latest.arrived_at, StartReason.LOST_EXECUTION)
        return self._start(request, latest.tags, now)

    def _start(self, request: StartRequest, present: frozenset[str], now: datetime) -> Release | Ignore:
        """Start a release, or return why not. `present`: the tags that point to the image now."""
        latest: Release | None = None  # most images are new: the ledger refuses a second first attempt
        for number in range(_MOST_RACES + 1):
            if number:
                latest = self.ledger.latest(request.image)
            is_closed = latest is not None and not latest.is_open
            situation = Situation(present, is_closed and self._is_overtaken(request))
            decision = decide_start(latest, request, self.policy.digest, situation)
            if isinstance(decision, Ignore):
                return decision
            release = self._allocate(request, latest, decision, present, now)
            if release is None:
                continue
            if self._run_execution(release):
                return release
            if after := self._begin_after(release, request, present, now):
                return after
        raise StartContentionError(f"{request.image}: others keep starting this image")

    def _begin_after(
        self, lost: Release, request: StartRequest, present: frozenset[str], now: datetime
    ) -> Release | Ignore | None:
        """Begin the attempt after one whose execution ended without closing it, then close that one.

        Return None if another start was faster. The new attempt comes first: a caller that is killed in between
        leaves one that runs.
        """
        decision = decide_after_loss(lost, request)
        if isinstance(decision, Ignore):
            return decision
        release = self._allocate(request, lost, decision, present, now)
        if release is None or not self._run_execution(release):
            return None
        self.ledger.close(lost.id, Outcome.FAILED, None, now, TAKEN_OVER)
        return release

    def _is_overtaken(self, request: StartRequest) -> bool:
        target = self.policy.target_of(request.image.repository)
        holders = {self.ledger.holder(target, tag) for tag in request.tags} if target else set()
        return bool(holders - {None, request.image.digest})

    def _allocate(
        self,
        request: StartRequest,
        latest: Release | None,
        decision: Begin | Join,
        present: frozenset[str],
        now: datetime,
    ) -> Release | None:
        """Return the open attempt with these tags, or None if another start was faster."""
        if isinstance(decision, Join):
            joined = self.ledger.join(decision.release.id, request.tags, request.pushed_at)
            return decision.release if joined else None
        policy = self._policy_for(decision.reason, latest)
        stage = policy.stage_of(request.image.repository)
        if stage is None:
            raise RejectedInputError(
                f"{request.image.repository}: no stage of the policy has this repository"
            )
        earlier = latest.tags & present if latest else frozenset()
        release = Release(
            image=request.image,
            attempt=decision.attempt,
            stage=stage.name,
            policy=policy.digest,
            tags=request.tags | earlier,
            reason=decision.reason,
            started_at=now,
            pushed_at=_later(request.pushed_at, latest),
            started_by=request.by,
        )
        return release if self.ledger.begin(release) else None

    def _policy_for(self, reason: StartReason, latest: Release | None) -> Policy:
        """Return the deployed policy, or that of the latest attempt if the new one only goes on with it."""
        return self.records.policy(latest.policy) if latest and reason in _GO_ON else self.policy

    def _run_execution(self, release: Release) -> bool:
        """Start the execution, also of a joined attempt. Return False if the execution has ended."""
        stage = self.records.policy(release.policy).stages[release.stage]
        return self.workflow.start(release.execution_name, workflow_input(release, stage))


def _later(pushed_at: datetime, latest: Release | None) -> datetime:
    known = latest.pushed_at if latest else None
    return pushed_at if known is None else max(pushed_at, known)
