"""Parts of the ledger for work that is still to do: releases that wait, what is done once, and whose turn it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.release.release import Release, ReleaseId, WaitingScan


class OpenReleases(Protocol):
    """Attempts that have not ended, for the reconciler."""

    def open_releases(self) -> Iterator[Release]:
        """Yield the open attempts; eventually consistent. Those that an earlier version began may be missing."""


class ScanTokens(Protocol):
    """Task tokens of executions that wait for a scan."""

    def keep_token(self, scan: WaitingScan) -> None:
        """Store a token. A retried task replaces its own; an older token never replaces a newer one."""

    def tokens_of(self, image: ImageRef) -> list[WaitingScan]:
        """Return the tokens that wait for a scan of this image."""

    def all_tokens(self) -> Iterator[WaitingScan]:
        """Yield every token, for the reconciler; eventually consistent."""

    def forget_token(self, scan: WaitingScan) -> None:
        """Delete a token, unless the task was retried and has another one by now."""


class HeldReleases(Protocol):
    """Attempts that wait for an approval."""

    def hold(self, release: ReleaseId, at: datetime) -> None:
        """Record that the attempt waits for an approval."""

    def held(self) -> Iterator[ReleaseId]:
        """Yield the attempts that wait; eventually consistent."""

    def stop_holding(self, release: ReleaseId) -> None:
        """Record that the attempt no longer waits."""


class RepeatedRequests(Protocol):
    """Images that were promoted into a repository after its gate had refused them."""

    def request_again(self, image: ImageRef, at: datetime) -> None:
        """Note the image: the reconciler requests a release of it."""

    def requested_again(self) -> Iterator[ImageRef]:
        """Yield the noted images; eventually consistent."""

    def forget_request(self, image: ImageRef) -> None:
        """Delete the note."""


class Notices(Protocol):
    """Things that are done once, each by a name."""

    def note(self, notice: str) -> None:
        """Record that it is done."""

    def claim(self, notice: str, now: datetime) -> bool:
        """Claim to do it. Return False if it is done, or if another caller claimed it less than a minute ago."""

    def is_noted(self, notice: str) -> bool:
        """Say whether it is done."""

    def noted(self, notices: Sequence[str]) -> set[str]:
        """Return those of the notices that are done."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn of one caller with a work that must not run twice at the same time.

    `notes` are what the callers before have left, as JSON, where the work goes on.
    """

    work: str
    holder: str
    notes: Mapping[str, Any]


class Turns(Protocol):
    """Work that one caller does at a time, and where it goes on."""

    def take_turn(self, work: str, now: datetime, lasts: timedelta) -> Turn | None:
        """Take the turn, which ends by itself after that time. Return None if another caller has it."""

    def note_progress(self, turn: Turn, notes: Mapping[str, Any]) -> None:
        """Leave notes for the next turn already now, in case this one is cut off; no effect as for `end_turn`."""

    def end_turn(self, turn: Turn, notes: Mapping[str, Any]) -> None:
        """End the turn, and leave notes for the next one; no effect if the turn has passed to another caller."""
