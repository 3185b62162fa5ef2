"""The message to deployers and people about a rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagegate.canonical_json import timestamp
from imagegate.notices.announcement import announce
from imagegate.notices.message import Message
from imagegate.policy.rules import Attention
from imagegate.release.release import Outcome, Release

if TYPE_CHECKING:
    from imagegate.deployment.rollback import Rollback


def announcement(release: Release, rollback: Rollback, *, is_forward: bool = False) -> Message:
    """Compose an `Image Released` of the earlier release, so that deployers need no code for rollbacks.

    `is_forward`: it is a release that an earlier rollback left.
    """
    verb, way = ("ROLLED FORWARD", "forward") if is_forward else ("ROLLED BACK", "back")
    again = announce(release, Outcome.RELEASED)
    tags = ", ".join(sorted(release.tags)) or "no tag"
    head = f"{rollback.repository} goes {way} to {tags} ({release.image.digest.short})"
    text = [
        f"{head}, from {rollback.came_from.short}.",
        f"{release.image.digest} was announced to deployers again; it passed the {release.stage} gate before.",
        "",
        f"Reason       {rollback.reason}",
        f"By           {rollback.by}",
        "",
        f"More: imagegate status {release.image}",
    ]
    return Message(
        subject=f"{verb}: {head}: {rollback.reason}",
        lines=text,
        detail_type=again.detail_type,
        detail={
            **again.detail,
            "id": f"{release.key}-{timestamp(rollback.at)}",
            "outcome": str(Outcome.RELEASED),
            "rollback": rollback.as_json(),
        },
        attributes={**again.attributes, "alert": str(Attention.ALERT)},
    )
