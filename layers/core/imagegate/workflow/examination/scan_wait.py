"""Is the scan of an image over, and can one still come? A scan that does not start by itself is started here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagegate.errors import ImageNotFoundError, RejectedInputError, UnsupportedImageError
from imagegate.findings.scan import Readiness, Scanning, ScanProgress, WaitOutcome

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.ports.images import Scans


def is_over(scans: Scans, image: ImageRef) -> bool:
    """Say whether no more result will come. That is so for a deleted image, too: the judge reports it as withdrawn."""
    try:
        return scans.status(image).is_final
    except ImageNotFoundError:
        return True


def progress(scans: Scans, image: ImageRef) -> ScanProgress:
    """Say how far the scan is, by one request; of a deleted image it is over, as in `is_over`."""
    try:
        return scans.progress(image)
    except ImageNotFoundError:
        return ScanProgress.OVER


@dataclass(frozen=True, slots=True)
class ScanImpossible:
    """No scan of an image can ever come. `why` says the reason."""

    ended: WaitOutcome
    why: str


def why_never(scans: Scans, images: Sequence[ImageRef]) -> ScanImpossible | None:
    """Start the scans that would not come by themselves. Return why one of them can never come, or None."""
    for image in images:
        never = start_scan(scans, image)
        if never is not None:
            # In an index it is one platform; the others may be supported.
            return never if len(images) == 1 else ScanImpossible(WaitOutcome.NEVER, never.why)
    return None


def start_scan(scans: Scans, image: ImageRef) -> ScanImpossible | None:
    """Start a scan that would not start by itself. Return why it can never come, or None."""
    try:
        if scans.status(image).readiness is not Readiness.NOT_STARTED:
            return None
        scanning = scans.scanning(image.repository)
        if scanning is Scanning.NEVER:
            return ScanImpossible(
                WaitOutcome.NEVER,
                f"{image.repository} matches no filter of the registry's enhanced scanning configuration: "
                "its images are never scanned. Add a filter, then release again",
            )
        if scanning is Scanning.ON_REQUEST:
            scans.start(image)
    except UnsupportedImageError as error:
        return ScanImpossible(WaitOutcome.UNSUPPORTED, str(error))
    except RejectedInputError as error:
        return ScanImpossible(WaitOutcome.NEVER, str(error))
    return None
