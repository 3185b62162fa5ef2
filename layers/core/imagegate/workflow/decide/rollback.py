"""Roll back: find the release before that still holds, and tell deployers of it once more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from imagegate.deployment.check import explain_refusal, last_decided_attempt, passes
from imagegate.deployment.rollback import Rollback, announced_releases
from imagegate.errors import RecordNotFoundError, RejectedInputError
from imagegate.notices.rollback_notice import announcement
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Policy, Stage
from imagegate.ports.images import Images
from imagegate.ports.ledger import ReleaseLists, Releases, Rollbacks
from imagegate.ports.registry import Registry
from imagegate.ports.services import Notifications
from imagegate.ports.signer import Signer
from imagegate.release.release import Release
from imagegate.workflow.examination.signatures import verify_signature

# Releases of one repository that are looked at, newest first.
_LOOKED_AT = 200


class RollbackRefusedError(RejectedInputError):
    """There is nothing to go back to, or not to that; the message says why."""


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """`skipped`: what lies between and does not hold any more, with the reason."""

    current: Release
    target: Release
    skipped: tuple[tuple[Release, str], ...] = ()


class RollbackLedger(Releases, ReleaseLists, Rollbacks, Protocol):
    """The parts of the ledger that `PlanRollback` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRollback:
    """Reads, and decides nothing: the command line plans with it, and the function that decides checks by it."""

    images: Images
    ledger: RollbackLedger
    registry: Callable[[], Registry]
    signer: Callable[[], Signer]
    policy: Policy

    def run(self, repository: str, to: Digest | None, now: datetime) -> RollbackPlan:
        """`to`: not the one before, but this one. Raises `RollbackRefusedError`."""
        stage = self._stage(repository)
        way = self.way(repository, stage)
        if not way:
            raise RecordNotFoundError(f"{repository}: nothing was released here yet")
        current, *before = way
        if to is None:
            return self._first_that_holds(current, before, stage, now)
        target = next((one for one in way if one.image.digest == to), None)
        if target is None:
            raise RollbackRefusedError(f"{repository}: {to.short} was never released here")
        if why := self._problem(target, stage, now):
            raise RollbackRefusedError(f"{target.image}: {why}")
        return RollbackPlan(current, target)

    def way(self, repository: str, stage: Stage) -> list[Release]:
        """What deployers were told of, the last first."""
        found = self.ledger.recent_of_repository(repository, _LOOKED_AT)
        return announced_releases(found, self.ledger.rollbacks(repository), stage)

    def _stage(self, repository: str) -> Stage:
        stage = self.policy.stage_of(repository)
        if stage is None:
            raise RecordNotFoundError(f"{repository}: no stage of the policy has this repository")
        return stage

    def _first_that_holds(
        self, current: Release, before: list[Release], stage: Stage, now: datetime
    ) -> RollbackPlan:
        skipped: list[tuple[Release, str]] = []
        for one in before:
            why = self._problem(one, stage, now)
            if why is None:
                return RollbackPlan(current, one, tuple(skipped))
            skipped.append((one, why))
        told = "".join(f"; {one.image.digest.short}: {why}" for one, why in skipped)
        raise RollbackRefusedError(f"{current.image.repository}: there is no release before that holds{told}")

    def _problem(self, release: Release, stage: Stage, now: datetime) -> str | None:
        """Why it does not hold; None: it passed, nothing was decided against it since, and its signature stands."""
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
        """`came_from`: what whoever asks takes for the last. Asked again, the same rollback is told again.

        Raises `RollbackRefusedError`.
        """
        plan = self.plan.run(repository, to, now)
        known = self._known(repository, to, came_from) if plan.current.image.digest == to else None
        if known is None and plan.current.image.digest != came_from:
            raise RollbackRefusedError(
                f"{repository}: {plan.current.image.digest.short} was released meanwhile; look again"
            )
        # Later than what it undoes, whatever the clocks of two machines say.
        at = max(now, plan.current.closed_at or now)
        rollback = known or Rollback(repository, to, came_from, by, at, reason)
        self.ledger.note_rollback(rollback)
        self.notifications.publish(announcement(plan.target, rollback))
        return rollback

    def _known(self, repository: str, to: Digest, came_from: Digest) -> Rollback | None:
        """The last one, if it is this: a call that was killed is made again."""
        found = max(self.ledger.rollbacks(repository), key=lambda one: one.at, default=None)
        return found if found and (found.to, found.came_from) == (to, came_from) else None
