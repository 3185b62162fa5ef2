"""The daily canary: a small image that has to get through all its gates, so that people hear of it when none would.

The image of the tag `canary` is pushed again under another digest: with an annotation that names the day. Its blobs
are in the repository already, so the reconciler needs no more than PutImage, and the scanner sees a real image.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from imagegate.canonical_json import parse_timestamp
from imagegate.errors import RejectedInputError
from imagegate.oci.image import OCI_MANIFEST, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.ports.images import Images
from imagegate.release.release import Outcome

if TYPE_CHECKING:
    from imagegate.policy.policy import Policy
    from imagegate.ports.ledger import Releases

TAG = "canary"
_ANNOTATION = "imagegate.canary"
_NOTES = "canary"


class CanaryImages(Images, Protocol):
    """Images, and the permission to push one."""

    def push_manifest(self, repository: str, manifest: Manifest, tag: str) -> None:
        """Store a manifest under a tag. It is no error if it is there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushCanary:
    images: CanaryImages
    ledger: Releases
    policy: Policy
    repository: str

    def run(self, notes: dict[str, Any], now: datetime) -> int:
        """Push the image of this day, once. Return for how many seconds no canary has arrived, or 0.

        Raises `RejectedInputError` if the repository has no gate, or no image to push again.
        """
        noted, day = notes.get(_NOTES, {}), f"{now:%Y%m%d}"
        since = parse_timestamp(noted["since"]) if noted and not self._has_arrived(noted["digest"]) else None
        if noted.get("day") != day:
            since = since or now
            noted = {"day": day, "digest": str(self._push(day)), "since": since.isoformat()}
            notes[_NOTES] = noted
        return int((now - since).total_seconds()) if since else 0

    def _push(self, day: str) -> Digest:
        if self.policy.stage_of(self.repository) is None:
            raise RejectedInputError(f"{self.repository}: no stage of the policy has the canary's repository")
        digest = self.images.digest_of(self.repository, TAG)
        if digest is None:
            raise RejectedInputError(f"{self.repository} has no image under the tag {TAG} to push again")
        canary = mark_manifest(self.images.manifest(self._image(digest)), day)
        self.images.push_manifest(self.repository, canary, f"{TAG}-{day}")
        return canary.digest

    def _has_arrived(self, digest: str) -> bool:
        """Say whether the image is released, in the last stage, too."""
        image = self._image(Digest.parse(digest))
        release = self.ledger.latest(image)
        while release is not None and release.outcome is Outcome.RELEASED and release.promotion is not None:
            image = replace(image, repository=release.promotion.repository)
            release = self.ledger.latest(image)
        return release is not None and release.outcome is Outcome.RELEASED

    def _image(self, digest: Digest) -> ImageRef:
        return ImageRef(self.repository, digest)


def mark_manifest(manifest: Manifest, day: str) -> Manifest:
    """Return the manifest with the day as an annotation. Raises `RejectedInputError` if it is of another type."""
    if manifest.media_type != OCI_MANIFEST:
        raise RejectedInputError(
            f"the image of the tag {TAG} has the type {manifest.media_type}; it has to be a single image of the"
            f" type {OCI_MANIFEST}"
        )
    document = json.loads(manifest.content)
    document["annotations"] = {**manifest.annotations, _ANNOTATION: day}
    return Manifest.parse(json.dumps(document).encode(), OCI_MANIFEST)
