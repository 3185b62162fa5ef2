"""What a held attempt waits for, with everybody who brought the image: they do not decide about it."""

from __future__ import annotations

from dataclasses import replace

from imagegate.grants.approval import ApprovalRequest, approval_request
from imagegate.oci.image import ImageRef
from imagegate.policy.policy import Policy
from imagegate.ports.ledger import Pushers
from imagegate.release.release import Release


def asked_of(release: Release, policy: Policy, ledger: Pushers) -> ApprovalRequest | None:
    """None: it waits for nothing. Whoever pushed the image did so where its way begins."""
    request = approval_request(release, policy)
    if request is None:
        return None
    origin = ImageRef(policy.origin_of(release.image.repository), release.image.digest)
    return replace(request, brought_by=(*request.brought_by, *ledger.pushers(origin)))
