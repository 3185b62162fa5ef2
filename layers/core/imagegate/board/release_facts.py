"""A release as JSON and in short texts. Commands and the board print the same keys, documented here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from imagegate.canonical_json import timestamp
from imagegate.release.release import Outcome, Release

_WHY = {
    Outcome.HELD: "the next stage requires approval",
    Outcome.SUPERSEDED: "a newer push took over its tag",
    Outcome.WITHDRAWN: "it was deleted",
}


def as_json(release: Release) -> dict[str, Any]:
    """Return the keys of a release. `outcome` is null while it is open; a reason has rule, message and action."""
    return {
        "repository": release.image.repository,
        "digest": str(release.image.digest),
        "tags": sorted(release.tags),
        "stage": release.stage,
        "attempt": release.attempt,
        "reason": str(release.reason),
        "verdict": release.verdict,
        "outcome": _text(release.outcome),
        "reasons": list(release.reasons),
        "remedies": list(release.remedies),
        "detail": release.detail,
        "decision": _text(release.decision),
        "signature": _text(release.signature),
        "sbom": release.sbom.as_json() if release.sbom else None,
        "promoted_to": release.promotion.as_json() if release.promotion else None,
        "break_glass": release.break_glass or None,
        "soaks_until": timestamp(release.soaks_until) if release.soaks_until else None,
        "started_by": release.started_by or None,
        "revoked": release.revoked.as_json() if release.revoked else None,
        "message_id": release.message_id,
        "started_at": timestamp(release.started_at),
        "closed_at": timestamp(release.closed_at) if release.closed_at else None,
        "seconds": seconds(release, release.closed_at),
    }


def seconds(release: Release, end: datetime | None) -> float | None:
    """Return the seconds from its start to `end`, or None if there is no end."""
    return round((end - release.started_at).total_seconds(), 1) if end else None


def name(release: Release, tag: str | None = None) -> str:
    """Return the name for people: `shop-dev:1.0 (+1)`, where one more tag is on the image.

    `tag` is printed first if the image has it.
    """
    tags = sorted(release.tags, key=lambda one: (one != tag, one))
    if not tags:
        return f"{release.image.repository}@{release.image.digest.short}"
    more = f" (+{len(tags) - 1})" if len(tags) > 1 else ""
    return f"{release.image.repository}:{tags[0]}{more}"


def why(release: Release) -> str:
    """Return why it ended so: the first reason that blocks, else the detail of its end."""
    blocking = [reason["message"] for reason in release.reasons if reason["action"] == "enforce"]
    if blocking:
        return blocking[0] + (f" (+{len(blocking) - 1} more)" if len(blocking) > 1 else "")
    if release.detail:
        return release.detail
    if release.promotion:
        return f"now in {release.promotion.repository}"
    return _WHY.get(release.outcome, "") if release.outcome else ""


def _text(value: object) -> str | None:
    return None if value is None else str(value)
