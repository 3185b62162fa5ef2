"""The content of the approval page: the image, what it would change, who has decided, and how to decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from imagegate.grants.approval import Approval, ApprovalRequest, ApprovalStatus, Choice, approval_status
from imagegate.release.release import Outcome, Release

if TYPE_CHECKING:
    from imagegate.approval_page.image_difference import ComparedImage, Difference
    from imagegate.gate.decision_record import Decision
    from imagegate.grants.approval_link import ApprovalLink
    from imagegate.risk.risk import Risk

_ASIDE = ("waived", "grace", "no fix", "not worse")


class Tone(StrEnum):
    """The tone of a headline, which sets its colour. The words alone say the same."""

    WAITS = "waits"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Headline:
    text: str
    tone: Tone
    is_open: bool  # somebody may still decide


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One piece of evidence of the image: its name, and what is known about it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ApprovalView:
    link: ApprovalLink
    release: Release
    decision: Decision | None  # None: not judged yet
    contents: ComparedImage
    target: str  # repository of the stage that is entered
    difference: Difference | None  # None: the stage has no image yet
    approvals: tuple[Approval, ...]
    request: ApprovalRequest | None
    headline: Headline
    risk: Risk | None  # known since it was judged: at risk, or not watched any more
    refusal: str  # why this link cannot decide (any longer); empty if it can, or if it only shows

    @property
    def choice(self) -> Choice | None:
        """The choice that the form confirms, or None if there is no form."""
        return None if self.refusal else self.link.purpose.choice

    @property
    def name(self) -> str:
        return self.release.image.short_name(self.release.tags)

    def command(self, choice: Choice) -> str:
        """Return the command that decides with the identity of the person who runs it."""
        return f'imagegate decide {choice} {self.release.image} --reason "…"'

    @property
    def evidence(self) -> tuple[EvidenceRow, ...]:
        return (*_today(self.risk), *_evidence(self.release, self.decision))

    @property
    def aside(self) -> Mapping[str, int]:
        """The number of findings of all platforms that do not count, by reason."""
        scans = self.decision.scans if self.decision else ()
        numbers = {why: sum(scan.get("aside", {}).get(why, 0) for scan in scans) for why in _ASIDE}
        return {why: number for why, number in numbers.items() if number}


def headline(
    release: Release, request: ApprovalRequest | None, decided: Sequence[Approval], now: datetime
) -> Headline:
    """Return the state of the release in one sentence."""
    if release.revoked:
        return Headline(f"Its signature was {release.revoked}.", Tone.BAD, is_open=False)
    if release.outcome is not None and (request is None or release.outcome is not Outcome.HELD):
        return _over(release)
    if request is None:
        return Headline("It does not wait for an approval.", Tone.WAITS, is_open=False)
    match approval_status(request, decided, now):
        case ApprovalStatus.APPROVED:
            return Headline(f"Approved: it goes to {request.stage}.", Tone.GOOD, is_open=False)
        case ApprovalStatus.REJECTED:
            return Headline(f"Rejected: it does not go to {request.stage}.", Tone.BAD, is_open=False)
        case ApprovalStatus.EXPIRED:
            ended = f"{request.expires_at:%Y-%m-%d %H:%M} UTC"
            return Headline(f"Nobody approved it before the time ended on {ended}.", Tone.BAD, is_open=False)
        case _:
            return Headline(_waits(request, decided), Tone.WAITS, is_open=True)


def _over(release: Release) -> Headline:
    when = f" on {release.closed_at:%Y-%m-%d %H:%M} UTC" if release.closed_at else ""
    tone = Tone.GOOD if release.outcome is Outcome.RELEASED else Tone.BAD
    return Headline(f"The release is over: {release.outcome}{when}.", tone, is_open=False)


def _waits(request: ApprovalRequest, decided: Sequence[Approval]) -> str:
    have = len(request.approving(decided))
    quorum = request.terms.quorum
    so_far = f", {have} so far" if quorum > 1 else ""
    need = f"{quorum} approvals are" if quorum > 1 else "an approval is"
    return f"Waits: {need} needed{so_far}, before {request.expires_at:%Y-%m-%d %H:%M} UTC."


def refusal(link: ApprovalLink, head: Headline, decided: Sequence[Approval]) -> str:
    """Return why this link cannot decide (any longer), or an empty text. `decide` checks again."""
    if link.purpose.choice is None:
        return ""
    own = next((one for one in decided if one.by == link.approver), None)
    if own is not None:
        choice = "approved" if own.choice is Choice.APPROVE else "rejected"
        return f"You have decided already: you {choice} it on {own.at:%Y-%m-%d %H:%M} UTC."
    return "" if head.is_open else f"There is nothing to decide. {head.text}"


def _today(risk: Risk | None) -> tuple[EvidenceRow, ...]:
    """Return what is known since the image was judged; empty if that is nothing."""
    if risk is None:
        return ()
    return (EvidenceRow("Today", f"{risk.state} since {risk.since:%Y-%m-%d %H:%M} UTC: {risk.headline}"),)


def _evidence(release: Release, decision: Decision | None) -> list[EvidenceRow]:
    facts: Mapping[str, Any] = (decision.facts if decision else None) or {}
    gate = f"by the {release.stage} gate"
    rows = [
        EvidenceRow(
            "Signature", f"{release.signature}, {gate}" if release.signature else "none by this gate"
        ),
        EvidenceRow("SBOM", release.sbom.note if release.sbom else "the stage needs none"),
    ]
    for name, key in (("Signed before", "signature"), ("Provenance", "provenance")):
        evidence = facts.get(key)
        if evidence:
            rows.append(EvidenceRow(name, ", ".join(evidence["found"]) or evidence["problem"]))
    return rows
