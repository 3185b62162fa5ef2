"""Walks over the repositories, and finds pushes, new tags and deletions that no event announced.

A pass is one walk over all of them. It may take several runs: the notes say where the next one goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from imagegate.canonical_json import parse_timestamp
from imagegate.errors import RejectedInputError
from imagegate.ports.ledger import BegunReleases, IgnoredImages, Releases
from imagegate.release.release import EcrImage, StartReason

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.policy.policy import Policy
    from imagegate.ports.executions import Starter
    from imagegate.ports.images import Images
    from imagegate.workflow.watch.deleted import AnnounceDeletion
    from imagegate.workflow.watch.sweep import Sweep

T = TypeVar("T")
_NOTES = "repositories"
# EventBridge tries to deliver an event for a day.
_LOOKS_BACK = timedelta(days=1)
# Most passes look at pushes since the last pass. Once an hour, one looks at the whole day, and for deleted images.
_THOROUGH_EVERY = timedelta(hours=1)
# An image may be a little older in ECR's list than in the order in which it was listed.
_OVERLAP = timedelta(minutes=15)
# The repositories whose images are in memory at the same time.
_REPOSITORIES_AT_ONCE = 256
_IMAGES_AT_ONCE = 100  # the keys of one BatchGetItem
# The time for images that are listed already: it does not depend on how long that took, so each run gets on.
_MORE_SECONDS = 10.0


class LostLedger(Releases, BegunReleases, IgnoredImages, Protocol):
    """The parts of the ledger that `FindLost` uses."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One walk: the time when it began, the push time from which it looks, the last repository that is done."""

    began: datetime
    since: datetime
    is_thorough: bool
    after: str = ""
    has_faults: bool = False
    stored_bytes: int = 0  # in a thorough pass, up to now

    @classmethod
    def of(cls, notes: Any, now: datetime, installed_at: datetime) -> Self:
        """Return the pass that the notes tell of, or a new one."""
        if "after" in notes:
            began, since = parse_timestamp(notes["began"]), parse_timestamp(notes["since"])
            stored = notes.get("storedBytes", 0)
            return cls(began, since, notes["thorough"], notes["after"], notes["faults"], stored)
        thorough_at = parse_timestamp(notes["thoroughAt"]) if notes else None
        is_thorough = thorough_at is None or now - thorough_at >= _THOROUGH_EVERY
        since = now - _LOOKS_BACK
        if not is_thorough:
            since = max(since, parse_timestamp(notes["lookedUntil"]) - _OVERLAP)
        return cls(now, max(since, installed_at), is_thorough)

    def notes(self, before: Any, *, is_over: bool) -> dict[str, Any]:
        """Return the notes for the next run. `before`: the notes that this pass began with."""
        kept = {name: before[name] for name in ("thoroughAt", "lookedUntil") if name in before}
        if not is_over:
            going = {"began": self.began.isoformat(), "since": self.since.isoformat()}
            return {
                **kept,
                **going,
                "thorough": self.is_thorough,
                "after": self.after,
                "faults": self.has_faults,
                "storedBytes": self.stored_bytes,
            }
        # What could not be looked at is looked at again with the next pass.
        looked_until = self.since + _OVERLAP if self.has_faults else self.began
        thorough_at = self.began.isoformat() if self.is_thorough else kept["thoroughAt"]
        return {"thoroughAt": thorough_at, "lookedUntil": looked_until.isoformat()}


