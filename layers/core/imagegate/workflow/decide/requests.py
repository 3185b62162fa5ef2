"""The requests that people may send to `decide`, one class per action."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagegate.grants.approval import Choice
    from imagegate.oci.image import Digest, ImageRef
    from imagegate.policy.waiver import Waiver
    from imagegate.release.release import ReleaseId, StartReason


@dataclass(frozen=True, slots=True)
class WaiveRequest:
    waiver: Waiver  # without its grantor and its time, which the request does not choose


@dataclass(frozen=True, slots=True)
class WithdrawWaiverRequest:
    waiver_id: str


@dataclass(frozen=True, slots=True)
class BreakGlassRequest:
    """`repositories` is a pattern. `expires` may have any time zone."""

    repositories: str
    digest: Digest
    reason: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class WithdrawBreakGlassRequest:
    break_glass_id: str


@dataclass(frozen=True, slots=True)
class RevokeRequest:
    """`onward` also revokes the signatures of the stages that the image went on to."""

    image: ImageRef
    reason: str
    onward: bool = True


@dataclass(frozen=True, slots=True)
class ApprovalDecisionRequest:
    """An approval or a rejection of one attempt. Another attempt may have another verdict, and needs its own."""

    release: ReleaseId
    choice: Choice
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LinkDecisionRequest:
    """A decision by a link from a mail. The token says who decides, what, and about which attempt."""

    token: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequest:
    """`came_from` is the image that the requester believes to be the current release."""

    repository: str
    to: Digest
    came_from: Digest
    reason: str


@dataclass(frozen=True, slots=True)
class ReleaseByHandRequest:
    """A release of an image by hand, also once more, or the adoption of one from before the installation."""

    image: ImageRef
    tags: tuple[str, ...]
    reason: StartReason


DecisionRequest = (
    WaiveRequest
    | WithdrawWaiverRequest
    | BreakGlassRequest
    | WithdrawBreakGlassRequest
    | RevokeRequest
    | ApprovalDecisionRequest
    | LinkDecisionRequest
    | RollbackRequest
    | ReleaseByHandRequest
)
