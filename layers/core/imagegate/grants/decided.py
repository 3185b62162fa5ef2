"""What people's decisions came to: what was granted or taken back, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from imagegate.grants.approval import Approval, ApprovalRequest, ApprovalStatus
from imagegate.grants.break_glass import BreakGlass
from imagegate.oci.image import ImageRef
from imagegate.policy.waiver import Waiver
from imagegate.release.release import Release
from imagegate.release.revocation import Revocation, RunsIn


@dataclass(frozen=True, slots=True)
class Granted:
    """A waiver. `freed`: what is judged again, because it would pass now."""

    waiver: Waiver
    is_new: bool
    freed: tuple[Release, ...] = ()


@dataclass(frozen=True, slots=True)
class Broken:
    """A break-glass. `resumed`: what was blocked, and goes on to its next stage."""

    glass: BreakGlass
    is_new: bool
    resumed: tuple[Release, ...] = ()


@dataclass(frozen=True, slots=True)
class Revoked:
    """A revocation, and where the image lies. `runs_in` is None where nobody can say where it runs."""

    image: ImageRef
    revocation: Revocation
    places: tuple[ImageRef, ...]
    stages: tuple[str, ...]
    signatures: int
    runs_in: tuple[RunsIn, ...] | None


@dataclass(frozen=True, slots=True)
class Decided:
    """An approval or a rejection, and what all of them come to."""

    request: ApprovalRequest
    standing: ApprovalStatus
    decided: tuple[Approval, ...]
