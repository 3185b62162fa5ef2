"""Plan the clean-up of repositories, one after another: what may go, and why all else stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from imagegate.cleanup.plan import CleanupPlan, make_plan
from imagegate.cleanup.selection import CleanupSelection, select_images
from imagegate.workflow.cleanup.protection import CleanupRefusedError

if TYPE_CHECKING:
    from imagegate.lifecycle.stored_image import StoredImage
    from imagegate.oci.image import Digest
    from imagegate.policy.policy import Policy, Stage
    from imagegate.workflow.cleanup.inventory import ReadInventory, RepositoryInventory
    from imagegate.workflow.cleanup.protection import Protection


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCleanup:
    """Plans one repository at a time."""

    inventory: ReadInventory
    protection: Protection
    policy: Policy

    def plan(self, repository: str, now: datetime) -> CleanupPlan | None:
        """Return the plan, or None if the policy has no rules for the repository.

        Raises `CleanupRefusedError` if nobody can tell what has to stay.
        """
        stage = self.policy.stage_of(repository)
        if stage is None or not stage.cleanup.rules:
            return None
        inventory = self.inventory.read(repository)
        selection = self.select(inventory, stage, now)
        return make_plan(
            selection,
            registry=self.inventory.images.registry,
            repository=repository,
            stage=stage.name,
            policy=self.policy.digest,
            at=now,
        )

    def stage_of(self, repository: str) -> Stage:
        """Return the stage. Raises `CleanupRefusedError` if the policy has none."""
        stage = self.policy.stage_of(repository)
        if stage is None:
            raise CleanupRefusedError(f"{repository}: no stage of the policy has it any more")
        return stage

    def select(self, inventory: RepositoryInventory, stage: Stage, now: datetime) -> CleanupSelection:
        """Return the images that go. The ledger is read only for those that would go otherwise, and their parts."""
        self.protection.check_repository(inventory, now)
        known = self.protection.of_repository(inventory, stage)
        first = self._select(inventory, stage, known, now)
        # A part that stays for another index may be what is needed: then the index that would go is, too.
        going = {digest: first.graph.images[digest] for digest in first.graph.below(first.going)}
        reasons = self._with_more(known, inventory, going, now)
        return first if reasons == known else self._select(inventory, stage, reasons, now)

    def protected(
        self, inventory: RepositoryInventory, images: Mapping[Digest, StoredImage], now: datetime
    ) -> Mapping[Digest, Sequence[str]]:
        """Return why these images have to stay, apart from the policy's rules."""
        stage = self.policy.stage_of(inventory.repository)
        if stage is None:
            return self.protection.used.reasons(inventory.repository, inventory.images)
        return self._with_more(self.protection.of_repository(inventory, stage), inventory, images, now)

    def _with_more(
        self,
        known: Mapping[Digest, Sequence[str]],
        inventory: RepositoryInventory,
        images: Mapping[Digest, StoredImage],
        now: datetime,
    ) -> Mapping[Digest, Sequence[str]]:
        stage = self.stage_of(inventory.repository)
        reasons = {digest: list(why) for digest, why in known.items()}
        for digest, image in images.items():
            if more := self.protection.of_image(inventory.repository, image, stage, now):
                reasons.setdefault(digest, []).extend(more)
        return reasons

    def _select(
        self,
        inventory: RepositoryInventory,
        stage: Stage,
        protected: Mapping[Digest, Sequence[str]],
        now: datetime,
    ) -> CleanupSelection:
        return select_images(inventory.repository, inventory.images, stage.cleanup, protected, now)