@dataclass(frozen=True, slots=True)
class LostFound:
    """The releases that were requested, the deletions that were announced, and whether the pass is over.

    `stored_bytes`: the sizes of all images, if this run ended a thorough pass that read all repositories.
    """

    started: int
    gone: int
    is_over: bool
    stored_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindLost:
    images: Images
    ledger: LostLedger
    starter: Starter
    deletions: AnnounceDeletion
    policy: Policy
    installed_at: datetime

    def run(
        self,
        sweep: Sweep,
        notes: dict[str, Any],
        now: datetime,
        until: float,
        keep_notes: Callable[[], None],
    ) -> LostFound:
        """Go on with the pass until so many seconds of the run have passed.

        After each part, `keep_notes` writes the notes, so that a run that is killed loses only its last part.
        """
        before = notes.get(_NOTES, {})
        walk = Pass.of(before, now, self.installed_at)
        started = gone = 0
        is_over = True
        names = self._repositories(sweep, walk)
        if names is None:
            return LostFound(0, 0, is_over=False)
        for some in _slices(names, _REPOSITORIES_AT_ONCE):
            faults = len(sweep.faults)
            pushed: dict[ImageRef, EcrImage] = {}
            sizes: list[int] = []
            look = partial(self._look, walk, pushed, sizes, now)
            looked = sweep.each("repositories", partial(iter, some), look, until=until)
            requested, is_whole = self._start_lost(sweep, walk, [*pushed.values()])
            gone, started = gone + looked.done, started + requested
            walk = replace(walk, has_faults=walk.has_faults or len(sweep.faults) > faults)
            if is_whole and looked.last is not None:
                walk = replace(walk, after=looked.last, stored_bytes=walk.stored_bytes + sum(sizes))
            if not (looked.is_whole and is_whole):
                is_over = False
                break
            notes[_NOTES] = walk.notes(before, is_over=False)
            sweep.each("notes of the walk", lambda: [_NOTES], lambda _: keep_notes(), until=until)
        notes[_NOTES] = walk.notes(before, is_over=is_over)
        is_known = is_over and walk.is_thorough and not walk.has_faults
        return LostFound(started, gone, is_over, walk.stored_bytes if is_known else None)

    def _repositories(self, sweep: Sweep, walk: Pass) -> list[str] | None:
        """Return the repositories that are not done yet, in their order, or None if the list has a fault."""
        names = sweep.listed("repositories", self.images.repositories)
        if "repositories" in sweep.faults:
            return None
        return sorted(name for name in names if name > walk.after and self.policy.stage_of(name))

    def _look(
        self,
        walk: Pass,
        pushed: dict[ImageRef, EcrImage],
        sizes: list[int],
        now: datetime,
        repository: str,
    ) -> bool:
        """Add the images that were pushed to the repository since, under a tag.

        In a thorough pass, add those with several tags, because ECR does not say when an image got another one. Add
        the size of the repository, too, and announce a deleted image.
        """
        digests, size = set(), 0
        listed = self.images.all_images if walk.is_thorough else self.images.tagged
        for facts in listed(repository):
            size += facts.size
            if facts.tags:
                digests.add(facts.image.digest)
                if facts.pushed_at >= walk.since or (walk.is_thorough and len(facts.tags) > 1):
                    pushed[facts.image] = facts
        sizes.append(size)
        return walk.is_thorough and self.deletions.look(repository, now, digests)

    def _start_lost(self, sweep: Sweep, walk: Pass, pushed: Sequence[EcrImage]) -> tuple[int, bool]:
        """Request releases of the images that have none, or none with all their tags.

        Return their number, and whether all were looked at.
        """
        until = sweep.elapsed() + _MORE_SECONDS
        lost: list[EcrImage] = []
        damaged: list[EcrImage] = []

        def look(some: Sequence[EcrImage]) -> None:
            lost.extend(self._without_release(some, walk.since))

        def look_apart(some: Sequence[EcrImage]) -> None:
            try:
                look(some)
            except RejectedInputError:  # one item cannot be read: the others can
                damaged.extend(some)

        each = partial(sweep.each, "pushed images", until=until)
        looked = each(lambda: _slices(pushed, _IMAGES_AT_ONCE), look_apart)
        apart = each(lambda: [[one] for one in damaged], look, name=lambda some: some[0].image)
        requested = each(lambda: lost, self._request, name=lambda one: one.image)
        return requested.done, looked.is_whole and apart.is_whole and requested.is_whole

    def _without_release(self, images: Sequence[EcrImage], since: datetime) -> list[EcrImage]:
        """Return the images without a release, or with a tag that none has, unless the ledger says why."""
        begun = self.ledger.begun([one.image for one in images])
        lost = [
            one
            for one in images
            if (self._has_lost_tag(one, begun[one.image]) if one.image in begun else one.pushed_at >= since)
        ]
        ignored = self.ledger.ignored_among([one.image for one in lost]) if lost else {}
        return [
            one
            for one in lost
            if one.image not in ignored or not ignored[one.image].settles(one, self.policy.digest)
        ]

    def _has_lost_tag(self, facts: EcrImage, first_tags: frozenset[str]) -> bool:
        """Return whether the image has a tag that no attempt has. A revoked image gets no other attempt."""
        if facts.tags <= first_tags or facts.pushed_at < self.installed_at:
            return False
        attempts = self.ledger.history(facts.image).attempts
        known = frozenset[str]().union(*(one.tags for one in attempts))
        return not (facts.tags <= known or attempts[0].revoked)

    def _request(self, facts: EcrImage) -> bool:
        # Its event may still come: two requests for the same start are one start.
        self.starter.request(facts.image, sorted(facts.tags), StartReason.PUSH)
        return True


def _slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
