"""What people are told beside the endings of releases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from imagegate.notices.announcement import Announcement
from imagegate.policy.rules import Attention
from imagegate.policy.waiver import Waiver

WAIVER_ENDING = "Waiver Ending"
NOT_RECONCILED = "Not Reconciled"
# The log of the reconciler has all of them.
_FAULTS_SHOWN, _CAUSE_SHOWN = 20, 300


def waiver_ending(waiver: Waiver, now: datetime) -> Announcement:
    """A waiver has its last days: what rests on it will be blocked again."""
    days = (waiver.expires - now.date()).days
    when = "today" if days == 0 else f"in {days} day{'s' if days > 1 else ''}"
    lines = [
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
    detail = {"schema": 1, "id": f"{waiver.id}-ending", "waiver": {"id": waiver.id, **waiver.as_json()}}
    return Announcement(
        subject=f"WAIVER ENDS {when}: {waiver.subject} for {waiver.where} (owner {waiver.owner})",
        lines=lines,
        detail_type=WAIVER_ENDING,
        detail=detail,
        attributes={"alert": str(Attention.ALERT), "waiver": waiver.id},
    )


def not_reconciled(faults: Mapping[str, str], now: datetime) -> Announcement:
    """Some things could not be looked at, and will not be until somebody mends them. `faults`: what, and why."""
    shown = [f"{what}: {cause}"[:_CAUSE_SHOWN] for what, cause in list(faults.items())[:_FAULTS_SHOWN]]
    number = len(faults)
    what = "1 thing" if number == 1 else f"{number} things"
    text = [
        f"{what} could not be looked at by the reconciler. Everything else was.",
        "Images may wait without a verdict until the cause is mended. This is told once a day.",
        "",
        *(f"  {line}" for line in shown),
        *([f"  and {number - len(shown)} more"] if number > len(shown) else []),
        "",
        "More: the log of the function reconcile",
    ]
    return Announcement(
        subject=f"NOT RECONCILED: {shown[0]}",
        lines=text,
        detail_type=NOT_RECONCILED,
        detail={
            "schema": 1,
            "id": f"not-reconciled-{now:%Y-%m-%dT%H:%M:%SZ}",
            "number": number,
            "faults": shown,
        },
        attributes={"alert": str(Attention.ALERT)},
    )
