"""The approval request of a held attempt, with everybody who brought the image and so may not decide about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imagegate.grants.approval import ApprovalRequest, approval_request
from imagegate.oci.image import ImageRef

if TYPE_CHECKING:
    from imagegate.policy.policy import Policy
    from imagegate.ports.ledger import Pushers
    from imagegate.release.release import Release


def pending_request(release: Release, policy: Policy, ledger: Pushers) -> ApprovalRequest | None:
    """Return the approval request, or None if the release waits for none.

    The people who pushed the image into the first stage are among those who brought it.
    """
    request = approval_request(release, policy)
    if request is None:
        return None
    origin = ImageRef(policy.origin_of(release.image.repository), release.image.digest)
    return replace(request, brought_by=(*request.brought_by, *ledger.pushers(origin)))
