"""The results of people's decisions: what was granted or withdrawn, and which releases go on because of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagegate.grants.approval import Approval, ApprovalRequest, ApprovalStatus
    from imagegate.grants.break_glass import BreakGlass
    from imagegate.oci.image import ImageRef
    from imagegate.policy.waiver import Waiver
    from imagegate.release.release import Release
    from imagegate.release.revocation import Revocation, RunsIn


@dataclass(frozen=True, slots=True)
class WaiverResult:
    """A granted waiver. `freed`: the blocked releases that are judged again, because they may pass now.

    `still_blocked`: those that use the waiver and need more, each with the first reason that remains.
    `is_all`: False if it covers so many that the reconciler judges the older ones again.
    """

    waiver: Waiver
    is_new: bool
    freed: tuple[Release, ...] = ()
    still_blocked: tuple[tuple[Release, str], ...] = ()
    is_all: bool = True


@dataclass(frozen=True, slots=True)
class BreakGlassResult:
    """A granted break-glass. `resumed`: the blocked releases that go on to their next stage.

    `revoked`: releases whose signature was revoked, which may run by it all the same.
    """

    glass: BreakGlass
    is_new: bool
    resumed: tuple[Release, ...] = ()
    revoked: tuple[Release, ...] = ()


@dataclass(frozen=True, slots=True)
class RevocationResult:
    """A revocation, and where the image is stored. `runs_in` is None if it is not known where the image runs.

    `earlier`: the image in the stages before, whose signatures stay valid, also on its copies.
    """

    image: ImageRef
    revocation: Revocation
    places: tuple[ImageRef, ...]
    stages: tuple[str, ...]
    signatures: int
    runs_in: tuple[RunsIn, ...] | None
    earlier: tuple[ImageRef, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalResult:
    """The status of an approval request after a decision. `decided`: all decisions so far."""

    request: ApprovalRequest
    status: ApprovalStatus
    decided: tuple[Approval, ...]
