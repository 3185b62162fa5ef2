"""The message about a scheduled clean-up: what may go or has gone, and where nobody could tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from imagegate.canonical_json import timestamp
from imagegate.notices.message import Message, cut_text
from imagegate.text import counted

if TYPE_CHECKING:
    from imagegate.cleanup.savings import Savings
    from imagegate.oci.image import Digest

SCHEDULED_CLEANUP = "Scheduled Clean-up"
_ROWS_SHOWN = 20


def scheduled_cleanup(
    rows: Mapping[str, str],
    refused: Sequence[str],
    total: Savings,
    run: Digest | None,
    now: datetime,
    *,
    planned: int,
) -> Message:
    """Compose the message. `rows`: what was planned or done, by repository.

    `run`: the plans that wait for somebody, so many as `planned`; the other repositories were cleaned up.
    """
    shown = [f"  {name}: {cut_text(text)}" for name, text in list(rows.items())[:_ROWS_SHOWN]]
    lines = [f"Planned and done: {total}.", "", *shown]
    if len(rows) > len(shown):
        lines.append(f"  and {counted(len(rows) - len(shown), 'repository')} more")
    if refused:
        lines += ["", "Nobody could tell what has to stay, so nothing goes there:"]
        lines += [f"  {cut_text(one)}" for one in refused[:_ROWS_SHOWN]]
    if run:
        lines += ["", "Nothing of this was deleted. To carry it out:", f"  imagegate cleanup apply {run}"]
    return Message(
        subject="CLEAN-UP: " + _headline(planned, len(rows) - planned, len(refused)),
        lines=lines,
        detail_type=SCHEDULED_CLEANUP,
        detail={
            "schema": 1,
            "id": f"cleanup-{timestamp(now)}",
            "run": str(run) if run else None,
            "repositories": len(rows),
            "deleted": total.deleted,
            "archived": total.archived,
            "bytesBefore": total.bytes_before,
            "bytesAfter": total.bytes_after,
            "dollarsAMonth": total.cents_a_month / 100,
            "refused": [cut_text(one) for one in refused[:_ROWS_SHOWN]],
        },
        attributes={"alert": "digest"},
    )


def _headline(planned: int, cleaned: int, refused: int) -> str:
    parts = {"planned": planned, "cleaned up": cleaned, "refused": refused}
    said = [f"{number} {what}" for what, number in parts.items() if number]
    return f"{counted(planned + cleaned + refused, 'repository')}: " + ", ".join(said)
