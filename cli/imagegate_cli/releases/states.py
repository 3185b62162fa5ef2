"""The statuses of images, read from a stack, as far as the caller may read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from imagegate.board.status import ImageStatus, PendingApproval, state_of
from imagegate.errors import ImageGateError
from imagegate.gate.decision_record import Decision
from imagegate.grants.approval import approval_status
from imagegate.grants.break_glass import BreakGlass
from imagegate.oci.image import ImageRef
from imagegate.policy.waiver import Waiver
from imagegate.release.release import Outcome, Release
from imagegate.risk.risk import Risk
from imagegate_cli.faults import NotFoundError
from imagegate_cli.stack import Stack


def status_of(
    stack: Stack,
    release: Release,
    now: datetime,
    glass: Sequence[BreakGlass],
    risks: Mapping[ImageRef, Risk] | None = None,
) -> ImageStatus:
    """Return the status of the newest attempt of an image.

    `glass` has every break-glass of the stack, and `risks` every risk; without them the image's own one is read.
    """
    risk = risk_of(stack, release.image) if risks is None else risks.get(release.image)
    pending = pending_approval(stack, release, now)
    covering = tuple(one for one in glass if one.counts(now) and one.covers(release.image))
    state = state_of(release, pending, covering, risk)
    return ImageStatus(release, state, _waivers(stack, release), pending, covering, risk)


def risk_of(stack: Stack, image: ImageRef) -> Risk | None:
    """Return the risk of the image, or None if there is none or the caller may not read it."""
    from botocore.exceptions import ClientError

    try:
        return stack.ledger.risk(image)
    except ClientError:
        return None


def risks_of(stack: Stack) -> dict[ImageRef, Risk]:
    """Return every risk of the stack; none if the caller may not read them."""
    from botocore.exceptions import ClientError

    try:
        return {risk.image: risk for risk in stack.ledger.risks()}
    except ClientError:
        return {}


def break_glass_of(stack: Stack) -> list[BreakGlass]:
    """Return every break-glass of the stack; none if the caller may not read them."""
    from botocore.exceptions import ClientError

    try:
        return list(stack.grants.broken_glass())
    except (ClientError, NotFoundError):
        return []


def _waivers(stack: Stack, release: Release) -> tuple[Waiver, ...]:
    """Return the waivers that the decision uses; none if its record cannot be read."""
    from botocore.exceptions import ClientError

    if release.decision is None:
        return ()
    try:
        decision = Decision.decode(stack.records.decision(release.decision))
        return tuple(Waiver.from_json(raw) for raw in decision.waivers)
    except (ClientError, ImageGateError, NotFoundError):
        return ()


def pending_approval(stack: Stack, release: Release, now: datetime) -> PendingApproval | None:
    """Return the pending approval, or None if there is none or it cannot be read."""
    if release.outcome is not Outcome.HELD:
        return None
    from botocore.exceptions import ClientError

    from imagegate.workflow.pending_approval import pending_request

    try:
        request = pending_request(release, stack.records.policy(release.policy), stack.ledger)
        decided = sorted(stack.grants.approvals(release.id), key=lambda one: one.at) if request else ()
    except (ClientError, ImageGateError, NotFoundError):
        return None
    return PendingApproval(request, decided, approval_status(request, decided, now)) if request else None
