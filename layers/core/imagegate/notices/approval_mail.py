"""What is sent to people who decide by a link from their mail: one message each, with links of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from imagegate.grants.approval import ApprovalRequest
from imagegate.grants.approval_link import ApprovalLink, Purpose
from imagegate.notices.announcement import Announcement
from imagegate.policy.approval_terms import MAIL
from imagegate.release.release import Release

APPROVAL_ASKED = "Image Approval Asked"
MakesLinks = Callable[[ApprovalLink], str]


def view(request: ApprovalRequest) -> ApprovalLink:
    """A link that shows what waits, and decides nothing."""
    return _link(request, Purpose.VIEW)


def mails(release: Release, request: ApprovalRequest, make: MakesLinks) -> Iterator[Announcement]:
    """One for each address; the attribute `approver` is for its owner's subscription."""
    for address in request.terms.by_mail:
        yield _mail(release, request, address, make)


def _mail(release: Release, request: ApprovalRequest, address: str, make: MakesLinks) -> Announcement:
    approve, reject = (
        make(_link(request, purpose, f"{MAIL}{address}")) for purpose in (Purpose.APPROVE, Purpose.REJECT)
    )
    tags = sorted(release.tags)
    name = f"{release.image.repository}:{tags[0]}" if tags else str(release.image)
    lines = [
        f"{name} waits to come into {request.stage}, until {request.expires_at:%Y-%m-%d %H:%M} UTC.",
        f"These links are yours, {address}: whoever has them decides in your name. Opening one changes nothing.",
        "",
        f"Let it in:    {approve}",
        f"Keep it out:  {reject}",
        "",
        f"Repository   {release.image.repository}",
        f"Digest       {release.image.digest}",
        f"Verdict      {release.verdict or 'none'} at the {release.stage} gate, attempt {release.attempt}",
    ]
    return Announcement(
        subject=f"APPROVE? {name} into {request.stage}",
        lines=lines,
        detail_type=APPROVAL_ASKED,
        detail={"schema": 1, "id": f"{release.key}-{address}", "approver": address, **request.as_json()},
        attributes={"approver": address, "repository": release.image.repository, "stage": request.stage},
    )


def _link(request: ApprovalRequest, purpose: Purpose, approver: str = "") -> ApprovalLink:
    """Never longer than the time to decide, and in whole seconds."""
    ends = request.expires_at.replace(microsecond=0)
    return ApprovalLink(purpose, request.release, request.stage, ends, approver)
