"""Roll back: find the last earlier release that is still valid, and announce it to deployers again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from imagegate.deployment.check import explain_refusal, last_decided_attempt, passes
from imagegate.deployment.rollback import Rollback, announced_releases
from imagegate.errors import RecordNotFoundError, RejectedInputError
from imagegate.notices.rollback_notice import announcement
from imagegate.oci.image import Digest, ImageRef
from imagegate.ports.ledger import ReleaseLists, Releases, Rollbacks
from imagegate.workflow.examination.signatures import verify_signature

if TYPE_CHECKING:
    from imagegate.policy.policy import Policy, Stage
    from imagegate.ports.images import Images
    from imagegate.ports.registry import Registry
    from imagegate.ports.services import Notifications
    from imagegate.ports.signer import Signer
    from imagegate.release.release import Release


class RollbackRefusedError(RejectedInputError):
    """There is no release to go back to, or not this one. The message says why."""


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """A planned rollback. `skipped` are the releases between that are no longer valid, with the reason."""

    current: Release
    target: Release
    skipped: tuple[tuple[Release, str], ...] = ()
    is_forward: bool = False  # to a release that an earlier rollback left


class RollbackLedger(Releases, ReleaseLists, Rollbacks, Protocol):
    """The parts of the ledger that `PlanRollback` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRollback:
    """Plans a rollback without writing anything. The command line shows the plan; `decide` checks it again."""

    images: Images
    ledger: RollbackLedger
    registry: Callable[[], Registry]
    signer: Callable[[], Signer]
    policy: Policy

    def run(
        self, repository: str, to: Digest | None, now: datetime, *, may_stay: bool = False
    ) -> RollbackPlan:
        """Plan to go to `to`, or back to the last valid release if it is None.

        `to` may also be a release that an earlier rollback left. With `may_stay` it may be the current one.
        Raises `RollbackRefusedError`.
        """
        stage = self._stage(repository)
        releases = self.releases(repository, stage)
        if not releases:
            raise RecordNotFoundError(f"{repository}: nothing was released here yet")
        current, *before = releases
        if to is None:
            return self._last_valid(current, before, stage, now)
        left = self._left(repository, stage)
        target = next((one for one in (*releases, *left) if one.image.digest == to), None)
        if target is None:
            raise RollbackRefusedError(f"{repository}: {to.short} was never released here")
        if why := self._problem(target, stage, now):
            raise RollbackRefusedError(f"{target.image}: {why}")
        if current.image.digest == to and not may_stay:
            raise RollbackRefusedError(f"{repository}: {to.short} is the current release already")
        return RollbackPlan(current, target, is_forward=target not in releases)

    def releases(self, repository: str, stage: Stage) -> list[Release]:
        """Return the releases that were announced to deployers, newest first."""
        releases = self.ledger.recent_of_repository(repository)
        return announced_releases(releases, self.ledger.rollbacks(repository), stage)

    def _left(self, repository: str, stage: Stage) -> list[Release]:
        """Return every release that was announced, newest first, also those that a rollback left."""
        return announced_releases(self.ledger.recent_of_repository(repository), (), stage)

    def _stage(self, repository: str) -> Stage:
        stage = self.policy.stage_of(repository)
        if stage is None:
            raise RecordNotFoundError(f"{repository}: no stage of the policy has this repository")
        return stage

    def _last_valid(
        self, current: Release, before: list[Release], stage: Stage, now: datetime
    ) -> RollbackPlan:
        skipped: list[tuple[Release, str]] = []
        for one in before:
            why = self._problem(one, stage, now)
            if why is None:
                return RollbackPlan(current, one, tuple(skipped))
            skipped.append((one, why))
        reasons = "".join(f"; {one.image.digest.short}: {why}" for one, why in skipped)
        raise RollbackRefusedError(f"{current.image.repository}: no earlier release is still valid{reasons}")

    def _problem(self, release: Release, stage: Stage, now: datetime) -> str | None:
        """Return why the release is not valid, or None: it passed, and its signature is valid and not revoked."""
        word = last_decided_attempt(self.ledger.history(release.image).attempts, stage)
        if word is None or not passes(word, stage):
            return explain_refusal(word) if word else "nothing is known of it"
        try:
            subject = self.images.manifest(release.image).descriptor
            signature = ImageRef(release.image.repository, word.signature or subject.digest)
            verify_signature(self.registry(), self.signer(), signature, subject, stage.name, now)
        except RejectedInputError as error:
            return str(error)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    plan: PlanRollback
    ledger: Rollbacks
    notifications: Notifications

    def run(
        self, repository: str, to: Digest, came_from: Digest, by: str, reason: str, now: datetime
    ) -> Rollback:
        """Record the rollback and announce it. A repeated call announces the same rollback again.

        `came_from` is the release that `by` believes to be the current one. Raises `RollbackRefusedError`.
        """
        plan = self.plan.run(repository, to, now, may_stay=True)
        known = self._known(repository, to, came_from) if plan.current.image.digest == to else None
        if known is None and plan.current.image.digest == to:
            raise RollbackRefusedError(f"{repository}: {to.short} is the current release already")
        if known is None and plan.current.image.digest != came_from:
            raise RollbackRefusedError(
                f"{repository}: {plan.current.image.digest.short} was released meanwhile; plan the rollback again"
            )
        # Later than the release that it replaces, even if the clocks of two machines differ.
        at = max(now, plan.current.closed_at or now)
        rollback = known or Rollback(repository, to, came_from, by, at, reason, plan.current.closed_at)
        self.ledger.note_rollback(rollback)
        self.notifications.publish(announcement(plan.target, rollback, is_forward=plan.is_forward))
        return rollback

    def _known(self, repository: str, to: Digest, came_from: Digest) -> Rollback | None:
        """Return the last rollback if it is the same one (a repeated call), or None."""
        last = max(self.ledger.rollbacks(repository), key=lambda one: one.at, default=None)
        return last if last and (last.to, last.came_from) == (to, came_from) else None
