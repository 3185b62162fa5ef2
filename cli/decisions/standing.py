"""The waivers as they stand: which count, until when, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from rich.table import Table
from rich.text import Text

from cli.decisions.answers import where
from cli.decisions.asking import name_of
from cli.view import clean
from imagegate.domain.waiver import Waiver, WaiverTerms

_WIDE = 100


class State(StrEnum):
    COUNTS = "counts"
    ENDING = "ending"  # counts, for a few days more
    IDLE = "idle"  # would count if it were otherwise
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


_STYLES = {State.COUNTS: "green", State.ENDING: "yellow", State.IDLE: "red"}
_OVER = (State.EXPIRED, State.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class Standing:
    """One waiver. `is_granted`: at run time, and so it can be withdrawn; else it is a line of the policy."""

    waiver: Waiver
    is_granted: bool
    state: State
    says: str

    @property
    def is_over(self) -> bool:
        return self.state in _OVER

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
) -> list[Standing]:
    """Those that count or could come first, the soonest end first; then those that are over, the last first."""
    found = [_standing(waiver, terms, now, is_granted=True) for waiver in granted]
    found += [_standing(waiver, terms, now, is_granted=False) for waiver in of_policy]
    found.sort(key=lambda one: (one.waiver.expires, one.waiver.id))
    over = [one for one in found if one.is_over]
    return [one for one in found if not one.is_over] + over[::-1]


def _standing(waiver: Waiver, terms: WaiverTerms, now: datetime, *, is_granted: bool) -> Standing:
    state, says = _state(waiver, terms, now)
    return Standing(waiver, is_granted, state, says)


def _state(waiver: Waiver, terms: WaiverTerms, now: datetime) -> tuple[State, str]:
    if waiver.withdrawn_at is not None and waiver.withdrawn_at <= now:
        return State.WITHDRAWN, f"withdrawn {waiver.withdrawn_at:%Y-%m-%d}"
    if now.date() > waiver.expires:
        return State.EXPIRED, f"expired {waiver.expires}"
    if fault := waiver.fault(now, terms):
        return State.IDLE, f"does not count: {fault}"
    days = (waiver.expires - now.date()).days
    if waiver.is_ending(now):
        return State.ENDING, "ends today" if days == 0 else f"ends in {days} day{'s' if days > 1 else ''}"
    fix = " or a fix" if waiver.until_fix else ""
    return State.COUNTS, f"counts until {waiver.expires}{fix}"


def is_about(waiver: Waiver, repository: str) -> bool:
    """Whether images of this repository may be covered by it."""
    return waiver.repositories is None or fnmatchcase(repository, waiver.repositories)


def table_of(found: Sequence[Standing], width: int) -> Table:
    is_wide = width >= _WIDE
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("ID", no_wrap=True)
    table.add_column("WAIVES", overflow="fold", min_width=16)
    if is_wide:
        table.add_column("FOR", overflow="fold", min_width=12)
    table.add_column("STATE", overflow="fold", min_width=14)
    table.add_column("WHO, WHY", overflow="fold", min_width=16)
    for one in found:
        waiver, images = one.waiver, clean(where(one.waiver))
        what = (clean(waiver.subject), images) if is_wide else (f"{clean(waiver.subject)}\nfor {images}",)
        name = waiver.id if one.is_granted else "policy.yaml"
        table.add_row(name, *what, Text(clean(one.says), style=_STYLES.get(one.state, "dim")), _who(waiver))
    return table


def _who(waiver: Waiver) -> str:
    by = name_of(waiver.granted_by) if waiver.granted_by else ""
    granted = f", granted by {by}" if by and by != waiver.owner else ""
    ticket = f", {waiver.ticket}" if waiver.ticket else ""
    return clean(f"{waiver.owner}{ticket}{granted}: {waiver.reason}")
