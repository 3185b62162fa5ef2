"""The parts of a clean-up, and what runs, read once for each run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from imagegate.errors import AccessRefusedError, RetryableError
from imagegate.ports.cleanup import CleanedImages, CleanupRecords, ImageUsers, RemovableImages
from imagegate.ports.records import StoredRecords
from imagegate.workflow.cleanup.apply import ApplyCleanup
from imagegate.workflow.cleanup.bases import BasesInUse
from imagegate.workflow.cleanup.inventory import ReadInventory
from imagegate.workflow.cleanup.plan import PlanCleanup
from imagegate.workflow.cleanup.protection import CleanupLedger, CleanupRefusedError, Protection

if TYPE_CHECKING:
    from imagegate.cleanup.plan import CleanupPlan
    from imagegate.cleanup.usage import UsedImages
    from imagegate.policy.policy import Policy
    from imagegate.ports.images import Scans, Usage


class PlanRecords(CleanupRecords, StoredRecords, Protocol):
    """Plans, and the decisions that name base images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupParts:
    """The ports that a clean-up uses."""

    images: RemovableImages
    users: ImageUsers
    ledger: CleanupLedger
    cleaned: CleanedImages
    records: PlanRecords
    scans: Scans
    usage: Usage
    policy: Policy
    installed_at: datetime | None

    def planning(self, now: datetime) -> PlanCleanup:
        """Return what plans. Raises `CleanupRefusedError` if nobody can tell what has to stay."""
        protection = Protection(
            ledger=self.ledger,
            scans=self.scans,
            usage=self.usage,
            policy=self.policy,
            used=self._used(),
            installed_at=self.installed_at,
            bases=BasesInUse(
                ledger=self.ledger,
                records=self.records,
                policy=self.policy,
                repositories=self.images.repositories,
            ),
        )
        protection.check_world(now, self.images.server_time())
        return PlanCleanup(inventory=self.inventory, protection=protection, policy=self.policy)

    @property
    def inventory(self) -> ReadInventory:
        return ReadInventory(self.images, self.cleaned, self.records)

    def applying(self, now: datetime) -> ApplyCleanup:
        """Return what applies plans. Raises `CleanupRefusedError` like `planning`."""
        return ApplyCleanup(planning=self.planning(now), images=self.images, ledger=self.cleaned)

    def plans(
        self, planning: PlanCleanup, chosen: Sequence[str], now: datetime
    ) -> Iterator[tuple[str, CleanupPlan | str]]:
        """Yield each repository that the policy has rules for, with its plan or the reason why there is none."""
        for repository in chosen or self.images.repositories():
            try:
                plan = planning.plan(repository, now)
            except CleanupRefusedError as error:
                yield repository, str(error)
                continue
            if plan is not None:
                yield repository, plan
            elif chosen:
                yield repository, f"{repository}: the policy has no rules for its clean-up"

    def _used(self) -> UsedImages:
        users = {user for stage in self.policy.stages.values() for user in stage.cleanup.used_by}
        try:
            return self.users.used(sorted(users, key=lambda user: user.role))
        except (AccessRefusedError, RetryableError) as error:
            raise CleanupRefusedError(
                f"nobody can tell what runs, so nothing is cleaned up: {error}"
            ) from error
