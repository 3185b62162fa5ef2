"""What was decided in an emergency, for a person: what it does, until when, and how to look after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from imagegate.grants.break_glass import BreakGlass
from imagegate_cli.decisions.answers import reference
from imagegate_cli.output.screen import Text


def as_json(told: dict[str, Any]) -> dict[str, Any]:
    """`released`: what was blocked, and goes on to its next stage."""
    return {"break_glass": told["breakGlass"], "is_new": told["isNew"], "released": told["released"]}


def broken(told: dict[str, Any]) -> RenderableType:
    glass = BreakGlass.from_json(told["breakGlass"])
    rows = [
        ("Lets through" if told["isNew"] else "Was let through", glass.where),
        ("Until", f"{glass.expires:%Y-%m-%d %H:%M} UTC"),
        ("Reason", glass.reason),
        ("By", glass.granted_by),
        ("Id", glass.id),
    ]
    notes = ["", "People were told. It is not signed; deployments of it are let through until then."]
    notes += [f"End it now:  imagegate decide withdraw {glass.id}"]
    going = [f"  imagegate status --watch {reference(image)}" for image in told["released"]]
    if going:
        notes += ["", "It goes on to its next stage:", *going]
    return Group(_grid(rows), *(Text(note) for note in notes))


def mended(told: dict[str, Any]) -> RenderableType:
    glass = BreakGlass.from_json(told["breakGlass"])
    rows = [
        ("Ended", glass.where),
        ("Since", f"{glass.ends_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Id", glass.id),
    ]
    return Group(_grid(rows), Text(), Text("Deployments of it are refused again. What runs was not stopped."))


def revoked(told: dict[str, Any]) -> RenderableType:
    by = told["revocation"]
    number = told["signatures"]
    rows = [
        ("Revoked", f"{number} signature{'' if number == 1 else 's'} at {', '.join(told['stages'])}"),
        ("Digest", told["digest"]),
        ("It lies in", ", ".join(told["repositories"])),
        ("Reason", by["reason"]),
        ("By", f"{by['by']}, {by['at']}"),
    ]
    return Group(_grid(rows), Text(), *(Text(line) for line in _where(told["runsIn"])))


def _where(runs_in: list[dict[str, Any]] | None) -> Iterator[str]:
    if runs_in is None:
        yield "Where it runs is not known: Amazon Inspector tells that, under enhanced scanning."
    elif not runs_in:
        yield "Amazon Inspector has seen it run nowhere."
    else:
        yield "It runs in (nothing was stopped):"
        yield from (f"  {one['cluster']}: {one['running']} running" for one in runs_in)


def _grid(rows: list[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(label, value)
    return grid
