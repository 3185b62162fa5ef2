"""Waivers and break-glass with their current state: which count, until when, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Protocol

from rich.table import Table

from imagegate.grants.approval import name_of
from imagegate.grants.break_glass import BreakGlass
from imagegate.policy.waiver import Waiver, WaiverTerms
from imagegate.text import counted
from imagegate_cli.decisions.waivers import where
from imagegate_cli.output.screen import Text, plain_table

_WIDE = 100


class GrantState(StrEnum):
    """The state of a waiver or a break-glass."""

    COUNTS = "counts"
    ENDING = "ending"  # counts for a few more days
    IDLE = "idle"  # does not count, because a rule of the policy is against it
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"

    @property
    def is_over(self) -> bool:
        return self in (GrantState.EXPIRED, GrantState.WITHDRAWN)


_STYLES = {GrantState.COUNTS: "green", GrantState.ENDING: "yellow", GrantState.IDLE: "red"}


@dataclass(frozen=True, slots=True)
class GrantRow:
    """The cells of a grant in a table, without its state."""

    name: str
    lets: str
    images: str
    who: str


class GrantedItem(Protocol):
    """A waiver or a break-glass with its state."""

    @property
    def state(self) -> GrantState: ...
    @property
    def says(self) -> str: ...
    @property
    def row(self) -> GrantRow: ...
    def is_about(self, repository: str) -> bool: ...
    def as_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class GlassStatus:
    """A break-glass with its state; `says` explains the state."""

    glass: BreakGlass
    state: GrantState
    says: str

    @property
    def row(self) -> GrantRow:
        glass = self.glass
        return GrantRow(glass.id, "break-glass", glass.where, f"{name_of(glass.granted_by)}: {glass.reason}")

    def is_about(self, repository: str) -> bool:
        """Tell whether it may cover images of this repository."""
        return fnmatchcase(repository, self.glass.repositories)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.glass.id,
            "source": "granted",
            "state": str(self.state),
            "says": self.says,
            "break_glass": self.glass.as_json(),
        }


@dataclass(frozen=True, slots=True)
class WaiverStatus:
    """A waiver with its state; `says` explains the state.

    `is_granted`: it was granted at run time and can be withdrawn; else it is a line of the policy.
    """

    waiver: Waiver
    is_granted: bool
    state: GrantState
    says: str

    @property
    def row(self) -> GrantRow:
        waiver = self.waiver
        name = waiver.id if self.is_granted else "policy.yaml"
        return GrantRow(name, waiver.subject, where(waiver), _who(waiver))

    def is_about(self, repository: str) -> bool:
        """Tell whether it may cover images of this repository."""
        return self.waiver.repositories is None or fnmatchcase(repository, self.waiver.repositories)

    def as_json(self) -> dict[str, Any]:
        """Return `waiver` as decision records keep it. `id` is null for a waiver of the policy."""
        return {
            "id": self.waiver.id if self.is_granted else None,
            "source": "granted" if self.is_granted else "policy",
            "state": str(self.state),
            "says": self.says,
            "waiver": self.waiver.as_json(),
        }


def waiver_statuses(
    granted: Iterable[Waiver], of_policy: Iterable[Waiver], terms: WaiverTerms, now: datetime
) -> list[WaiverStatus]:
    """Return the waivers, the soonest end first; those that are over come last, the latest end first."""
    waivers = [WaiverStatus(waiver, True, *_waiver_state(waiver, terms, now)) for waiver in granted]
    waivers += [WaiverStatus(waiver, False, *_waiver_state(waiver, terms, now)) for waiver in of_policy]
    waivers.sort(key=lambda one: (one.waiver.expires, one.waiver.id))
    over = [one for one in waivers if one.state.is_over]
    return [one for one in waivers if not one.state.is_over] + over[::-1]


def _waiver_state(waiver: Waiver, terms: WaiverTerms, now: datetime) -> tuple[GrantState, str]:
    if waiver.withdrawn_at is not None and waiver.withdrawn_at <= now:
        return GrantState.WITHDRAWN, f"withdrawn {waiver.withdrawn_at:%Y-%m-%d}"
    if now.date() > waiver.expires:
        return GrantState.EXPIRED, f"expired {waiver.expires}"
    if fault := waiver.fault(now, terms):
        return GrantState.IDLE, f"does not count: {fault}"
    days = (waiver.expires - now.date()).days
    if waiver.is_ending(now):
        return GrantState.ENDING, f"ends in {counted(days, 'day')}" if days else "ends today"
    fix = " or a fix" if waiver.until_fix else ""
    return GrantState.COUNTS, f"counts until {waiver.expires}{fix}"


def glass_statuses(granted: Iterable[BreakGlass], now: datetime) -> list[GlassStatus]:
    """Return every break-glass, the soonest end first; those that are over come last."""
    statuses = [GlassStatus(glass, *_glass_state(glass, now)) for glass in granted]
    return sorted(statuses, key=lambda one: (one.state.is_over, one.glass.ends_at))


def _glass_state(glass: BreakGlass, now: datetime) -> tuple[GrantState, str]:
    if glass.counts(now):
        return GrantState.ENDING, f"counts until {glass.ends_at:%Y-%m-%d %H:%M} UTC"
    if glass.withdrawn_at is not None:
        return GrantState.WITHDRAWN, f"withdrawn {glass.withdrawn_at:%Y-%m-%d %H:%M} UTC"
    return GrantState.EXPIRED, f"ended {glass.ends_at:%Y-%m-%d %H:%M} UTC"


def table_of(items: Sequence[GrantedItem], width: int) -> Table:
    """Return the table for a terminal of that width, in characters."""
    is_wide = width >= _WIDE
    table = plain_table()
    table.add_column("ID", no_wrap=True)
    table.add_column("LETS PASS", overflow="fold", min_width=16)
    if is_wide:
        table.add_column("FOR", overflow="fold", min_width=12)
    table.add_column("STATE", overflow="fold", min_width=14)
    table.add_column("WHO, WHY", overflow="fold", min_width=16)
    for one in items:
        lets, images = one.row.lets, one.row.images
        cells = (lets, images) if is_wide else (f"{lets}\nfor {images}",)
        state = Text(one.says, style=_STYLES.get(one.state, "dim"))
        table.add_row(one.row.name, *cells, state, one.row.who)
    return table


def _who(waiver: Waiver) -> str:
    by = name_of(waiver.granted_by) if waiver.granted_by else ""
    granted = f", granted by {by}" if by and by != waiver.owner else ""
    ticket = f", {waiver.ticket}" if waiver.ticket else ""
    return f"{waiver.owner}{ticket}{granted}: {waiver.reason}"
