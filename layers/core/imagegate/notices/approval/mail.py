"""Mails to people who approve by a link: one mail per person, with links of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from imagegate.grants.approval_link import ApprovalLink, Purpose
from imagegate.notices.message import Message, aligned, image_name
from imagegate.policy.approval_terms import MAIL

if TYPE_CHECKING:
    from imagegate.grants.approval import ApprovalRequest
    from imagegate.release.release import Release

APPROVAL_REQUESTED = "Image Approval Asked"
MakeLink = Callable[[ApprovalLink], str]


def view(request: ApprovalRequest) -> ApprovalLink:
    """Return a link that shows the request, and decides nothing."""
    return _link(request, Purpose.VIEW)


def mails(release: Release, request: ApprovalRequest, make: MakeLink) -> Iterator[Message]:
    """Yield one mail per address. Its owner's subscription filters by the attribute `approver`."""
    for address in request.terms.by_mail:
        yield _mail(release, request, address, make)


def _mail(release: Release, request: ApprovalRequest, address: str, make: MakeLink) -> Message:
    approve, reject = (
        make(_link(request, purpose, f"{MAIL}{address}")) for purpose in (Purpose.APPROVE, Purpose.REJECT)
    )
    name = image_name(release)
    lines = [
        f"{name} waits for an approval to go into {request.stage}, until {request.expires_at:%Y-%m-%d %H:%M} UTC.",
        f"These links are for you, {address}: anybody who has them decides in your name. Opening one changes nothing.",
        "",
        f"Let it in:    {approve}",
        f"Keep it out:  {reject}",
        "",
        *aligned(
            {
                "Repository": release.image.repository,
                "Digest": release.image.digest,
                "Verdict": f"{release.verdict or 'none'} at the {release.stage} gate, attempt {release.attempt}",
            }
        ),
    ]
    return Message(
        subject=f"APPROVE? {name} into {request.stage}",
        lines=lines,
        detail_type=APPROVAL_REQUESTED,
        detail={"schema": 1, "id": f"{release.key}-{address}", "approver": address, **request.as_json()},
        attributes={"approver": address, "repository": release.image.repository, "stage": request.stage},
    )


def _link(request: ApprovalRequest, purpose: Purpose, approver: str = "") -> ApprovalLink:
    """Return a link that ends with the request, in whole seconds."""
    ends = request.expires_at.replace(microsecond=0)
    return ApprovalLink(purpose, request.release, request.stage, ends, approver)
