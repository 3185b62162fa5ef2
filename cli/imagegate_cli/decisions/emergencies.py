"""Break-glass and revocations, for people: the effect, until when, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType

from imagegate.canonical_json import parse_timestamp
from imagegate.grants.break_glass import BreakGlass
from imagegate.text import counted
from imagegate_cli.decisions.waivers import reference
from imagegate_cli.output.screen import Text, labelled


def as_json(response: dict[str, Any]) -> dict[str, Any]:
    """Return `break_glass`, `is_new`, and `released`: the blocked images that go on to their next stage."""
    return {
        "break_glass": response["breakGlass"],
        "is_new": response["isNew"],
        "released": response["released"],
    }


def granted(response: dict[str, Any]) -> RenderableType:
    """Show a break-glass that was granted."""
    glass = BreakGlass.from_json(response["breakGlass"])
    rows = [
        ("Lets through" if response["isNew"] else "Was let through", glass.where),
        ("Until", f"{glass.expires:%Y-%m-%d %H:%M} UTC"),
        ("Reason", glass.reason),
        ("By", glass.granted_by),
        ("Id", glass.id),
    ]
    revoked = [f"Warning: {one}" for one in response.get("revoked", ())]
    notes = [
        *revoked,
        "",
        "People were notified. The image is not signed; it may be deployed until then.",
        f"End it now:  imagegate decide withdraw {glass.id}",
    ]
    commands = [f"  imagegate status --watch {reference(image)}" for image in response["released"]]
    if commands:
        notes += ["", "It goes on to its next stage:", *commands]
    return Group(labelled(rows), *(Text(note) for note in notes))


def withdrawn(response: dict[str, Any]) -> RenderableType:
    """Show a break-glass that was withdrawn."""
    glass = BreakGlass.from_json(response["breakGlass"])
    rows = [
        ("Ended", glass.where),
        ("Since", f"{glass.ends_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Id", glass.id),
    ]
    note = "It is not deployed any more, unless it has passed its gate since. Containers that run were not stopped."
    return Group(labelled(rows), Text(), Text(note))


def revoked(response: dict[str, Any]) -> RenderableType:
    """Show an image whose signatures were revoked, and where it runs."""
    revocation, number = response["revocation"], response["signatures"]
    rows = [
        ("Revoked", f"{counted(number, 'signature')} at {', '.join(response['stages'])}"),
        ("Digest", response["digest"]),
        ("In", ", ".join(response["repositories"])),
        ("Reason", revocation["reason"]),
        ("By", revocation["by"]),
        ("On", f"{parse_timestamp(revocation['at']):%Y-%m-%d %H:%M:%S} UTC"),
    ]
    lines = (*_running(response["runsIn"]), *_earlier(response.get("earlier", ())))
    return Group(labelled(rows), Text(), *map(Text, lines))


def _earlier(images: Sequence[str]) -> Iterator[str]:
    """Yield a warning about each earlier gate that has signed the image, with the command that revokes there."""
    for image in images:
        yield f"Warning: the signature of the gate before, in {image.partition('@')[0]}, stays valid. Revoke it:"
        yield f"  imagegate decide revoke {image} --reason ..."


def _running(clusters: list[dict[str, Any]] | None) -> Iterator[str]:
    if clusters is None:
        yield "Where it runs is not known: only Amazon Inspector (enhanced scanning) knows."
    elif not clusters:
        yield "Amazon Inspector has seen it run nowhere."
    else:
        yield "It runs in (nothing was stopped):"
        yield from (f"  {one['cluster']}: {one['running']} running" for one in clusters)
