"""Revoke: a person takes back what a gate signed, there and in every stage that the image went on to.

Rules: the ledger knows it first, so that nothing is deployed meanwhile; a call that was killed is finished by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

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
from imagegate.ports.images import Usage
from imagegate.ports.ledger import Notices, RevocableReleases
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
        """Raise `RecordNotFoundError` where no gate has signed the image. `onward`: also in the stages after."""
        places = list(self._places(image, onward=onward))
        if not any(place.has_signed for place in places):
            raise RecordNotFoundError(f"{image}: no gate has signed it; there is nothing to revoke")
        standing = places[0].attempts[0].revoked or revocation
        for place in places:
            self._note(place, standing)
        stages = tuple(place.stage for place in places)
        signatures = set[Digest]().union(*(self._revoke(one, stages, standing.reason) for one in places))
        where = tuple(place.image for place in places)
        revoked = RevocationResult(image, standing, where, stages, len(signatures), self._runs_in(where))
        self._tell(revoked)
        return revoked

    def _places(self, image: ImageRef, *, onward: bool) -> Iterator[RepositoryAttempts]:
        """The image, and where it was promoted to from there."""
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

    def _note(self, place: RepositoryAttempts, revocation: Revocation) -> None:
        """Also on the last attempt, whatever it came to: no other one begins after it."""
        newest, *older = place.attempts
        for attempt in (newest, *(one for one in older if one.signature)):
            self.ledger.revoke(attempt.id, revocation)

    def _revoke(self, place: RepositoryAttempts, stages: tuple[str, ...], reason: str) -> set[Digest]:
        """What was revoked: the same signature lies wherever the image was promoted to."""
        subjects = {place.image.digest, *(leaf for one in place.attempts for leaf in one.platforms)}
        listed = {digest: None for subject in subjects for digest in self._listed(place.image, subject)}
        # What the registry does not list yet, the ledger knows.
        known = [digest for one in place.attempts for digest in (one.signature, *one.evidence) if digest]
        every = {**listed, **dict.fromkeys(known)}
        return {digest for digest in every if self._revoke_one(place.image, digest, stages, reason)}

    def _listed(self, image: ImageRef, subject: Digest) -> list[Digest]:
        found = self.registry().referrers(ImageRef(image.repository, subject))
        return [one.digest for one in found if one.artifact_type == NOTATION_SIGNATURE]

    def _revoke_one(self, image: ImageRef, digest: Digest, stages: tuple[str, ...], reason: str) -> bool:
        """False for what none of these gates signed, and for what is gone: that is in use nowhere."""
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
            found = [one for image in images for one in self.usage.clusters(image)]
        except AccessRefusedError:
            return None
        return tuple({one.cluster: one for one in found}.values())

    def _tell(self, revoked: RevocationResult) -> None:
        notice = f"revoked {revoked.image} {revoked.revocation.at.isoformat()}"
        if not self.ledger.is_noted(notice):
            self.notifications.publish(
                signature_revoked(
                    revoked.image,
                    revoked.revocation,
                    stages=revoked.stages,
                    places=revoked.places,
                    runs_in=revoked.runs_in,
                )
            )
            self.ledger.note(notice)
