"""The next step for an image: what is the matter, who acts, and the command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagegate.board.status import ImageState

if TYPE_CHECKING:
    from imagegate.board.board import BoardCell, StageImage
    from imagegate.board.status import ImageStatus
    from imagegate.risk.risk import NewerRelease

# The states in which somebody must act, the most urgent first. In all others the gate goes on by itself, or is done.
_URGENT = (
    ImageState.REVOKED,
    ImageState.AT_RISK,
    ImageState.BROKEN_GLASS,
    ImageState.WAITING,
    ImageState.BLOCKED,
    ImageState.FAILED,
    ImageState.CONFLICT,
    ImageState.EXPIRED,
    ImageState.OBSERVED,
)
_ANYBODY = "the owners of the gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """One thing to do. `who` acts; `command`: what to run first, or "" if nothing is to be run."""

    application: str
    stage: str
    image: str
    state: ImageState
    why: str
    action: str
    who: str
    command: str
    is_last_stage: bool

    @property
    def order(self) -> tuple[int, bool, str, str]:
        """The place in a list: by urgency, the last stages first."""
        urgency = _URGENT.index(self.state) if self.state in _URGENT else len(_URGENT)
        return urgency, not self.is_last_stage, self.application, self.stage

    def as_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "image": self.image,
            "state": str(self.state),
            "why": self.why,
            "action": self.action,
            "who": self.who,
            "command": self.command or None,
        }


def next_step(
    application: str,
    owner: str | None,
    cell: BoardCell,
    image: StageImage,
    *,
    is_last_stage: bool,
    change: str = "",
) -> NextStep | None:
    """Return the next step for an image, or None if nobody must act.

    `change`: in what it differs from the current image of the stage that it waits for, if that is known.
    """
    status = image.status
    if status.state not in _URGENT:
        return None
    action, command = _action(status, cell, application, change)
    return NextStep(
        application=application,
        stage=cell.stage,
        image=image.name,
        state=status.state,
        why=_why(status),
        action=action,
        who=_who(status, owner),
        command=command,
        is_last_stage=is_last_stage,
    )


def _why(status: ImageStatus) -> str:
    risk = status.risk
    runs = f"; {risk.units} running" if status.state is ImageState.AT_RISK and risk and risk.units else ""
    return status.why + runs


def _who(status: ImageStatus, owner: str | None) -> str:
    if status.state is ImageState.WAITING and status.pending:
        terms = status.pending.request.terms
        return ", ".join((*terms.approvers, *terms.by_mail)) or "people who may approve"
    if status.state is ImageState.FAILED:
        return _ANYBODY
    newer = _without_risk(status)
    if status.state is ImageState.AT_RISK and newer and newer.is_held:
        return f"who may approve {newer.name}"
    return owner or "the team of the application"


def _action(status: ImageStatus, cell: BoardCell, application: str, change: str) -> tuple[str, str]:
    """Return what to do as a sentence, and the command for it."""
    name = status.release.image.name(status.release.tags)
    match status.state:
        case ImageState.REVOKED:
            if not cell.before:
                return "No release before it is known: release another image.", f"imagegate status {name}"
            command = f'imagegate rollback {application} {cell.stage} --reason "…"'
            return f"Roll back to {cell.before}, the release before it.", command
        case ImageState.AT_RISK:
            return _leave_risk(status, name)
        case ImageState.BROKEN_GLASS:
            return "Mend the image before the break-glass ends.", f"imagegate status {name}"
        case ImageState.WAITING:
            look = f"It {change}. Decide." if change else "Look at what it changes, then decide."
            return look, f'imagegate decide approve {name} --reason "…"'
        case ImageState.BLOCKED | ImageState.OBSERVED:
            remedy = status.release.remedies[0] if status.release.remedies else "See each reason"
            return f"{remedy.rstrip('.')}.", f"imagegate status {name}"
        case ImageState.EXPIRED:
            return "Request the approval again.", f"imagegate release {name}"
        case ImageState.CONFLICT:
            return "Push it under another tag.", f"imagegate status {name}"
        case _:
            return "Release it again once the fault is mended.", f"imagegate release {name}"


def _without_risk(status: ImageStatus) -> NewerRelease | None:
    """Return the first newer release without what puts the image at risk, or None."""
    return status.risk.newer[0] if status.risk and status.risk.newer else None


def _leave_risk(status: ImageStatus, name: str) -> tuple[str, str]:
    risk, newer = status.risk, _without_risk(status)
    if newer is None:
        remedy = risk.remedies[0] if risk and risk.remedies else "Build it again with the fix, or waive it"
        return f"{remedy.rstrip('.')}.", f"imagegate status {name}"
    if newer.is_held:
        return (
            f"{newer.name} does not have it: approve it.",
            f'imagegate decide approve {newer.name} --reason "…"',
        )
    return f"{newer.name} does not have it: deploy it.", f"imagegate status {newer.name}"
