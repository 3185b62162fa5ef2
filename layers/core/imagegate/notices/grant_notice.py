"""What people are told of break-glass and of revocations: at once, and when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from imagegate.grants.break_glass import BreakGlass
from imagegate.notices.announcement import Announcement
from imagegate.oci.image import ImageRef
from imagegate.policy.rules import Attention
from imagegate.release.revocation import Revocation, RunsIn

BREAK_GLASS = "Break Glass"
SIGNATURE_REVOKED = "Image Signature Revoked"
# People who look after a fleet see the whole list in the console.
_CLUSTERS_SHOWN = 20


def glass_broken(glass: BreakGlass) -> Announcement:
    """Somebody has let an image run that did not pass."""
    return _about_glass(
        glass,
        "granted",
        f"BREAK-GLASS: {glass.where} may run until {glass.expires:%Y-%m-%d %H:%M} UTC",
        [
            f"{glass.granted_by} lets {glass.where} run and be promoted, though its gate did not pass it.",
            "It is not signed. Every later verification shows this.",
            "",
            f"If this is not right, end it now: imagegate decide withdraw {glass.id}",
        ],
    )


def glass_ending(glass: BreakGlass) -> Announcement:
    """What runs by it will be refused at its next deployment."""
    return _about_glass(
        glass,
        "ending",
        f"BREAK-GLASS ENDS at {glass.expires:%H:%M} UTC: {glass.where}",
        [
            f"From {glass.expires:%Y-%m-%d %H:%M} UTC on, deployments of {glass.where} are refused again.",
            "Deploy an image that has passed, or find out what still blocks this one.",
        ],
    )


def glass_ended(glass: BreakGlass) -> Announcement:
    """What still runs by it keeps running, and is now drift."""
    return _about_glass(
        glass,
        "ended",
        f"BREAK-GLASS ENDED: {glass.where} may run no longer",
        [
            f"Deployments of {glass.where} are refused again. Tasks that run it were not stopped.",
            "Make sure that it runs nowhere any more.",
        ],
    )


def glass_mended(glass: BreakGlass, by: str) -> Announcement:
    """Somebody has ended it before its time."""
    return _about_glass(
        glass,
        "withdrawn",
        f"BREAK-GLASS WITHDRAWN: {glass.where} may run no longer",
        [f"{by} has ended it. Tasks that run the image were not stopped."],
    )


def _about_glass(glass: BreakGlass, state: str, subject: str, told: Sequence[str]) -> Announcement:
    text = [
        *told,
        "",
        f"Reason       {glass.reason}",
        f"Repositories {glass.repositories}",
        f"Digest       {glass.digest}",
        f"Until        {glass.expires:%Y-%m-%d %H:%M} UTC",
        f"Granted by   {glass.granted_by}",
        f"Break-glass  {glass.id}",
        "",
        "More: imagegate decide list",
    ]
    return Announcement(
        subject=subject,
        lines=text,
        detail_type=BREAK_GLASS,
        detail={
            "schema": 1,
            "id": f"{glass.id}-{state}",
            "state": state,
            "breakGlass": {"id": glass.id, **glass.as_json()},
        },
        attributes={"alert": str(Attention.ALERT), "breakGlass": glass.id},
    )


def signature_revoked(
    image: ImageRef,
    revocation: Revocation,
    *,
    stages: Sequence[str],
    places: Sequence[ImageRef],
    runs_in: Sequence[RunsIn] | None,
) -> Announcement:
    """`runs_in`: None where nobody can say."""
    name = f"{image.repository}@{image.digest.short}"
    text = [
        f"{revocation.by} has revoked what signed {image.digest}.",
        f"The gates of {' and '.join(stages)} no longer vouch for it; nothing was stopped.",
        "",
        f"Reason       {revocation.reason}",
        "",
        "It lies in",
        *(f"  {place.repository}" for place in places),
        "",
        *_where(runs_in),
        "",
        "What to do:",
        "  Deploy another image in its place; what verifies signatures refuses this one from now on.",
        "",
        f"More: imagegate status {image}",
    ]
    return Announcement(
        subject=f"REVOKED: {name} at {', '.join(stages)}: {revocation.reason}",
        lines=text,
        detail_type=SIGNATURE_REVOKED,
        detail={
            "schema": 1,
            "id": f"revoked-{image}-{revocation.as_json()['at']}",
            "repository": image.repository,
            "digest": str(image.digest),
            "stages": list(stages),
            "repositories": [place.repository for place in places],
            "runsIn": None if runs_in is None else list(map(_cluster, runs_in)),
            "revocation": revocation.as_json(),
        },
        attributes={"alert": str(Attention.ALERT), "repository": image.repository, "revoked": "true"},
    )


def _where(runs_in: Sequence[RunsIn] | None) -> Iterable[str]:
    if runs_in is None:
        return ["Where it runs is not known: that is told by Amazon Inspector, under enhanced scanning."]
    if not runs_in:
        return ["Amazon Inspector has seen it run nowhere."]
    shown = [f"  {one}" for one in runs_in[:_CLUSTERS_SHOWN]]
    rest = len(runs_in) - len(shown)
    return ["It runs in", *shown, *([f"  … and {rest} more clusters"] if rest else [])]


def _cluster(one: RunsIn) -> dict[str, Any]:
    return {"cluster": one.cluster, "running": one.units}
