"""A gate with repositories to clean up: policies, images, releases, and the command line over them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from imagegate.cleanup.plan import CleanupPlan
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.cleanup import CleanupRule, CleanupTerms
from imagegate.policy.policy import Policy
from imagegate.release.release import Outcome, Release, StartReason
from imagegate.workflow.cleanup.apply import AppliedPlan
from imagegate.workflow.cleanup.parts import CleanupParts
from tests.fakes import FakeLedger, FakeRecords, FakeScans, FakeUsage
from tests.fakes.cleanup import FakeCleaned, FakeImageUsers, FakeStoredImages
from tests.fakes.world import DEV, NOW, POLICY

WEEK = timedelta(days=7)
# What the documents that the project began with ask for.
TERMS = CleanupTerms(
    rules=(
        CleanupRule(None, older_than=WEEK),
        CleanupRule("v*", keep_last=2),
        CleanupRule("feature-*", older_than=WEEK),
        CleanupRule("prod*"),
    )
)


def policy_with(**by_stage: CleanupTerms) -> Policy:
    stages = {
        name: dataclasses.replace(stage, cleanup=by_stage.get(name, CleanupTerms()))
        for name, stage in POLICY.stages.items()
    }
    return dataclasses.replace(POLICY, stages=stages)


@dataclass
class Cleaning:
    """Everything that a clean-up reads and changes."""

    terms: CleanupTerms = TERMS
    now: datetime = NOW
    images: FakeStoredImages = field(default_factory=FakeStoredImages)
    users: FakeImageUsers = field(default_factory=FakeImageUsers)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    cleaned: FakeCleaned = field(default_factory=FakeCleaned)
    records: FakeRecords = field(default_factory=FakeRecords)
    scans: FakeScans = field(default_factory=FakeScans)
    usage: FakeUsage = field(default_factory=FakeUsage)
    installed_at: datetime | None = NOW - timedelta(days=1000)
    policy: Policy | None = None

    @property
    def parts(self) -> CleanupParts:
        return CleanupParts(
            images=self.images,
            users=self.users,
            ledger=self.ledger,
            cleaned=self.cleaned,
            records=self.records,
            scans=self.scans,
            usage=self.usage,
            policy=self.policy or policy_with(dev=self.terms),
            installed_at=self.installed_at,
        )

    def plan(self, repository: str = DEV) -> CleanupPlan:
        plan = self.parts.planning(self.now).plan(repository, self.now)
        assert plan is not None
        return plan

    def going(self, repository: str = DEV) -> set[Digest]:
        return {step.digest for step in self.plan(repository).steps}

    def reasons(self, digest: Digest, repository: str = DEV) -> str:
        """Return why an image stays; an empty text if it goes."""
        return next(
            ("; ".join(one.reasons) for one in self.plan(repository).kept if one.digest == digest), ""
        )

    def apply(self, plan: CleanupPlan, stop_after: int | None = None) -> AppliedPlan:
        name, looks = self.records.put_cleanup(plan.as_record()), 0

        def is_stopped() -> bool:
            nonlocal looks
            looks += 1
            return stop_after is not None and looks > stop_after

        return self.parts.applying(self.now).apply(name, plan, self.now, is_stopped)

    def release(self, digest: Digest, repository: str = DEV, *, days: float = 60, **more: Any) -> Release:
        """Note a release of the image that ended so many days ago."""
        stage = POLICY.stage_of(repository)
        assert stage is not None
        at = self.now - timedelta(days=days)
        release = Release(
            **{
                "image": ImageRef(repository, digest),
                "attempt": 1,
                "stage": stage.name,
                "policy": POLICY.digest,
                "tags": frozenset(),
                "reason": StartReason.PUSH,
                "started_at": at,
                "outcome": Outcome.RELEASED,
                "closed_at": at,
                "verdict": "PASS",
                "signature": Digest.of(b"signature"),
                **more,
            }
        )
        self.ledger.releases[release.image, release.attempt] = release
        return release
