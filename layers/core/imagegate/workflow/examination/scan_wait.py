"""Is the scan of an image over, and can one still come? A scan that does not start by itself is started here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imagegate.errors import ImageNotFoundError, RejectedInputError, UnsupportedImageError
from imagegate.findings.scan import Readiness, Scanning, WaitOutcome
from imagegate.oci.image import ImageRef
from imagegate.ports.images import Scans


def is_over(scans: Scans, image: ImageRef) -> bool:
    """No result will come any more. Of a deleted image the judge says that it was withdrawn."""
    try:
        return scans.status(image).is_final
    except ImageNotFoundError:
        return True


@dataclass(frozen=True, slots=True)
class Never:
    """No scan of an image will ever come, and why."""

    ended: WaitOutcome
    why: str


def why_never(scans: Scans, images: Sequence[ImageRef]) -> Never | None:
    """Start the scans that would not come by themselves. Return why one of them can never come, or None."""
    for image in images:
        never = bring_about(scans, image)
        if never is not None:
            # Of an index this is said of one platform, and the others are not known to be unreadable.
            return never if len(images) == 1 else Never(WaitOutcome.NEVER, never.why)
    return None


def bring_about(scans: Scans, image: ImageRef) -> Never | None:
    """Start a scan that would not come by itself. Returns why it can never come, or None."""
    try:
        if scans.status(image).readiness is not Readiness.NOT_STARTED:
            return None
        scanning = scans.scanning(image.repository)
        if scanning is Scanning.NEVER:
            return Never(
                WaitOutcome.NEVER,
                f"{image.repository} matches no filter of the registry's enhanced scanning configuration: "
                "its images are never scanned. Add a filter, then release again",
            )
        if scanning is Scanning.ON_REQUEST:
            scans.start(image)
    except UnsupportedImageError as error:
        return Never(WaitOutcome.UNSUPPORTED, str(error))
    except RejectedInputError as error:
        return Never(WaitOutcome.NEVER, str(error))
    return None
