"""What people are told of approvals beside the request itself: that one was refused, or that its time is over."""

from __future__ import annotations

from typing import Any

from imagegate.grants.approval import Approval, ApprovalRequest
from imagegate.notices.announcement import Announcement
from imagegate.policy.rules import Attention
from imagegate.release.release import Release

APPROVAL_REJECTED = "Image Rejected"
APPROVAL_EXPIRED = "Image Approval Expired"


def rejected(release: Release, request: ApprovalRequest, by: Approval) -> Announcement:
    """Somebody keeps the image out."""
    return _about(
        release,
        request,
        APPROVAL_REJECTED,
        f"REJECTED: {_name(release)} does not go to {request.stage}",
        f"{by.by} has rejected it" + (f": {by.reason}" if by.reason else "."),
        "Push another image; or release this one again, which asks anew.",
        {"by": by.by, "reason": by.reason},
    )


def expired(release: Release, request: ApprovalRequest) -> Announcement:
    """Not enough people have decided."""
    return _about(
        release,
        request,
        APPROVAL_EXPIRED,
        f"APPROVAL EXPIRED: {_name(release)} does not go to {request.stage}",
        f"Nobody let it into {request.stage} until {request.expires_at:%Y-%m-%d %H:%M} UTC.",
        f"If it is still wanted, ask anew: imagegate release {_name(release)}",
        {},
    )


def _about(
    release: Release,
    request: ApprovalRequest,
    kind: str,
    subject: str,
    happened: str,
    todo: str,
    more: dict[str, Any],
) -> Announcement:
    lines = [
        happened,
        todo,
        "",
        f"Repository   {release.image.repository}",
        f"Digest       {release.image.digest}",
        f"Attempt      {release.attempt} at the {release.stage} gate",
        "",
        f"More: imagegate status {release.image}",
    ]
    detail = {
        "schema": 1,
        "id": f"{release.key}-{kind.rpartition(' ')[2].lower()}",
        "repository": release.image.repository,
        "digest": str(release.image.digest),
        "attempt": release.attempt,
        "stage": release.stage,
        "into": request.stage,
        **more,
    }
    attributes = {
        "alert": str(Attention.ALERT),
        "repository": release.image.repository,
        "stage": release.stage,
    }
    return Announcement(subject, lines, kind, detail, attributes)


def _name(release: Release) -> str:
    tags = sorted(release.tags)
    return f"{release.image.repository}:{tags[0]}" if tags else str(release.image)
