"""What people are told beside the endings of releases."""

from __future__ import annotations

from datetime import datetime

from imagegate.domain.announcement import Announcement, one_line
from imagegate.domain.rules import Attention
from imagegate.domain.waiver import Waiver

WAIVER_ENDING = "Waiver Ending"


def waiver_ending(waiver: Waiver, now: datetime) -> Announcement:
    """A waiver has its last days: what rests on it will be blocked again."""
    days = (waiver.expires - now.date()).days
    when = "today" if days == 0 else f"in {days} day{'s' if days > 1 else ''}"
    text = "\n".join(
        [
            f"The waiver of {waiver.subject} for {waiver.where} ends {when}.",
            "",
            "Images that rest on it are blocked again after that day, and so are their next pushes.",
            "Fix what is waived, or grant another waiver with a reason of its own.",
            "",
            f"Waiver       {waiver.id}",
            f"Owner        {waiver.owner}",
            f"Reason       {waiver.reason}",
            f"Ticket       {waiver.ticket or 'none'}",
            f"Last day     {waiver.expires} (UTC)",
            f"Granted by   {waiver.granted_by or 'the policy file'}",
            "",
            "More: imagegate decide list",
        ]
    )
    detail = {"schema": 1, "id": f"{waiver.id}-ending", "waiver": {"id": waiver.id, **waiver.as_json()}}
    return Announcement(
        subject=one_line(f"WAIVER ENDS {when}: {waiver.subject} for {waiver.where} (owner {waiver.owner})"),
        text=text + "\n",
        detail_type=WAIVER_ENDING,
        detail=detail,
        attributes={"alert": str(Attention.ALERT), "waiver": waiver.id},
    )
