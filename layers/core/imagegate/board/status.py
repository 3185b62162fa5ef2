"""The current state of an image at the gate of its stage: one word, and who or what it is due to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from imagegate.board import release_facts
from imagegate.gate.verdict import VerdictOutcome
from imagegate.grants.approval import Approval, ApprovalRequest, ApprovalStatus, Choice, name_of
from imagegate.release.release import Outcome, Release
from imagegate.risk.risk import Risk, RiskState
from imagegate.text import counted

if TYPE_CHECKING:
    from imagegate.grants.break_glass import BreakGlass
    from imagegate.policy.waiver import Waiver


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """A request for approval and its decisions, the oldest first."""

    request: ApprovalRequest
    decided: Sequence[Approval]
    standing: ApprovalStatus

    def as_json(self) -> dict[str, Any]:
        return {
            **self.request.as_json(),
            "standing": str(self.standing),
            "decided": [one.as_json() for one in self.decided],
        }

    def __str__(self) -> str:
        """Return `1 of 2 approvals for production (ann), until 2026-11-28 08:01 UTC`."""
        approving, rejecting = (
            [name_of(one.by) for one in self.decided if one.choice is choice] for choice in Choice
        )
        terms, into = self.request.terms, self.request.stage
        if rejecting:
            return f"rejected by {rejecting[0]}: it stays out of {into}"
        names = f" ({', '.join(approving)})" if approving else ""
        ends = f"{self.request.expires_at:%Y-%m-%d %H:%M} UTC"
        number = len(self.request.approving(self.decided))
        return f"{number} of {terms.quorum} approvals for {into}{names}, until {ends}"


class ImageState(StrEnum):
    """The state of an image at the gate of its stage, by its newest attempt and by decisions since then."""

    RUNNING = "in progress"
    SOAKING = "soaking"
    WAITING = "waiting for approval"
    REJECTED = "rejected"
    EXPIRED = "expired"
    RELEASED = "released"
    AT_RISK = "at risk"
    OBSERVED = "observed"
    BROKEN_GLASS = "broken glass"
    REVOKED = "revoked"
    BLOCKED = "blocked"
    CONFLICT = "conflict"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"

    @property
    def definition(self) -> str:
        """The meaning of the word, in one sentence."""
        return _DEFINITIONS[self]


_DEFINITIONS = {
    ImageState.RUNNING: "An attempt is open: it is scanned, judged, signed or promoted now.",
    ImageState.SOAKING: "It passed and is signed, and stays in its stage for the policy's time before it goes on.",
    ImageState.WAITING: "It passed and is signed, and people have not decided yet whether it enters the next stage.",
    ImageState.REJECTED: "A person rejected it: it stays out of the next stage.",
    ImageState.EXPIRED: "Nobody decided in time: it stays out of the next stage until approval is requested again.",
    ImageState.RELEASED: "It passed its gate and is signed; it is in the next stage if there is one.",
    ImageState.AT_RISK: "It is released and in use, and would not pass its gate today because of its vulnerabilities.",
    ImageState.OBSERVED: "It did not pass, and went on unsigned because its stage only observes.",
    ImageState.BROKEN_GLASS: "It did not pass, and a break-glass lets it run or let it go on.",
    ImageState.REVOKED: "It passed, and its signature was revoked later.",
    ImageState.BLOCKED: "It did not pass its gate, or it is not known whether it does.",
    ImageState.CONFLICT: "It passed, but its tag in the next stage belongs to another image.",
    ImageState.SUPERSEDED: "A newer push took over its tag before its attempt ended.",
    ImageState.WITHDRAWN: "It was deleted before its attempt ended.",
    ImageState.FAILED: "Its attempt ended by a fault of the gate, not by a verdict.",
}
_OF_APPROVALS = {
    ApprovalStatus.APPROVED: ImageState.RUNNING,  # the next attempt begins
    ApprovalStatus.REJECTED: ImageState.REJECTED,
    ApprovalStatus.EXPIRED: ImageState.EXPIRED,
}
# Other states say more than that it is at risk; `imagegate status` shows the risk beside them.
_MAY_BE_AT_RISK = (ImageState.RELEASED, ImageState.OBSERVED)
# A break-glass lets an image run only if its gate has stopped it.
_STOPPED = (Outcome.BLOCKED, Outcome.FAILED)


def state_of(
    release: Release,
    pending: PendingApproval | None = None,
    glass: Sequence[BreakGlass] = (),
    risk: Risk | None = None,
) -> ImageState:
    """Return the state of an image. `glass` has every break-glass that counts now and covers the image."""
    state = _state_of(release, pending, glass)
    is_at_risk = risk is not None and risk.state is RiskState.AT_RISK
    return ImageState.AT_RISK if is_at_risk and state in _MAY_BE_AT_RISK else state


def _state_of(release: Release, pending: PendingApproval | None, glass: Sequence[BreakGlass]) -> ImageState:
    if release.revoked:
        return ImageState.REVOKED
    if release.outcome is None:
        return ImageState.SOAKING if release.soaks_until else ImageState.RUNNING
    if release.outcome is Outcome.HELD:
        return _OF_APPROVALS.get(pending.standing, ImageState.WAITING) if pending else ImageState.WAITING
    if release.break_glass or (glass and release.outcome in _STOPPED):
        return ImageState.BROKEN_GLASS
    if release.outcome is Outcome.RELEASED and release.verdict != VerdictOutcome.PASS:
        return ImageState.OBSERVED
    return ImageState(release.outcome)


@dataclass(frozen=True, slots=True)
class ImageStatus:
    """The newest attempt of an image with its state, the waivers that it uses, and its approvals."""

    release: Release
    state: ImageState
    waivers: Sequence[Waiver] = ()
    pending: PendingApproval | None = None
    glass: Sequence[BreakGlass] = ()
    risk: Risk | None = None  # at risk, or not watched

    @property
    def by(self) -> str:
        """The people behind the state: who revoked, rejected, approved, broke the glass, or began the attempt."""
        if self.release.revoked:
            return name_of(self.release.revoked.by)
        if self.pending:
            choice = Choice.REJECT if self.state is ImageState.REJECTED else Choice.APPROVE
            return ", ".join(name_of(one.by) for one in self.pending.decided if one.choice is choice)
        if self.state is ImageState.BROKEN_GLASS and self.glass:
            return ", ".join(dict.fromkeys(name_of(one.granted_by) for one in self.glass))
        return name_of(self.release.started_by)

    @property
    def why(self) -> str:
        """The reason of the state in short."""
        if self.release.revoked:
            return str(self.release.revoked)
        if self.state is ImageState.BROKEN_GLASS:
            return self.release.break_glass or str(self.glass[0])
        if self.state is ImageState.AT_RISK and self.risk:
            return self.risk.headline
        if self.state is ImageState.SOAKING and self.release.soaks_until:
            return f"until {self.release.soaks_until:%Y-%m-%d %H:%M} UTC"
        return str(self.pending) if self.pending else release_facts.why(self.release)

    def waived(self, now: datetime) -> str:
        """Return the waivers that it uses with the days left: `CVE-2026-1 in openssl (3 days)`."""
        return ", ".join(f"{one.subject} ({_left(one, now)})" for one in self.waivers)

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return the keys of the attempt, with `state`, `by`, `waivers`, `risk` and `approval`."""
        waivers = [
            {"id": one.id, "days_left": (one.expires - now.date()).days, **one.as_json()}
            for one in self.waivers
        ]
        more = {"approval": self.pending.as_json()} if self.pending else {}
        risk = self.risk.as_json() if self.risk else None
        state = {"state": str(self.state), "by": self.by or None, "waivers": waivers, "risk": risk}
        return {**release_facts.as_json(self.release), **state, **more}


def _left(waiver: Waiver, now: datetime) -> str:
    days = (waiver.expires - now.date()).days
    return counted(days, "day") if days > 0 else "ends today" if days == 0 else "expired"
