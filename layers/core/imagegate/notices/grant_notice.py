"""Messages about break-glass (granted, ending, ended, withdrawn), and about signatures: revoked, or ending."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imagegate.canonical_json import timestamp
from imagegate.notices.message import Message, aligned
from imagegate.policy.rules import Attention

if TYPE_CHECKING:
    from imagegate.grants.break_glass import BreakGlass
    from imagegate.oci.image import ImageRef
    from imagegate.release.revocation import Revocation, RunsIn

BREAK_GLASS = "Break Glass"
SIGNATURE_REVOKED = "Image Signature Revoked"
SIGNATURE_ENDING = "Image Signature Ending"
# People who look after a fleet see the whole list in the console.
_CLUSTERS_SHOWN = 20


def glass_broken(glass: BreakGlass) -> Message:
    """Compose the message that a person lets an image run that did not pass."""
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


def glass_ending(glass: BreakGlass) -> Message:
    """Compose the message that a break-glass ends soon: the next deployments will be refused."""
    return _about_glass(
        glass,
        "ending",
        f"BREAK-GLASS ENDS at {glass.expires:%H:%M} UTC: {glass.where}",
        [
            f"From {glass.expires:%Y-%m-%d %H:%M} UTC on, deployments of {glass.where} are refused again.",
            "Deploy an image that has passed, or find out why this one is still blocked.",
        ],
    )


def glass_ended(glass: BreakGlass) -> Message:
    """Compose the message that a break-glass has ended. Tasks keep running, and are now drift."""
    return _about_glass(
        glass,
        "ended",
        f"BREAK-GLASS ENDED: {glass.where} may run no longer",
        [
            f"Deployments of {glass.where} are refused again. Tasks that run it were not stopped.",
            "Make sure that it runs nowhere any more.",
        ],
    )


def glass_withdrawn(glass: BreakGlass, by: str) -> Message:
    """Compose the message that a person has ended a break-glass early."""
    return _about_glass(
        glass,
        "withdrawn",
        f"BREAK-GLASS WITHDRAWN: {glass.where} may run no longer",
        [f"{by} has ended it. Tasks that run the image were not stopped."],
    )


def _about_glass(glass: BreakGlass, state: str, subject: str, intro: Sequence[str]) -> Message:
    text = [
        *intro,
        "",
        *aligned(
            {
                "Reason": glass.reason,
                "Repositories": glass.repositories,
                "Digest": glass.digest,
                "Until": f"{glass.expires:%Y-%m-%d %H:%M} UTC",
                "Granted by": glass.granted_by,
                "Break-glass": glass.id,
            }
        ),
        "",
        "More: imagegate decide list",
    ]
    return Message(
        subject=subject,
        lines=text,
        detail_type=BREAK_GLASS,
        detail={
            "schema": 1,
            "id": f"{glass.id}-{state}",
            "state": state,
            "breakGlass": {"id": glass.id, **glass.as_json()},
        },
        attributes={
            "alert": str(Attention.ALERT),
            "breakGlass": glass.id,
            "repository": glass.repositories,
        },
    )


def signature_revoked(
    image: ImageRef,
    revocation: Revocation,
    *,
    stages: Sequence[str],
    places: Sequence[ImageRef],
    runs_in: Sequence[RunsIn] | None,
    earlier: Sequence[ImageRef] = (),
) -> Message:
    """Compose the message about a revocation. `runs_in` is None if it is not known where the image runs.

    `earlier`: the image in the stages before, whose signatures stay valid.
    """
    name = f"{image.repository}@{image.digest.short}"
    text = [
        f"The signatures of {name} were revoked by {revocation.by}.",
        f"At {' and '.join(stages)}, the gate no longer vouches for it. Nothing was stopped.",
        "",
        f"Reason       {revocation.reason}",
        "",
        "The image is stored in",
        *(f"  {place.repository}" for place in places),
        "",
        *_runs_in_lines(runs_in),
        "",
        "What to do:",
        "  Deploy another image in its place; everything that verifies signatures now refuses this one.",
        *_earlier_lines(earlier),
        "",
        f"More: imagegate status {image}",
    ]
    return Message(
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
            "earlier": [str(one) for one in earlier],
            "revocation": revocation.as_json(),
        },
        attributes={"alert": str(Attention.ALERT), "repository": image.repository, "revoked": "true"},
    )


def signature_ending(image: ImageRef, end: datetime, *, is_loud: bool) -> Message:
    """Compose the message that the signature of an image in use ends soon.

    `is_loud`: nobody gets a mail if many end at once; the daily digest has those of a week.
    """
    name, until = f"{image.repository}@{image.digest.short}", f"{end:%Y-%m-%d %H:%M} UTC"
    text = [
        f"The signature of {name}, which is in use, expires at {until}.",
        "From then on, everything that verifies signatures refuses the image.",
        "",
        "What to do: deploy a newer image, or release this one again, so that it is judged and signed anew:",
        f"  imagegate release {image}",
        "",
        f"More: imagegate status {image}",
    ]
    return Message(
        subject=f"SIGNATURE ENDS {end:%Y-%m-%d}: {name}",
        lines=text,
        detail_type=SIGNATURE_ENDING,
        detail={
            "schema": 1,
            "id": f"signature-{image}-{end:%Y-%m-%d}",
            "repository": image.repository,
            "digest": str(image.digest),
            "ends": timestamp(end),
        },
        attributes={
            "alert": str(Attention.ALERT if is_loud else Attention.LOG),
            "repository": image.repository,
        },
    )


def _earlier_lines(earlier: Sequence[ImageRef]) -> Iterator[str]:
    if earlier:
        yield "  The gates before have signed it, too. These signatures stay valid, also on its copies. Revoke them:"
        yield from (f"  imagegate decide revoke {one} --reason ..." for one in earlier)


def _runs_in_lines(runs_in: Sequence[RunsIn] | None) -> Iterable[str]:
    if runs_in is None:
        return ["It is not known where it runs: only Amazon Inspector with enhanced scanning knows that."]
    if not runs_in:
        return ["Amazon Inspector has seen it run nowhere."]
    shown = [f"  {one}" for one in runs_in[:_CLUSTERS_SHOWN]]
    rest = len(runs_in) - len(shown)
    return ["It runs in", *shown, *([f"  … and {rest} more clusters"] if rest else [])]


def _cluster(one: RunsIn) -> dict[str, Any]:
    return {"cluster": one.cluster, "running": one.units}
