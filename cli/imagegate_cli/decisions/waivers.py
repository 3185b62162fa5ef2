"""Waivers that were granted, withdrawn or imported from OpenVEX documents, as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType

from imagegate.canonical_json import parse_timestamp
from imagegate.policy.waiver import Waiver
from imagegate.text import counted, list_some, shorten
from imagegate_cli.context import now
from imagegate_cli.decisions.parameters import Scope
from imagegate_cli.output.screen import Text, labelled, plain_table

if TYPE_CHECKING:
    from imagegate.gate.vex.openvex import Statement, VexDocument
    from imagegate_cli.stack import Stack

# Longer lists are cut; --json has all.
_MOST = 20
_LONGEST_REASON = 500  # characters; the function refuses longer ones


@dataclass(frozen=True, slots=True)
class VexWaivers:
    """The waivers that OpenVEX documents amount to."""

    waivers: list[dict[str, Any]]
    statements: list[Statement]  # that waive nothing
    notes: list[str]  # why other statements are not used


def waivers_of_vex(
    documents: Sequence[VexDocument], products: Sequence[str], scope: Scope, stack: Stack, expires: date
) -> VexWaivers:
    """Return the waivers that the documents justify now, for the images of the scope.

    `products`: globs for products that are these images, as the user says.
    """
    from imagegate.gate.vex.history import StatementHistory
    from imagegate.gate.vex.image import Image, Name

    history = StatementHistory(documents, now())
    image = Image(
        names=(Name(stack.registry, scope.repositories),),
        digests=frozenset({str(scope.digest)} if scope.digest else ()),
        patterns=tuple(stage.repositories for stage in stack.policy.stages.values()),
        any_digest=scope.digest is None,
        products=tuple(products),
    )
    waivers, notes = history.waivers(image, scope.repositories, scope.digest, expires)
    requests = [waiver.as_json() for waiver in waivers]
    for request in requests:
        request["reason"] = shorten(request["reason"], _LONGEST_REASON)
    return VexWaivers(
        requests, [one for one in history.statements if not one.is_favourable and not one.fault], notes
    )


_MORE = "It covers more blocked images. Within some minutes they are judged again, too."


@dataclass(frozen=True, slots=True)
class ImportedWaiver:
    """One waiver of a document, with the response of the function or the reason of its refusal."""

    request: dict[str, Any]
    response: dict[str, Any] | None = None
    refused: str = ""

    def as_json(self) -> dict[str, Any]:
        return as_json(self.response) if self.response else {"waiver": self.request, "refused": self.refused}


def as_json(response: dict[str, Any]) -> dict[str, Any]:
    """Return `waiver`, as decision records keep it, `is_new`, and the images that it is about.

    `released` are judged again; `still_blocked` need more, each with `why`. `is_all` is false if older ones follow.
    """
    return {
        "waiver": response["waiver"],
        "is_new": response["isNew"],
        "released": response["released"],
        "still_blocked": response.get("stillBlocked", []),
        "is_all": response.get("isAll", True),
    }


def granted(response: dict[str, Any], today: date) -> RenderableType:
    """Show a granted waiver, and the images that are judged again because of it."""
    waiver, name = Waiver.from_json(response["waiver"]), str(response["waiver"]["id"])
    rows = labelled(_rows(waiver, name, today, is_new=response["isNew"]))
    more = () if response.get("isAll", True) else (Text(_MORE),)
    left = _still_blocked(response.get("stillBlocked", ()))
    return Group(rows, *freed(response["released"]), *left, *more)


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
    """Return the waiver's images: `shop-*`, or `shop-dev@sha256:0123456789ab`."""
    if waiver.digest is None:
        return str(waiver.repositories)
    return f"{waiver.repositories or ''}@{waiver.digest.short}".removeprefix("@")


def _until(waiver: Waiver, today: date) -> str:
    text = f"{waiver.expires} ({counted((waiver.expires - today).days, 'day')})"
    return f"{text}, or until there is a fix" if waiver.until_fix else text


def freed(released: Sequence[dict[str, Any]]) -> Iterator[RenderableType]:
    """Yield lines about the blocked images that would pass now and are judged again."""
    yield Text()
    if not released:
        yield Text("No image that is blocked now would pass by it.")
        return
    number = len(released)
    are = "is" if number == 1 else "are"
    yield Text(f"{counted(number, 'blocked image')} would pass now, and {are} judged again:")
    for image in released[:_MOST]:
        yield Text(f"  imagegate status --watch {reference(image)}")
    if number > _MOST:
        yield Text(f"  … and {number - _MOST} more: imagegate list --outcome open")


def _still_blocked(images: Sequence[dict[str, Any]]) -> Iterator[RenderableType]:
    """Yield what blocks the images for which the waiver is not enough."""
    if images:
        yield Text("It is not enough for:")
    for image in images[:_MOST]:
        yield Text(f"  {reference(image)}: {image['why']}")
    if len(images) > _MOST:
        yield Text(f"  … and {len(images) - _MOST} more; --json has all")


def reference(image: dict[str, Any]) -> str:
    """Return the image's reference by its first tag, else by its digest."""
    tags = image["tags"]
    return f"{image['repository']}:{tags[0]}" if tags else f"{image['repository']}@{image['digest']}"


def withdrawn(response: dict[str, Any]) -> RenderableType:
    """Show a withdrawn waiver."""
    waiver = Waiver.from_json(response["waiver"])
    at = parse_timestamp(response["waiver"]["withdrawnAt"])
    rows = [
        ("Withdrawn", f"{waiver.subject}, for {where(waiver)}"),
        ("Since", f"{at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Id", str(response["waiver"]["id"])),
    ]
    note = (
        "Images that were released with it stay released. The next attempt of any image is judged without it."
    )
    return Group(labelled(rows), Text(), Text(note))


def imported(waivers: Sequence[ImportedWaiver], unused: Sequence[Statement]) -> RenderableType:
    """Show the waivers of OpenVEX documents. `unused` are the statements that waive nothing."""
    table = plain_table()
    table.add_column("WAIVES", overflow="fold", min_width=24)
    table.add_column("FOR", overflow="fold", min_width=10)
    table.add_column("ANSWER", overflow="fold", min_width=20)
    for one in waivers:
        waiver = Waiver.from_json(one.request)
        table.add_row(waiver.subject, where(waiver), _answer(one))
    released = [image for one in waivers if one.response for image in one.response["released"]]
    once = list({(image["repository"], image["digest"]): image for image in released}.values())
    return Group(table, *_unused(unused), *freed(once))


def _answer(one: ImportedWaiver) -> str:
    if one.response is None:
        return f"refused: {one.refused}"
    name, until = one.response["waiver"]["id"], one.response["waiver"]["expires"]
    return f"{'until' if one.response['isNew'] else 'was waived, until'} {until}: {name}"


def _unused(statements: Sequence[Statement]) -> Iterator[RenderableType]:
    for status in dict.fromkeys(statement.status for statement in statements):
        names = list(dict.fromkeys(one.vulnerability for one in statements if one.status == status))
        line = f"{status.replace('_', ' ')}, and so not waived: {list_some(names[:_MOST], len(names))}"
        yield Text(line, style="dim")
