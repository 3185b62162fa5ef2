"""Images in use that are judged again, and those that are at risk: parts of the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.release.revocation import RunsIn
    from imagegate.risk.past import PastRisk
    from imagegate.risk.risk import DueImage, Judgement, Risk


class ImagesInQueue(Protocol):
    """The queue of images in use, for readers."""

    def images_in_use(self) -> Iterator[DueImage]:
        """Yield all images in the queue; eventually consistent."""


class JudgedAgain(ImagesInQueue, Protocol):
    """The queue of images in use. Each has one item with the time when it is due."""

    def judge_by(self, image: ImageRef, due: datetime) -> None:
        """Put the image into the queue, or move it forward; a later time than the stored one changes nothing."""

    def due_images(self, now: datetime) -> Iterator[DueImage]:
        """Yield the images that are due, the longest due first; eventually consistent."""

    def due_image(self, image: ImageRef) -> DueImage | None:
        """Return the image's place in the queue with its last judgement, or None."""

    def keep_judgement(self, image: DueImage, judgement: Judgement, due: datetime) -> None:
        """Store the judgement, and when the next one is due: earlier, if an event said so meanwhile."""

    def judge_later(self, image: DueImage, due: datetime) -> None:
        """Move the image back in the queue, unless an event has moved it meanwhile."""

    def forget_image(self, image: DueImage) -> None:
        """Remove the image from the queue, unless an event has moved it forward meanwhile."""


class KnownRisks(Protocol):
    """Images that are at risk or not watched now, for readers."""

    def risks(self) -> Iterator[Risk]:
        """Yield all of them, the oldest first; eventually consistent."""

    def risk(self, image: ImageRef) -> Risk | None:
        """Return the risk of the image, or None."""


class AuditedRisks(Protocol):
    """Judgements and risks of many images at once, for the audit."""

    def judged_among(self, images: Sequence[ImageRef]) -> dict[ImageRef, DueImage]:
        """Return the places in the queue of those of the images that have one."""

    def risks_among(self, images: Sequence[ImageRef]) -> dict[ImageRef, Risk]:
        """Return the risks of those of the images that have one."""


class Risks(KnownRisks, Protocol):
    """Images that are at risk or not watched now, for the function that judges them."""

    def keep_risk(self, risk: Risk) -> None:
        """Store it in place of an earlier one."""

    def end_risk(self, past: PastRisk) -> None:
        """Remove the risk, and keep for measures that it is over."""


class PastRisks(Protocol):
    """Risks that are over, for measures. They are kept for a year."""

    def past_risks(self, since: datetime, until: datetime) -> Iterator[PastRisk]:
        """Yield those that ended in that time, both ends included; in no order."""


class Vulnerabilities(Protocol):
    """The applications in which each vulnerability was ever found."""

    def note_vulnerabilities(self, application: str, names: Collection[str]) -> None:
        """Note vulnerabilities of an application: one read if all are known, else one write for each new one."""

    def applications_with(self, name: str) -> list[str]:
        """Return the applications that have or had the vulnerability."""


@dataclass(frozen=True, slots=True)
class RunningTasks:
    """Images of this registry and where each runs. `unread`: the clusters that could not be read, and why."""

    runs: Mapping[ImageRef, Sequence[RunsIn]]
    unread: Mapping[str, str] = field(default_factory=dict)


class RunningImages(Protocol):
    """Images that run now."""

    def running(self) -> RunningTasks:
        """Return where each image of this registry runs. Raises any fault by which no cluster can be listed."""
