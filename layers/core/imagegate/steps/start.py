"""Start: from a push to the one execution that carries this attempt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from imagegate.domain.errors import ImageNotFoundError, RejectedInputError, RetryableError
from imagegate.domain.image import ImageRef, Kind
from imagegate.domain.policy import Policy, Stage
from imagegate.domain.release import (
    Begin,
    Facts,
    Ignore,
    Join,
    Release,
    ReleaseId,
    StartReason,
    StartRequest,
    decide_start,
    workflow_input,
)
from imagegate.ports import Images, Ledger, Records, Workflow

# Concurrent starts of one image race for the next attempt; each loser reads again and joins the winner.
_RACES = 5


@dataclass(frozen=True, slots=True)
class Push:
    """A push as the event tells it; the rest is read from ECR."""

    image: ImageRef
    result: str = "SUCCESS"
    tag: str | None = None


class StartContentionError(RetryableError):
    """Too many starts of one image at once; the event comes again."""


@dataclass(frozen=True, slots=True)
class StartRelease:
    """Decides whether a push is ours to guard, and makes sure that exactly one execution guards it."""

    images: Images
    ledger: Ledger
    workflow: Workflow
    records: Records
    policy: Policy
    installed_at: datetime

    def on_push(self, push: Push, now: datetime) -> Release | Ignore:
        """Idempotent: the same push any number of times is one attempt."""
        stage = self.policy.stage_of(push.image.repository)
        if stage is None:
            return Ignore("unmanaged repository")
        if push.result != "SUCCESS":
            return Ignore("failed push")
        facts = self._facts(push.image)
        if facts is None:
            return Ignore("the image is gone")
        if facts.pushed_at < self.installed_at:
            return Ignore("older than the installation")
        tags = [push.tag] if push.tag else sorted(facts.tags)
        if not tags:
            return Ignore("untagged push")
        if self.images.manifest(push.image).kind is Kind.ARTIFACT:
            return Ignore("artifact")
        return self._start(stage, facts, tags, StartReason.PUSH, now)

    def on_request(
        self, image: ImageRef, tags: Iterable[str], reason: StartReason, now: datetime
    ) -> Release | Ignore:
        """An operator, or another part of imagegate, asks. Raises `RejectedInputError` for what is not ours."""
        stage = self.policy.stage_of(image.repository)
        if stage is None:
            raise RejectedInputError(f"{image.repository}: no stage of the policy has this repository")
        return self._start(stage, self.images.facts(image), sorted(tags), reason, now)

    def _facts(self, image: ImageRef) -> Facts | None:
        try:
            return self.images.facts(image)
        except ImageNotFoundError:
            return None

    def _start(
        self, stage: Stage, facts: Facts, tags: list[str], reason: StartReason, now: datetime
    ) -> Release | Ignore:
        outcomes = [self._start_tag(stage, facts, StartRequest(facts.image, t, reason), now) for t in tags]
        return next((outcome for outcome in outcomes if isinstance(outcome, Release)), outcomes[0])

    def _start_tag(
        self, stage: Stage, facts: Facts, request: StartRequest, now: datetime
    ) -> Release | Ignore:
        for _ in range(_RACES):
            decision = decide_start(self.ledger.latest(facts.image), request, self.policy.digest, facts.tags)
            if isinstance(decision, Ignore):
                return decision
            release = self._allocate(stage, facts, request, decision, now)
            if release is not None:
                return self._run(release)
        raise StartContentionError(f"{facts.image}: others keep starting this image")

    def _allocate(
        self, stage: Stage, facts: Facts, request: StartRequest, decision: Begin | Join, now: datetime
    ) -> Release | None:
        """The open attempt with this tag in it; None when somebody was faster."""
        if isinstance(decision, Join):
            joined = self.ledger.join(_id(decision.release), request.tag)
            return decision.release if joined else None
        release = Release(
            image=facts.image,
            attempt=decision.attempt,
            stage=stage.name,
            policy=self.policy.digest,
            tags=frozenset({request.tag}),
            reason=decision.reason,
            started_at=now,
            pushed_at=facts.pushed_at,
        )
        return release if self.ledger.begin(release) else None

    def _run(self, release: Release) -> Release:
        """Also for a joined attempt: its first start may have been killed between the ledger and here."""
        pinned = self.records.policy(release.policy)
        payload = workflow_input(release, pinned, pinned.stages[release.stage])
        self.workflow.start(release.execution_name, payload)
        return release


def _id(release: Release) -> ReleaseId:
    return ReleaseId(release.image, release.attempt)
