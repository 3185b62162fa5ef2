"""What was decided, for a person: the waiver, until when, and what is judged again because of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table

from imagegate.canonical_json import parse_timestamp
from imagegate.policy.waiver import Waiver
from imagegate_cli.output.screen import Text

if TYPE_CHECKING:
    from imagegate.gate.openvex import Statement

# Longer lists are cut; --json has all.
_MOST = 20


@dataclass(frozen=True, slots=True)
class ImportedWaiver:
    """One waiver of a document: granted, or why it was not."""

    asked: dict[str, Any]
    told: dict[str, Any] | None = None
    refused: str = ""

    def as_json(self) -> dict[str, Any]:
        return as_json(self.told) if self.told else {"waiver": self.asked, "refused": self.refused}


def as_json(told: dict[str, Any]) -> dict[str, Any]:
    """`waiver` has the form in which decision records keep it; `released`: what is judged again."""
    return {"waiver": told["waiver"], "is_new": told["isNew"], "released": told["released"]}


def granted(told: dict[str, Any], today: date) -> RenderableType:
    waiver = Waiver.from_json(told["waiver"])
    grid = _grid()
    for label, value in _rows(waiver, str(told["waiver"]["id"]), today, is_new=told["isNew"]):
        grid.add_row(label, value)
    return Group(grid, *freed(told["released"]))


def _rows(waiver: Waiver, name: str, today: date, *, is_new: bool) -> Iterator[tuple[str, str]]:
    yield "Waived" if is_new else "Was waived", waiver.subject
    yield "For", where(waiver)
    yield "Until", _until(waiver, today)
    yield "Owner", f"{waiver.owner}, {waiver.ticket}" if waiver.ticket else waiver.owner
    yield "Reason", waiver.reason
    if waiver.justification:
        yield "Because", waiver.justification.replace("_", " ")
    yield "Id", name


def where(waiver: Waiver) -> str:
    """`shop-*`, `shop-dev@sha256:0123456789ab`."""
    if waiver.digest is None:
        return str(waiver.repositories)
    return f"{waiver.repositories or ''}@{waiver.digest.short}".removeprefix("@")


def _until(waiver: Waiver, today: date) -> str:
    days = (waiver.expires - today).days
    text = f"{waiver.expires} ({days} days)" if days != 1 else f"{waiver.expires} (1 day)"
    return f"{text}, or until there is a fix" if waiver.until_fix else text


def freed(released: Sequence[dict[str, Any]]) -> Iterator[RenderableType]:
    yield Text()
    if not released:
        yield Text("No image that is blocked now would pass by it.")
        return
    are = (
        "1 blocked image would pass now, and is" if len(released) == 1 else f"{len(released)} blocked images"
    )
    yield Text(
        f"{are} judged again:" if len(released) == 1 else f"{are} would pass now, and are judged again:"
    )
    for image in released[:_MOST]:
        yield Text(f"  imagegate status --watch {reference(image)}")
    if len(released) > _MOST:
        yield Text(f"  … and {len(released) - _MOST} more: imagegate list --outcome open")


def reference(image: dict[str, Any]) -> str:
    tags = image["tags"]
    return f"{image['repository']}:{tags[0]}" if tags else f"{image['repository']}@{image['digest']}"


def withdrawn(told: dict[str, Any]) -> RenderableType:
    waiver = Waiver.from_json(told["waiver"])
    at = parse_timestamp(told["waiver"]["withdrawnAt"])
    grid = _grid()
    grid.add_row("Withdrawn", f"{waiver.subject}, for {where(waiver)}")
    grid.add_row("Since", f"{at:%Y-%m-%d %H:%M:%S} UTC")
    grid.add_row("Id", str(told["waiver"]["id"]))
    note = "What was released with it stays released; the next attempt of any image is judged without it."
    return Group(grid, Text(), Text(note))


def imported(found: Sequence[ImportedWaiver], told: Sequence[Statement]) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("WAIVES", overflow="fold", min_width=24)
    table.add_column("FOR", overflow="fold", min_width=10)
    table.add_column("ANSWER", overflow="fold", min_width=20)
    for one in found:
        waiver = Waiver.from_json(one.asked)
        table.add_row(waiver.subject, where(waiver), _answer(one))
    released = [image for one in found if one.told for image in one.told["released"]]
    once = list({(image["repository"], image["digest"]): image for image in released}.values())
    return Group(table, *_changing_nothing(told), *freed(once))


def _answer(one: ImportedWaiver) -> str:
    if one.told is None:
        return f"refused: {one.refused}"
    name, until = one.told["waiver"]["id"], one.told["waiver"]["expires"]
    return f"{'until' if one.told['isNew'] else 'was waived, until'} {until}: {name}"


def _changing_nothing(told: Sequence[Statement]) -> Iterator[RenderableType]:
    for status in dict.fromkeys(statement.status for statement in told):
        names = list(dict.fromkeys(one.vulnerability for one in told if one.status == status))
        more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
        said = f"{status.replace('_', ' ')}, and so not waived: {', '.join(names[:_MOST])}{more}"
        yield Text(said, style="dim")


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    return grid
