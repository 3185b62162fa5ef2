"""Mails that are counted, and those that come later in a summary: parts of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from imagegate.notices.later_mail import LaterMail
    from imagegate.release.release import ReleaseId


class CountedMails(Protocol):
    """Mails at once, counted in each hour of the clock."""

    def count_mail(self, owner: str, release: ReleaseId, at: datetime, most: int) -> int | None:
        """Count the mail about a release in the hour of `at`: once, however often it is called.

        `owner` is empty for all images. Return the number of mails so far, or None if there are `most` without it.
        """

    def keep_later(self, mail: LaterMail) -> None:
        """Keep it for the next summary; a second time changes nothing, also after the summary."""


class LaterMails(Protocol):
    """Mails for the next summary."""

    def later_mails(self) -> Iterator[LaterMail]:
        """Yield those that no summary has had, the oldest first; eventually consistent."""

    def note_summary(self, mail: LaterMail, now: datetime) -> None:
        """Record that a summary has had it."""
