"""Messages about approval requests that were rejected, that expire soon, or that expired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagegate.canonical_json import timestamp
from imagegate.notices.message import Message, aligned, image_name
from imagegate.policy.rules import Attention

if TYPE_CHECKING:
    from imagegate.grants.approval import Approval, ApprovalRequest
    from imagegate.release.release import Release

APPROVAL_REJECTED = "Image Rejected"
APPROVAL_ENDING = "Image Approval Ending"
APPROVAL_EXPIRED = "Image Approval Expired"


def rejected(release: Release, request: ApprovalRequest, by: Approval) -> Message:
    """Compose the message that a person has rejected the image."""
    return _about(
        release,
        request,
        APPROVAL_REJECTED,
        f"REJECTED: {image_name(release)} does not go to {request.stage}",
        f"{image_name(release)} does not go into {request.stage}. {by.by} has rejected it"
        + (f": {by.reason}" if by.reason else "."),
        "Push another image, or release this one again: it will need a new approval.",
        {"by": by.by, "reason": by.reason},
    )


def ending(release: Release, request: ApprovalRequest) -> Message:
    """Compose the message that the time to approve is over soon."""
    until = f"{request.expires_at:%Y-%m-%d %H:%M} UTC"
    return _about(
        release,
        request,
        APPROVAL_ENDING,
        f"APPROVAL ENDS at {until}: {image_name(release)} waits for {request.stage}",
        f"{image_name(release)} waits for an approval to go to {request.stage}, until {until}.",
        f"Approve it: imagegate decide approve {image_name(release)}",
        {"expires": timestamp(request.expires_at)},
    )


def expired(release: Release, request: ApprovalRequest) -> Message:
    """Compose the message that too few people have approved in time."""
    return _about(
        release,
        request,
        APPROVAL_EXPIRED,
        f"APPROVAL EXPIRED: {image_name(release)} does not go to {request.stage}",
        f"Nobody approved {image_name(release)} for {request.stage} until {request.expires_at:%Y-%m-%d %H:%M} UTC.",
        f"If you still want it there, request it again: imagegate release {image_name(release)}",
        {},
    )


def _about(
    release: Release,
    request: ApprovalRequest,
    kind: str,
    subject: str,
    event_text: str,
    next_step: str,
    more: dict[str, Any],
) -> Message:
    lines = [
        event_text,
        next_step,
        "",
        *aligned(
            {
                "Repository": release.image.repository,
                "Digest": release.image.digest,
                "Attempt": f"{release.attempt} at the {release.stage} gate",
            }
        ),
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
    return Message(subject, lines, kind, detail, attributes)
