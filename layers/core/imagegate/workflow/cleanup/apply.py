"""Carry out a plan of a clean-up: only if nothing has changed since, in small batches, so that it can be stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from imagegate.cleanup.batches import make_batches
from imagegate.cleanup.cleaned import CleanedImage
from imagegate.cleanup.plan import CleanupPlan, PlannedImage, changes_since, check_steps, steps_left
from imagegate.cleanup.selection import CleanupAction
from imagegate.oci.image import Digest, ImageRef
from imagegate.workflow.cleanup.protection import CleanupRefusedError

if TYPE_CHECKING:
    from imagegate.ports.cleanup import CleanedImages, RemovableImages
    from imagegate.workflow.cleanup.plan import PlanCleanup

_SHOWN = 5


@dataclass(slots=True)
class AppliedPlan:
    """The steps that were done. `failed`: why ECR did not take an image; `is_stopped`: some steps are left."""

    deleted: list[Digest] = field(default_factory=list)
    archived: list[Digest] = field(default_factory=list)
    failed: dict[Digest, str] = field(default_factory=dict)
    is_stopped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyCleanup:
    """Applies plans. It may be called again with the same plan, and goes on where it ended."""

    planning: PlanCleanup
    images: RemovableImages
    ledger: CleanedImages

    def apply(
        self, name: Digest, plan: CleanupPlan, now: datetime, is_stopped: Callable[[], bool]
    ) -> AppliedPlan:
        """Do the steps that are left. `name`: the digest of the plan; `is_stopped` is called before each batch.

        Raises `CleanupRefusedError` if something has changed since the plan was made: nothing more is done then.
        """
        self._check(plan, now)
        done = AppliedPlan()
        left = steps_left(plan, self.images.stored(plan.repository))
        for levels in make_batches(left):
            if is_stopped():
                done.is_stopped = True
                return done
            self._check_batch(plan, [step for level in levels for step in level])
            for level in levels:
                self._do(name, plan, [step for step in level if not _waits(step, done)], now, done)
        return done

    def _check(self, plan: CleanupPlan, now: datetime) -> None:
        """Read everything again: images, tags, pulls, what runs, and what the ledger knows."""
        policy = self.planning.policy
        if policy.digest != plan.policy or self.images.registry != plan.registry:
            raise CleanupRefusedError(
                f"{plan.repository}: the policy or the registry is another one: plan again"
            )
        inventory = self.planning.inventory.like(plan)
        changes = changes_since(plan, inventory.images)
        if not changes:
            stage = self.planning.stage_of(plan.repository)
            left = steps_left(plan, inventory.images)
            changes = check_steps(left, self.planning.select(inventory, stage, now))
        _refuse(plan, changes)

    def _check_batch(self, plan: CleanupPlan, batch: Sequence[PlannedImage]) -> None:
        """Look at the images of the batch once more, right before they go."""
        stored = self.images.stored(plan.repository, [step.digest for step in batch])
        only = {step.digest: step for step in batch}
        about_them = CleanupPlan(
            plan.registry,
            plan.repository,
            plan.stage,
            plan.policy,
            plan.at,
            tuple(only.values()),
            (),
            plan.savings,
        )
        _refuse(plan, changes_since(about_them, stored))

    def _do(
        self, name: Digest, plan: CleanupPlan, steps: Sequence[PlannedImage], now: datetime, done: AppliedPlan
    ) -> None:
        """Note the images, then take them. A note without a deletion is corrected by the next plan."""
        refs = {step.digest: ImageRef(plan.repository, step.digest) for step in steps}
        self.ledger.note_cleaned(
            [
                CleanedImage(refs[step.digest], step.action, name, now, "; ".join(step.reasons))
                for step in steps
                if step.action
            ]
        )
        deleted = [step.digest for step in steps if step.action is CleanupAction.DELETE]
        failed = self.images.delete(plan.repository, deleted) if deleted else {}
        done.deleted += [digest for digest in deleted if digest not in failed]
        done.failed |= failed
        for step in steps:
            if step.action is CleanupAction.ARCHIVE:
                why = self.images.archive(refs[step.digest])
                done.failed |= {step.digest: why} if why else {}
                done.archived += [] if why else [step.digest]


def _waits(step: PlannedImage, done: AppliedPlan) -> bool:
    """Say whether something that the step belongs to is still there: then it stays, too."""
    waits = any(whole in done.failed for whole in step.wholes)
    if waits:
        done.failed[step.digest] = "stays with what it belongs to"
    return waits


def _refuse(plan: CleanupPlan, changes: Sequence[str]) -> None:
    if changes:
        more = f", and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        raise CleanupRefusedError(
            f"{plan.repository}: changed since the plan: {', '.join(changes[:_SHOWN])}{more}: plan again"
        )
