"""What `decide` needs to carry decisions out: the steps behind it, as protocols, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from imagegate.deployment.rollback import Rollback
from imagegate.grants.approval import Choice
from imagegate.grants.break_glass import BreakGlass
from imagegate.grants.results import ApprovalResult, BreakGlassResult, RevocationResult, WaiverResult
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.waiver import Waiver
from imagegate.ports import ApprovalLinks
from imagegate.release.order import Order
from imagegate.release.release import ReleaseId, StartReason
from imagegate.release.revocation import Revocation


class Waives(Protocol):
    def waive(self, waiver: Waiver, by: str, now: datetime) -> WaiverResult: ...

    def withdraw(self, waiver_id: str, by: str, now: datetime) -> Waiver: ...


class BreaksGlass(Protocol):
    def run(self, asked: BreakGlass, now: datetime) -> BreakGlassResult: ...

    def mend(self, name: str, by: str, now: datetime) -> BreakGlass: ...


class Revokes(Protocol):
    def run(self, image: ImageRef, revocation: Revocation, *, onward: bool = True) -> RevocationResult: ...


class RollsBack(Protocol):
    def run(
        self, repository: str, to: Digest, came_from: Digest, by: str, reason: str, now: datetime
    ) -> Rollback: ...


class Orders(Protocol):
    def run(
        self, image: ImageRef, tags: Iterable[str], reason: StartReason, by: str, now: datetime
    ) -> Order: ...


class Approves(Protocol):
    def run(self, id_: ReleaseId, by: str, choice: Choice, reason: str, now: datetime) -> ApprovalResult: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """The steps that carry decisions out; each is made when somebody asks for it."""

    waivers: Callable[[], Waives]
    glass: Callable[[], BreaksGlass]
    revocations: Callable[[], Revokes]
    approvals: Callable[[], Approves]
    links: Callable[[], ApprovalLinks]
    rollbacks: Callable[[], RollsBack]
    orders: Callable[[], Orders]
