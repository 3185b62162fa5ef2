"""Messages of the reconciler: a waiver ends, or something could not be reconciled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from imagegate.notices.message import Message, aligned, with_rest
from imagegate.policy.rules import Attention
from imagegate.text import counted

if TYPE_CHECKING:
    from imagegate.policy.waiver import Waiver

WAIVER_ENDING = "Waiver Ending"
NOT_RECONCILED = "Not Reconciled"
# The log of the reconciler has all of them.
_FAULTS_SHOWN, _CAUSE_SHOWN = 20, 300


def waiver_ending(waiver: Waiver, now: datetime, *, is_loud: bool = True) -> Message:
    """Compose the message that a waiver ends soon, and that its images will be blocked again.

    `is_loud`: nobody gets a mail if many end at once; the daily digest has them all.
    """
    days = (waiver.expires - now.date()).days
    when = "today" if days == 0 else f"in {counted(days, 'day')}"
    lines = [
        f"The waiver of {waiver.subject} for {waiver.where} ends {when}.",
        "",
        "Images that pass only with it are blocked again after that day, and so are their next pushes.",
        "Fix the waived finding, or grant another waiver with its own reason.",
        "",
        *aligned(
            {
                "Waiver": waiver.id,
                "Owner": waiver.owner,
                "Reason": waiver.reason,
                "Ticket": waiver.ticket or "none",
                "Last day": f"{waiver.expires} (UTC)",
                "Granted by": waiver.granted_by or "the policy file",
            }
        ),
        "",
        "More: imagegate decide list",
    ]
    detail = {"schema": 1, "id": f"{waiver.id}-ending", "waiver": {"id": waiver.id, **waiver.as_json()}}
    return Message(
        subject=f"WAIVER ENDS {when}: {waiver.subject} for {waiver.where} (owner {waiver.owner})",
        lines=lines,
        detail_type=WAIVER_ENDING,
        detail=detail,
        attributes={
            "alert": str(Attention.ALERT if is_loud else Attention.LOG),
            "waiver": waiver.id,
            **({"repository": waiver.repositories} if waiver.repositories else {}),
        },
    )


def not_reconciled(faults: Mapping[str, str], now: datetime) -> Message:
    """Compose the message about lasting faults of the reconciler. `faults`: the cause by item."""
    shown = [f"{what}: {cause}"[:_CAUSE_SHOWN] for what, cause in list(faults.items())[:_FAULTS_SHOWN]]
    number = len(faults)
    text = [
        f"The reconciler could not check {counted(number, 'thing')}. It checked everything else.",
        "Images may wait without a verdict until the cause is fixed. This message comes once a day.",
        "",
        *with_rest([f"  {line}" for line in shown], number),
        "",
        "More: the log of the function reconcile",
    ]
    return Message(
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
