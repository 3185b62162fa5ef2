"""The ledger, one protocol per need: a step takes the parts that it uses. Reads that decide are strongly consistent.

A step that uses several parts combines them in a protocol of its own; `Ledger` is all of them together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypedDict, Unpack

from imagegate.ports.pending import HeldReleases, Notices, RepeatedRequests, ScanTokens, Turns

if TYPE_CHECKING:
    from imagegate.deployment.rollback import Rollback
    from imagegate.evidence.sbom import Sbom
    from imagegate.findings.finding import Place
    from imagegate.gate.facts import BaseImage
    from imagegate.gate.finding_rules import Clock
    from imagegate.oci.image import Digest, ImageRef
    from imagegate.release.promotion import Promotion
    from imagegate.release.release import (
        CurrentRelease,
        Ending,
        History,
        Outcome,
        Release,
        ReleaseId,
    )
    from imagegate.release.revocation import Revocation
    from imagegate.release.start import IgnoredImage


class Releases(Protocol):
    """Attempts of each image, for readers."""

    def latest(self, image: ImageRef) -> Release | None:
        """Return the attempt with the highest number, or None if no release of the image has begun."""

    def history(self, image: ImageRef) -> History:
        """Return all attempts of the image, and the indexes that were released with it."""

    def get(self, release: ReleaseId) -> Release:
        """Return one attempt. Raises `RecordNotFoundError` if it was never begun."""


class ReleaseLists(Protocol):
    """Attempts of many images, newest first; eventually consistent, and read page by page as the caller goes on."""

    def recent(
        self,
        since: datetime,
        until: datetime,
        *,
        outcome: Outcome | None = None,
        digest: Digest | None = None,
    ) -> Iterator[Release]:
        """Yield the attempts of all repositories that began in that time, both ends included.

        With `outcome` or `digest`, yield only those that ended so, or only those of images with this digest.
        """

    def recent_of_repository(self, repository: str) -> Iterator[Release]:
        """Yield all attempts of one repository."""


class BegunReleases(Protocol):
    """Many images at once, for the reconciler."""

    def begun(self, images: Sequence[ImageRef]) -> dict[ImageRef, frozenset[str]]:
        """Return those of the images of which a release has begun, with the tags of its first attempt."""


class StepResults(TypedDict, total=False):
    """Results that a step may record on an attempt. A field is removed by None or an empty value."""

    verdict: str | None
    attention: str | None
    reasons: Sequence[dict[str, str]]
    remedies: Sequence[str]
    decision: Digest | None
    judged_at: datetime | None
    criticals: int | None
    signature: Digest | None
    signature_ends: datetime | None
    evidence: Sequence[Digest]
    sbom: Sbom | None
    platforms: Sequence[Digest]
    promotion: Promotion | None
    uploads: Mapping[Digest, str]
    detail: str
    break_glass: str
    ending: Ending | None
    soaks_until: datetime | None
    clean_since: Mapping[Digest, datetime]
    replicating_since: datetime | None


class RecordedReleases(Releases, Protocol):
    """Attempts, for steps that record results."""

    def record(self, release: ReleaseId, **results: Unpack[StepResults]) -> Release:
        """Record results on an attempt and return it as it is now. Raises `RecordNotFoundError` if there is none."""

    def note_platforms(self, release: Release) -> None:
        """Record each platform of a released index as released with it."""


class ReleaseAttempts(Releases, Protocol):
    """The life of an attempt: it begins, other tags join it, it closes, and that is announced."""

    def begin(self, release: Release) -> bool:
        """Write a new attempt. Return False if another caller wrote that attempt first."""

    def join(self, release: ReleaseId, tags: frozenset[str], pushed_at: datetime) -> bool:
        """Add tags and a later push to an open attempt, and count the change. Return False if it is closed."""

    def close(
        self,
        release: ReleaseId,
        outcome: Outcome,
        seen: int | None,
        at: datetime,
        detail: str,
        proof: Release | None = None,
    ) -> Release | None:
        """Close an open attempt, and return it. To close it twice with the same outcome is no error.

        Return None if it has had other than `seen` changes (None: any number), if what proves the outcome is not as
        in the reading `proof`, or if it is closed with another outcome.
        """

    def note_announcement(self, release: ReleaseId, message_id: str) -> None:
        """Record the SNS message that announced the end of the attempt."""


class RevocableReleases(Releases, Protocol):
    """Attempts, for the revocation of their signatures."""

    def revoke(self, release: ReleaseId, revocation: Revocation) -> None:
        """Record on an attempt, open or closed, that its signature is revoked. The first revocation is kept."""


class IgnoredImages(Protocol):
    """Images that no release was begun for, and why."""

    def note_ignored(self, ignored: IgnoredImage) -> None:
        """Keep the reason for a month, in place of an earlier one: it protects nothing, and saves requests."""

    def ignored(self, image: ImageRef) -> IgnoredImage | None:
        """Return why the image was ignored, or None if it was not."""

    def ignored_among(self, images: Sequence[ImageRef]) -> dict[ImageRef, IgnoredImage]:
        """Return those of the images that were ignored, and why."""


class Pushers(Protocol):
    """The people and roles that pushed images, by CloudTrail."""

    def note_pusher(self, image: ImageRef, arn: str) -> None:
        """Record one of them."""

    def pushers(self, image: ImageRef) -> tuple[str, ...]:
        """Return their ARNs; empty if no event named one."""


class TagHolders(Protocol):
    """Images that have claimed tags in the next stage."""

    def holder(self, repository: str, tag: str) -> Digest | None:
        """Return the image that has claimed the tag, or None."""


class TagClaims(TagHolders, Protocol):
    """Claims on tags, for the step that promotes."""

    def claim_tag(self, repository: str, tag: str, digest: Digest, pushed_at: datetime) -> bool:
        """Claim a tag for an image that was pushed at that time. Return False if an image pushed later has it."""


class Rollbacks(Protocol):
    """Rollbacks of a repository."""

    def note_rollback(self, rollback: Rollback) -> None:
        """Record a rollback; a second time changes nothing."""

    def rollbacks(self, repository: str) -> list[Rollback]:
        """Return all rollbacks of the repository, oldest first."""


class Clocks(Protocol):
    """Times since when an application has had a vulnerability in a package."""

    def clocks(self, application: str) -> dict[Place, Clock]:
        """Return the times of all vulnerabilities of the application."""

    def keep_clocks(self, application: str, clocks: Mapping[Place, Clock]) -> None:
        """Store these times in place of earlier ones; leave those of other vulnerabilities."""


class BaseImages(Protocol):
    """Released images that others may be built on."""

    def note_base(self, base: BaseImage) -> None:
        """Store a base image, also as the latest one of its repository if no later one is known."""

    def bases(self, chain_ids: Sequence[str], stages: Iterable[str]) -> list[BaseImage]:
        """Return the base images of these stages whose layers have one of these chain IDs."""

    def latest_base(self, repository: str) -> BaseImage | None:
        """Return the latest base image of the repository, or None."""


class CurrentReleases(Protocol):
    """The image that was last released into each repository."""

    def note_current_release(self, current: CurrentRelease) -> None:
        """Store it, unless an image that was pushed later is stored."""

    def current_release(self, repository: str) -> CurrentRelease | None:
        """Return it, or None if none was released."""


class KnownDrifts(Protocol):
    """Differences from the baseline that people know of, by names, for each repository and the registry."""

    def known_drifts(self, subjects: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the names by subject; subjects without any are left out."""

    def keep_drifts(self, subject: str, names: Collection[str]) -> None:
        """Store the names in place of earlier ones."""


class Ledger(
    BegunReleases,
    RecordedReleases,
    ReleaseAttempts,
    RevocableReleases,
    ReleaseLists,
    ScanTokens,
    HeldReleases,
    RepeatedRequests,
    IgnoredImages,
    Pushers,
    TagClaims,
    Rollbacks,
    Clocks,
    BaseImages,
    CurrentReleases,
    Notices,
    KnownDrifts,
    Turns,
    Protocol,
):
    """All parts of the ledger."""
