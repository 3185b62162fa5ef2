"""What the approval page shows of one release: what wants in, what it would change, who decided, and how to decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from imagegate.approval_page.image_difference import ComparedImage, Difference
from imagegate.gate.decision_record import Decision
from imagegate.grants.approval import Approval, ApprovalRequest, ApprovalStatus, Choice, approval_status
from imagegate.grants.approval_link import ApprovalLink
from imagegate.release.release import Outcome, Release

_ASIDE = ("waived", "grace", "no fix", "not worse")


class Tone(StrEnum):
    """How a headline is meant, also for those who do not see its colour: the words say it, too."""

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
    """What is attached to the image, or was asked for: a name, and what is known of it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ApprovalView:
    link: ApprovalLink
    release: Release
    decision: Decision | None  # None: nobody has judged it (yet)
    contents: ComparedImage
    target: str  # repository of the stage that is entered
    difference: Difference | None  # None: nothing is there yet
    approvals: tuple[Approval, ...]
    request: ApprovalRequest | None
    headline: Headline
    refusal: str  # why whoever followed a link that decides cannot decide (any more); "": they can, or it only shows

    @property
    def choice(self) -> Choice | None:
        """What the form asks to confirm."""
        return None if self.refusal else self.link.purpose.choice

    @property
    def name(self) -> str:
        image, tags = self.release.image, sorted(self.release.tags)
        return f"{image.repository}:{tags[0]}" if tags else f"{image.repository}@{image.digest.short}"

    def command(self, choice: Choice) -> str:
        """To decide from the command line, as IAM knows whoever runs it."""
        return f'imagegate decide {choice} {self.release.image} --reason "…"'

    @property
    def evidence(self) -> tuple[EvidenceRow, ...]:
        return tuple(_evidence(self.release, self.decision))

    @property
    def aside(self) -> Mapping[str, int]:
        """How many findings do not count, over all platforms, by why."""
        scans = self.decision.scans if self.decision else ()
        found = {why: sum(scan.get("aside", {}).get(why, 0) for scan in scans) for why in _ASIDE}
        return {why: number for why, number in found.items() if number}


def headline(
    release: Release, request: ApprovalRequest | None, decided: Sequence[Approval], now: datetime
) -> Headline:
    """What has become of the release by now, in one sentence."""
    if release.revoked:
        return Headline(f"Its signature was {release.revoked}.", Tone.BAD, is_open=False)
    if release.outcome is not None and (request is None or release.outcome is not Outcome.HELD):
        return _over(release)
    if request is None:
        return Headline("It does not wait for an approval.", Tone.WAITS, is_open=False)
    match approval_status(request, decided, now):
        case ApprovalStatus.APPROVED:
            return Headline(f"Approved: it is let into {request.stage}.", Tone.GOOD, is_open=False)
        case ApprovalStatus.REJECTED:
            return Headline(f"Rejected: it stays out of {request.stage}.", Tone.BAD, is_open=False)
        case ApprovalStatus.EXPIRED:
            ended = f"{request.expires_at:%Y-%m-%d %H:%M} UTC"
            return Headline(f"Nobody let it in before the time ended on {ended}.", Tone.BAD, is_open=False)
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
    """Why this link decides nothing (any more). `decide` alone has the last word."""
    if link.purpose.choice is None:
        return ""
    own = next((one for one in decided if one.by == link.approver), None)
    if own is not None:
        told = "approved" if own.choice is Choice.APPROVE else "rejected"
        return f"You have decided already: you {told} it on {own.at:%Y-%m-%d %H:%M} UTC."
    return "" if head.is_open else f"There is nothing to decide. {head.text}"


def _evidence(release: Release, decision: Decision | None) -> list[EvidenceRow]:
    facts: Mapping[str, Any] = (decision.facts if decision else None) or {}
    gate = f"by the {release.stage} gate"
    found = [
        EvidenceRow(
            "Signature", f"{release.signature}, {gate}" if release.signature else "none by this gate"
        ),
        EvidenceRow("SBOM", release.sbom.note if release.sbom else "the stage asks for none"),
    ]
    for name, key in (("Signed before", "signature"), ("Provenance", "provenance")):
        told = facts.get(key)
        if told:
            found.append(EvidenceRow(name, ", ".join(told["found"]) or told["problem"]))
    return found
