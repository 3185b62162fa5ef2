"""Revoke: a person revokes the signatures of an image, in its stage and in every stage that it went on to.

Rules: the ledger is written first, so that nothing is deployed meanwhile. The next call finishes one that was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from imagegate.errors import (
    AccessRefusedError,
    RecordNotFoundError,
    RejectedInputError,
)
from imagegate.evidence.attestation import NOTATION_SIGNATURE
from imagegate.grants.results import RevocationResult
from imagegate.notices.grant_notice import signature_revoked
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Policy, Scanner
from imagegate.ports.ledger import RevocableReleases
from imagegate.ports.pending import Notices

if TYPE_CHECKING:
    from imagegate.ports.images import Usage
    from imagegate.ports.registry import Registry
    from imagegate.ports.services import Notifications
    from imagegate.ports.signer import Signer
    from imagegate.release.release import Release
    from imagegate.release.revocation import Revocation, RunsIn


@dataclass(frozen=True, slots=True)
class RepositoryAttempts:
    """One repository that the image went through, and its attempts there, newest first."""

    image: ImageRef
    stage: str
    attempts: tuple[Release, ...]

    @property
    def has_signed(self) -> bool:
        return any(attempt.signature for attempt in self.attempts)


class RevocationLedger(RevocableReleases, Notices, Protocol):
    """The parts of the ledger that `RevokeSignatures` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeSignatures:
    ledger: RevocationLedger
    registry: Callable[[], Registry]
    signer: Callable[[], Signer]
    usage: Usage
    notifications: Notifications
    policy: Policy

    def run(self, image: ImageRef, revocation: Revocation, *, onward: bool = True) -> RevocationResult:
        """Revoke the signatures of the image. `onward` includes the stages after.

        Raises `RecordNotFoundError` if no gate has signed the image.
        """
        places = list(self._places(image, onward=onward))
        if not any(place.has_signed for place in places):
            raise RecordNotFoundError(f"{image}: no gate has signed it; there is nothing to revoke")
        first = places[0].attempts[0].revoked or revocation
        for place in places:
            self._note(place, first)
        stages = tuple(place.stage for place in places)
        signatures = set[Digest]().union(*(self._revoke(one, stages, first.reason) for one in places))
        where = tuple(place.image for place in places)
        earlier = tuple(self._earlier(image))
        revoked = RevocationResult(
            image, first, where, stages, len(signatures), self._runs_in(where), earlier
        )
        self._announce(revoked)
        return revoked

    def _places(self, image: ImageRef, *, onward: bool) -> Iterator[RepositoryAttempts]:
        """Yield the image in its repository, and in each repository that it was promoted to from there."""
        seen: set[ImageRef] = set()
        following: list[ImageRef] = [image]
        for one in following:
            stage = self.policy.stage_of(one.repository)
            attempts = self.ledger.history(one).attempts
            if one in seen or stage is None or not attempts:
                continue
            seen.add(one)
            yield RepositoryAttempts(one, stage.name, attempts)
            if onward:
                targets = [attempt.promotion for attempt in attempts if attempt.promotion]
                following += [ImageRef(target.repository, target.digest) for target in targets]

    def _earlier(self, image: ImageRef) -> Iterator[ImageRef]:
        """Yield the image in the repositories before this one whose gates have signed it, and still vouch for it."""
        for repository in self.policy.way_to(image.repository):
            before = ImageRef(repository, image.digest)
            attempts = self.ledger.history(before).attempts if before != image else ()
            if any(one.signature for one in attempts) and not attempts[0].revoked:
                yield before

    def _note(self, place: RepositoryAttempts, revocation: Revocation) -> None:
        """Record the revocation on each signed attempt, and on the newest one, so that no attempt starts after it."""
        newest, *older = place.attempts
        for attempt in (newest, *(one for one in older if one.signature)):
            self.ledger.revoke(attempt.id, revocation)

    def _revoke(self, place: RepositoryAttempts, stages: tuple[str, ...], reason: str) -> set[Digest]:
        """Revoke all signatures in one repository, and return their digests."""
        subjects = {place.image.digest, *(leaf for one in place.attempts for leaf in one.platforms)}
        listed = {digest: None for subject in subjects for digest in self._listed(place.image, subject)}
        # The registry may not list all of them yet; the ledger has them.
        known = [digest for one in place.attempts for digest in (one.signature, *one.evidence) if digest]
        every = {**listed, **dict.fromkeys(known)}
        return {digest for digest in every if self._revoke_one(place.image, digest, stages, reason)}

    def _listed(self, image: ImageRef, subject: Digest) -> list[Digest]:
        referrers = self.registry().referrers(ImageRef(image.repository, subject))
        return [one.digest for one in referrers if one.artifact_type == NOTATION_SIGNATURE]

    def _revoke_one(self, image: ImageRef, digest: Digest, stages: tuple[str, ...], reason: str) -> bool:
        """Revoke one signature. Return False if none of these gates made it, or if it was deleted."""
        try:
            manifest = self.registry().manifest(image.repository, digest)
            if manifest.artifact_type != NOTATION_SIGNATURE or len(manifest.layers) != 1:
                return False
            envelope = self.registry().blob(image.repository, manifest.layers[0])
            return self.signer().revoke(envelope, stages, reason) is not None
        except AccessRefusedError:
            raise
        except RejectedInputError:
            return False

    def _runs_in(self, images: tuple[ImageRef, ...]) -> tuple[RunsIn, ...] | None:
        if self.policy.scanner is Scanner.BASIC:
            return None
        try:
            clusters = [one for image in images for one in self.usage.clusters(image)]
        except AccessRefusedError:
            return None
        return tuple({one.cluster: one for one in clusters}.values())

    def _announce(self, revoked: RevocationResult) -> None:
        notice = f"revoked {revoked.image} {revoked.revocation.at.isoformat()}"
        if not self.ledger.is_noted(notice):
            self.notifications.publish(
                signature_revoked(
                    revoked.image,
                    revoked.revocation,
                    stages=revoked.stages,
                    places=revoked.places,
                    runs_in=revoked.runs_in,
                    earlier=revoked.earlier,
                )
            )
            self.ledger.note(notice)
