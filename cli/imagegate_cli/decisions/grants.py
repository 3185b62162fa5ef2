"""What was granted, as it stands: what counts, until when, and why the rest does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Protocol

from rich.table import Table

from imagegate.grants.break_glass import BreakGlass
from imagegate.policy.waiver import Waiver, WaiverTerms
from imagegate_cli.decisions.answers import where
from imagegate_cli.decisions.asking import name_of
from imagegate_cli.output.screen import Text

_WIDE = 100


class GrantState(StrEnum):
    COUNTS = "counts"
    ENDING = "ending"  # counts, for a few days more
    IDLE = "idle"  # would count if it were otherwise
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


_STYLES = {GrantState.COUNTS: "green", GrantState.ENDING: "yellow", GrantState.IDLE: "red"}
_OVER = (GrantState.EXPIRED, GrantState.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class Row:
    """What a table says of a grant, beside its state."""

    name: str
    lets: str
    images: str
    who: str


class GrantedItem(Protocol):
    """Something that was granted."""

    @property
    def state(self) -> GrantState: ...
    @property
    def says(self) -> str: ...
    @property
    def is_over(self) -> bool: ...
    @property
    def row(self) -> Row: ...
    def is_about(self, repository: str) -> bool: ...
    def as_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class GlassStanding:
    """One break-glass."""

    glass: BreakGlass
    state: GrantState
    says: str

    @property
    def is_over(self) -> bool:
        return self.state in _OVER

    @property
    def row(self) -> Row:
        glass = self.glass
        return Row(glass.id, "break-glass", glass.where, f"{name_of(glass.granted_by)}: {glass.reason}")

    def is_about(self, repository: str) -> bool:
        """Whether images of this repository may be covered by it."""
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
    """One waiver. `is_granted`: at run time, and so it can be withdrawn; else it is a line of the policy."""

    waiver: Waiver
    is_granted: bool
    state: GrantState
    says: str

    @property
    def is_over(self) -> bool:
        return self.state in _OVER

    @property
    def row(self) -> Row:
        waiver = self.waiver
        name = waiver.id if self.is_granted else "policy.yaml"
        return Row(name, waiver.subject, where(waiver), _who(waiver))

    def is_about(self, repository: str) -> bool:
        """Whether images of this repository may be covered by it."""
        return self.waiver.repositories is None or fnmatchcase(repository, self.waiver.repositories)

    def as_json(self) -> dict[str, Any]:
        """`waiver` has the form in which decision records keep it; `id` is null where the policy has it."""
        return {
            "id": self.waiver.id if self.is_granted else None,
            "source": "granted" if self.is_granted else "policy",
            "state": str(self.state),
            "says": self.says,
            "waiver": self.waiver.as_json(),
        }


def standings(
    granted: Iterable[Waiver], of_policy: Iterable[Waiver], terms: WaiverTerms, now: datetime
) -> list[WaiverStatus]:
    """Those that count or could come first, the soonest end first; then those that are over, the last first."""
    found = [_standing(waiver, terms, now, is_granted=True) for waiver in granted]
    found += [_standing(waiver, terms, now, is_granted=False) for waiver in of_policy]
    found.sort(key=lambda one: (one.waiver.expires, one.waiver.id))
    over = [one for one in found if one.is_over]
    return [one for one in found if not one.is_over] + over[::-1]


def _standing(waiver: Waiver, terms: WaiverTerms, now: datetime, *, is_granted: bool) -> WaiverStatus:
    state, says = _state(waiver, terms, now)
    return WaiverStatus(waiver, is_granted, state, says)


def _state(waiver: Waiver, terms: WaiverTerms, now: datetime) -> tuple[GrantState, str]:
    if waiver.withdrawn_at is not None and waiver.withdrawn_at <= now:
        return GrantState.WITHDRAWN, f"withdrawn {waiver.withdrawn_at:%Y-%m-%d}"
    if now.date() > waiver.expires:
        return GrantState.EXPIRED, f"expired {waiver.expires}"
    if fault := waiver.fault(now, terms):
        return GrantState.IDLE, f"does not count: {fault}"
    days = (waiver.expires - now.date()).days
    if waiver.is_ending(now):
        return (
            GrantState.ENDING,
            "ends today" if days == 0 else f"ends in {days} day{'s' if days > 1 else ''}",
        )
    fix = " or a fix" if waiver.until_fix else ""
    return GrantState.COUNTS, f"counts until {waiver.expires}{fix}"


def glass_standings(granted: Iterable[BreakGlass], now: datetime) -> list[GlassStanding]:
    """The soonest end first; what is over comes last."""
    found = [GlassStanding(glass, *_glass_state(glass, now)) for glass in granted]
    return sorted(found, key=lambda one: (one.is_over, one.glass.ends_at))


def _glass_state(glass: BreakGlass, now: datetime) -> tuple[GrantState, str]:
    if glass.counts(now):
        return GrantState.ENDING, f"counts until {glass.ends_at:%Y-%m-%d %H:%M} UTC"
    if glass.withdrawn_at is not None:
        return GrantState.WITHDRAWN, f"withdrawn {glass.withdrawn_at:%Y-%m-%d %H:%M} UTC"
    return GrantState.EXPIRED, f"ended {glass.ends_at:%Y-%m-%d %H:%M} UTC"


def table_of(found: Sequence[GrantedItem], width: int) -> Table:
    is_wide = width >= _WIDE
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("ID", no_wrap=True)
    table.add_column("LETS PASS", overflow="fold", min_width=16)
    if is_wide:
        table.add_column("FOR", overflow="fold", min_width=12)
    table.add_column("STATE", overflow="fold", min_width=14)
    table.add_column("WHO, WHY", overflow="fold", min_width=16)
    for one in found:
        lets, images = one.row.lets, one.row.images
        what = (lets, images) if is_wide else (f"{lets}\nfor {images}",)
        state = Text(one.says, style=_STYLES.get(one.state, "dim"))
        table.add_row(one.row.name, *what, state, one.row.who)
    return table


def _who(waiver: Waiver) -> str:
    by = name_of(waiver.granted_by) if waiver.granted_by else ""
    granted = f", granted by {by}" if by and by != waiver.owner else ""
    ticket = f", {waiver.ticket}" if waiver.ticket else ""
    return f"{waiver.owner}{ticket}{granted}: {waiver.reason}"
