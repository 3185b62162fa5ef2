"""Endings without a mail of their own, because too many came in one hour, and the summary that has them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imagegate.notices.announcement import first_reason
from imagegate.notices.message import Message, cut_text, image_name, with_rest
from imagegate.release.release import Outcome, Release, ReleaseId
from imagegate.text import counted

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef

LATER = "later"  # the attribute; its values are ALL and OWNER
ALL, OWNER = "all", "owner"
# Amazon SNS suspends a mail subscription that gets more than ten messages a second (Amazon SNS quotas).
MAILS_AN_HOUR = 10
_ROWS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class LaterMail:
    """One ending in the next summary. `for_owner`: also in the owner's summary, not only in that of everything."""

    release: ReleaseId
    outcome: Outcome
    name: str
    why: str
    at: datetime
    for_owner: bool = False

    @property
    def image(self) -> ImageRef:
        return self.release.image


def later_mail(release: Release, outcome: Outcome, at: datetime, *, for_owner: bool) -> LaterMail:
    """Return what the summary says about a release that ended at that time."""
    why = first_reason(release) if outcome is Outcome.BLOCKED else release.detail.split(":")[0]
    return LaterMail(release.id, outcome, image_name(release), cut_text(why), at, for_owner=for_owner)


def without_mail(message: Message, *, for_owner: bool) -> Message:
    """Return the message with the attribute that keeps it out of mails: only of everything, or of the owner's, too."""
    return replace(message, attributes={**message.attributes, LATER: OWNER if for_owner else ALL})


def as_last_mail(message: Message, owner: str) -> Message:
    """Return the message with the news that the next ones of this hour come in a summary. `owner` may be empty."""
    whose = f"for {owner}" if owner else "for all images"
    text = f"This is mail {MAILS_AN_HOUR} of this hour {whose}. Further mails come together, in a summary."
    return replace(message, lines=(*message.lines, "", text))


def mail_summary(mails: Sequence[LaterMail], owner: str = "") -> Message:
    """Compose the one mail about all of these, or about those of one owner."""
    outcomes = Counter(str(mail.outcome) for mail in mails)
    counts = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
    name = f" for {owner}" if owner else ""
    return Message(
        subject=f"SUMMARY{name}: {counted(len(mails), 'more release')} ended: {counts}",
        lines=_lines(mails, name, counts),
        detail_type="Mail Summary",
        detail=_detail(mails, owner, outcomes),
        attributes={"alert": "team-digest", "owner": owner} if owner else {"alert": "digest"},
    )


def _lines(mails: Sequence[LaterMail], name: str, counts: str) -> list[str]:
    rows = _rows(mails)
    waiting = _waiting(mails)
    lines = [
        f"{counted(len(mails), 'more release')} ended{name}: {counts}.",
        f"More than {MAILS_AN_HOUR} ended in one hour, so these had no mails of their own.",
        "Events, queues and the chat have each of them.",
    ]
    if waiting:
        shown = [f"  - {text}" for text in waiting[:_ROWS_SHOWN]]
        lines += ["", "Waiting for an approval (imagegate list --waiting):", *with_rest(shown, len(waiting))]
    shown = [f"  {number:>5}  {text}" for text, number in rows[:_ROWS_SHOWN]]
    lines += ["", "By repository and reason:", *with_rest(shown, len(rows))]
    return [*lines, "", "Blocked:  imagegate list --blocked", "All:      imagegate list"]


def _waiting(mails: Sequence[LaterMail]) -> list[str]:
    return [cut_text(mail.name) for mail in mails if mail.outcome is Outcome.HELD]


def _rows(mails: Sequence[LaterMail]) -> list[tuple[str, int]]:
    """Return how many ended in each way, the largest number first."""
    texts = Counter(
        f"{mail.image.repository} {mail.outcome}" + (f": {cut_text(mail.why)}" if mail.why else "")
        for mail in mails
    )
    return sorted(texts.items(), key=lambda row: (-row[1], row[0]))


def _detail(mails: Sequence[LaterMail], owner: str, outcomes: Counter[str]) -> dict[str, Any]:
    return {
        "schema": 1,
        "id": f"mails-until-{max(mail.at for mail in mails).isoformat()}" + (f"-{owner}" if owner else ""),
        "mails": len(mails),
        "outcomes": dict(outcomes),
        "reasons": dict(_rows(mails)[:_ROWS_SHOWN]),
        "waiting": _waiting(mails)[:_ROWS_SHOWN],
    }
