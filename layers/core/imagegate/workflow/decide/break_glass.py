"""Break-glass: a person lets one image run although it did not pass its gate. Everybody gets a message at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from imagegate.deployment.check import has_passed
from imagegate.errors import RecordNotFoundError, RejectedInputError
from imagegate.grants.results import BreakGlassResult
from imagegate.notices.grant_notice import glass_broken, glass_withdrawn
from imagegate.oci.image import ImageRef
from imagegate.ports.ledger import ReleaseLists, Releases
from imagegate.ports.pending import Notices
from imagegate.release.release import Outcome, Release, StartReason

if TYPE_CHECKING:
    from imagegate.grants.break_glass import BreakGlass
    from imagegate.ports.executions import Starter
    from imagegate.ports.grants import WritableGrants
    from imagegate.ports.services import Notifications

# With a pattern, the releases of a year are searched; with the name of a repository, all.
_LOOKS_BACK = timedelta(days=365)


class BreakGlassRefusedError(RejectedInputError):
    """The break-glass would not count. The message says why."""


class BreakGlassLedger(Releases, ReleaseLists, Notices, Protocol):
    """The parts of the ledger that `GrantBreakGlass` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantBreakGlass:
    grants: WritableGrants
    ledger: BreakGlassLedger
    starter: Starter
    notifications: Notifications

    def run(self, request: BreakGlass, now: datetime) -> BreakGlassResult:
        """Grant the break-glass, which `request` has without its platforms, and start its blocked releases again.

        A repeated call returns the first grant. Raises `BreakGlassRefusedError`.
        """
        if fault := request.fault():
            raise BreakGlassRefusedError(f"the break-glass for {request.where} {fault}")
        known = list(self._known(request, now))
        self._check_needed(request, known)
        platforms = {platform: None for release in known for platform in release.platforms}
        glass = self._granted(request, now) or replace(request, platforms=tuple(platforms))
        is_new = self.grants.break_glass(glass)
        self._announce(glass)
        blocked = tuple(release for release in known if release.outcome is Outcome.BLOCKED)
        for release in blocked:
            self.starter.request(release.image, sorted(release.tags), StartReason.BREAK_GLASS)
        revoked = tuple(release for release in known if release.revoked)
        return BreakGlassResult(glass, is_new, blocked, revoked)

    def withdraw(self, break_glass_id: str, by: str, now: datetime) -> BreakGlass:
        """End the break-glass now. Raises `RecordNotFoundError` if there is none with this ID."""
        glass = self.grants.withdraw_break_glass(break_glass_id, now, by)
        if glass is None:
            raise RecordNotFoundError(
                f"there is no break-glass {break_glass_id}: imagegate decide list shows them"
            )
        self.notifications.publish(glass_withdrawn(glass, by))
        return glass

    def _check_needed(self, request: BreakGlass, known: Sequence[Release]) -> None:
        """Raise `BreakGlassRefusedError` if the image has passed wherever the request covers it."""
        if known and all(has_passed(release) for release in known):
            where = ", ".join(sorted(f"the {release.stage} gate" for release in known))
            raise BreakGlassRefusedError(
                f"the break-glass for {request.where} would do nothing: the image passed {where} and is signed"
            )

    def _granted(self, request: BreakGlass, now: datetime) -> BreakGlass | None:
        """Return the same break-glass if it was granted before and still counts, or None."""
        for one in self.grants.broken_glass():
            alike = replace(request, platforms=one.platforms, granted_at=one.granted_at)
            if alike == one and one.counts(now):
                return one
        return None

    def _known(self, request: BreakGlass, now: datetime) -> Iterator[Release]:
        """Yield the latest attempt of the image in each repository that the request covers."""
        latest = self.ledger.latest(ImageRef(request.repositories, request.digest))
        if latest is not None:
            yield latest
            return
        seen: set[str] = set()
        for release in self.ledger.recent(now - _LOOKS_BACK, now, digest=request.digest):
            repository = release.image.repository
            if fnmatchcase(repository, request.repositories) and repository not in seen:
                seen.add(repository)
                yield release

    def _announce(self, glass: BreakGlass) -> None:
        """Announce the break-glass once, before it has any effect. A call that is killed may announce it twice."""
        notice = f"{glass.id} granted"
        if not self.ledger.is_noted(notice):
            self.notifications.publish(glass_broken(glass))
            self.ledger.note(notice)
