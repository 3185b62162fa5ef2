"""Roll back: deployers are told once more of the release before, if it may still run.

Rules: nothing mutable is needed, the event is all; the ledger keeps it before anybody is told; who asks names what the
application goes back from and to, so that a call that is made again goes back once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from imagegate.domain.deployment import last_word, passes, refusal
from imagegate.domain.errors import (
    ImageNotFoundError,
    RejectedInputError,
    RetryableError,
    VerificationError,
)
from imagegate.domain.image import Digest, ImageRef, repository_name
from imagegate.domain.policy import Policy, Stage
from imagegate.domain.release import Release
from imagegate.domain.rollback import Rollback, line_of
from imagegate.domain.rollback_notice import rolled_back
from imagegate.ports import Ledger, Notifications, Registry, Signer
from imagegate.steps.signatures import verify_signature

# Attempts of one repository that are looked through, newest first; older ones are named with --to.
_LOOKED_AT = 300


class RollbackRefusedError(RejectedInputError):
    """There is nothing to go back to, or not to that; the message says why."""


class RollbackContentionError(RetryableError):
    """Somebody else rolled back at the same moment; ask again."""


@dataclass(frozen=True, slots=True)
class Place:
    """An application in one stage."""

    application: str
    stage: Stage
    repository: str

    def __str__(self) -> str:
        return f"{self.application} in {self.stage.name}"


@dataclass(frozen=True, slots=True)
class Way:
    """From what was told last to what may run. `skipped`: what lies between, each with why it is no way back."""

    place: Place
    origin: Digest
    before: Release | None  # the last attempt of `origin`
    release: Release
    skipped: tuple[tuple[Digest, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RolledBack:
    way: Way
    rollback: Rollback
    is_new: bool


@dataclass(frozen=True, slots=True)
class RollBack:
    ledger: Ledger
    registry: Callable[[], Registry]
    signer: Callable[[], Signer]
    notifications: Notifications
    policy: Policy

    def look(self, application: str, stage: str, to: Digest | None, now: datetime) -> Way:
        """Where a rollback would lead; changes nothing. `to` None: to the release before.

        Raises `RollbackRefusedError`, or `RejectedInputError` for what no stage has.
        """
        place = self._place(application, stage)
        return self._way(place, to, self.ledger.rollbacks(place.repository), now)

    def run(
        self, application: str, stage: str, asked: tuple[Digest, Digest], by: str, reason: str, now: datetime
    ) -> RolledBack:
        """`asked`: from what, and to what. Raises as `look` does, and where `from` is no longer what was told last."""
        place, (origin, target) = self._place(application, stage), asked
        known = self.ledger.rollbacks(place.repository)
        last = known[0] if known else None
        if last and (last.origin, last.target) == asked and self._current(place, known) == target:
            return self._finish(self._again(place, last, now), last, is_new=False)
        way = self._way(place, target, known, now)
        if way.origin != origin:
            message = f"{place}: {way.origin.short} was told last by now, not {origin.short}; look again"
            raise RollbackRefusedError(message)
        number = last.number + 1 if last else 1
        rollback = Rollback(place.repository, number, now, by, reason, origin, target)
        if not self.ledger.note_rollback(rollback):
            raise RollbackContentionError(f"{place}: somebody else rolled back at the same moment; ask again")
        return self._finish(way, rollback, is_new=True)

    def _place(self, application: str, stage_name: str) -> Place:
        stage = self.policy.stages.get(stage_name)
        if stage is None:
            stages = ", ".join(self.policy.stages)
            raise RejectedInputError(f"the policy has no stage {stage_name!r}; it has {stages}")
        repository = repository_name(stage.repositories.repository_of(application))
        if stage.repositories.app_of(repository) != application and repository != application:
            raise RejectedInputError(f"{stage_name} has the repository {repository}: name that one")
        return Place(application, stage, repository)

    def _current(self, place: Place, rollbacks: list[Rollback]) -> Digest | None:
        line = line_of(self.ledger.of_repository(place.repository, _LOOKED_AT), rollbacks)
        return line[-1] if line else None

    def _way(self, place: Place, to: Digest | None, rollbacks: list[Rollback], now: datetime) -> Way:
        line = line_of(self.ledger.of_repository(place.repository, _LOOKED_AT), rollbacks)
        if not line:
            raise RollbackRefusedError(f"{place}: nothing was released; there is nothing to go back from")
        origin = line[-1]
        if to == origin:
            raise RollbackRefusedError(f"{place}: {origin.short} is what deployers were told of last")
        skipped = []
        for digest in [to] if to else reversed(line[:-1]):
            found = self._standing(place, digest)
            if isinstance(found, Release):
                self._verify(place, found, now)
                before = self.ledger.latest(ImageRef(place.repository, origin))
                return Way(place, origin, before, found, tuple(skipped))
            skipped.append((digest, found))
        raise RollbackRefusedError(_no_way(place, origin, to, skipped))

    def _again(self, place: Place, rollback: Rollback, now: datetime) -> Way:
        """The way of a rollback that was decided: its call may have been killed before anybody was told."""
        found = self._standing(place, rollback.target)
        if not isinstance(found, Release):
            raise RollbackRefusedError(f"{place}: {rollback.target.short} {found}")
        self._verify(place, found, now)
        return Way(place, rollback.origin, self.ledger.latest(ImageRef(place.repository, rollback.origin)), found)

    def _standing(self, place: Place, digest: Digest) -> Release | str:
        """The attempt that lets the image run, or why it may not."""
        image = ImageRef(place.repository, digest)
        word = last_word(self.ledger.history(image).attempts, place.stage)
        if word is None:
            return f"was never judged to the end at the {place.stage.name} gate"
        if not passes(word, place.stage):
            return f"did not pass the {place.stage.name} gate: {refusal(word)}"
        if not self.registry().has_manifest(image):
            return f"is no longer in {place.repository}"
        return word

    def _verify(self, place: Place, release: Release, now: datetime) -> None:
        """Loudly: that a signature does not hold is no reason to take another image without a word."""
        registry, image = self.registry(), release.image
        try:
            if release.signature is None:  # `passes` has seen to it
                raise ImageNotFoundError("the ledger names no signature")
            subject = registry.manifest(image.repository, image.digest).descriptor
            signature = ImageRef(image.repository, release.signature)
            verify_signature(registry, self.signer(), signature, subject, place.stage.name, now)
        except (VerificationError, ImageNotFoundError) as error:
            message = f"{place}: the signature of {image.digest.short} does not hold ({error}); nothing was told"
            raise RollbackRefusedError(f"{message}. Name another image: {_hint(place)}") from error

    def _finish(self, way: Way, rollback: Rollback, *, is_new: bool) -> RolledBack:
        """Once, as far as calls that are killed allow."""
        notice = rollback.id
        if not self.ledger.is_noted(notice):
            self.notifications.publish(rolled_back(rollback, way.place.application, way.release, way.before))
            self.ledger.note(notice)
        return RolledBack(way, rollback, is_new)


def _no_way(place: Place, origin: Digest, to: Digest | None, skipped: list[tuple[Digest, str]]) -> str:
    why = "; ".join(f"{digest.short} {reason}" for digest, reason in skipped[:5])
    if to:
        return f"{place} cannot go back: {why}"
    if why:
        return f"{place}: nothing before {origin.short} may run ({why}). Name an image: {_hint(place)}"
    return f"{place}: nothing was released before {origin.short}. Name an image: {_hint(place)}"


def _hint(place: Place) -> str:
    return f"imagegate rollback {place.application} {place.stage.name} --to TAG"
