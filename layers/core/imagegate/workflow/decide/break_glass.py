"""Break the glass: a person lets one image run though its gate did not pass it; everybody hears of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Protocol

from imagegate.errors import RecordNotFoundError, RejectedInputError
from imagegate.grants.break_glass import BreakGlass
from imagegate.grants.results import BreakGlassResult
from imagegate.notices.grant_notice import glass_broken, glass_mended
from imagegate.oci.image import ImageRef
from imagegate.ports.executions import Starter
from imagegate.ports.grants import WritableGrants
from imagegate.ports.ledger import Notices, ReleaseLists, Releases
from imagegate.ports.services import Notifications
from imagegate.release.release import Outcome, Release, StartReason

# A pattern finds images that were judged lately; an image by its repository's name is found however old it is.
_LOOKED_AT = 300


class BreakGlassRefusedError(RejectedInputError):
    """It would not count; the message says why."""


class BreakGlassLedger(Releases, ReleaseLists, Notices, Protocol):
    """The parts of the ledger that `GrantBreakGlass` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantBreakGlass:
    grants: WritableGrants
    ledger: BreakGlassLedger
    starter: Starter
    notifications: Notifications

    def run(self, asked: BreakGlass, now: datetime) -> BreakGlassResult:
        """Raise `BreakGlassRefusedError`. `asked` lacks its platforms; asked again, the first one stands."""
        if fault := asked.fault():
            raise BreakGlassRefusedError(f"the break-glass for {asked.where} {fault}")
        known = list(self._known(asked, now))
        platforms = {platform: None for release in known for platform in release.platforms}
        glass = self._granted(asked, now) or replace(asked, platforms=tuple(platforms))
        is_new = self.grants.break_glass(glass)
        self._tell(glass)
        blocked = tuple(release for release in known if release.outcome is Outcome.BLOCKED)
        for release in blocked:
            self.starter.request(release.image, sorted(release.tags), StartReason.BREAK_GLASS)
        return BreakGlassResult(glass, is_new, blocked)

    def mend(self, name: str, by: str, now: datetime) -> BreakGlass:
        """It ends now. Raises `RecordNotFoundError` when there is none of that name."""
        glass = self.grants.withdraw_break_glass(name, now, by)
        if glass is None:
            raise RecordNotFoundError(f"there is no break-glass {name}: imagegate decide list shows them")
        self.notifications.publish(glass_mended(glass, by))
        return glass

    def _granted(self, asked: BreakGlass, now: datetime) -> BreakGlass | None:
        """The same one, if it was granted before and still counts: a call that was killed is made again."""
        for one in self.grants.broken_glass():
            alike = replace(asked, platforms=one.platforms, granted_at=one.granted_at)
            if alike == one and one.counts(now):
                return one
        return None

    def _known(self, asked: BreakGlass, now: datetime) -> Iterator[Release]:
        """The last attempt of the image in each repository that is meant."""
        latest = self.ledger.latest(ImageRef(asked.repositories, asked.digest))
        if latest is not None:
            yield latest
            return
        seen: set[str] = set()
        for release in self.ledger.recent(_LOOKED_AT, now):
            repository = release.image.repository
            is_meant = release.image.digest == asked.digest and fnmatchcase(repository, asked.repositories)
            if is_meant and repository not in seen:
                seen.add(repository)
                yield release

    def _tell(self, glass: BreakGlass) -> None:
        """Before anything is done by it: once, as far as calls that are killed allow."""
        notice = f"{glass.id} granted"
        if not self.ledger.is_noted(notice):
            self.notifications.publish(glass_broken(glass))
            self.ledger.note(notice)
