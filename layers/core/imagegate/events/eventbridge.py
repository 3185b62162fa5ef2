"""Events that EventBridge sends, as pydantic models. Unknown fields are ignored; a missing field is a fault.

Source: Amazon ECR user guide, "Sample events from Amazon ECR" (`ecr-eventbridge.html`); samples in `events/`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from imagegate.errors import InvalidEventError
from imagegate.events.validation import parse
from imagegate.oci.image import ImageRef
from imagegate.policy.policy import Arrival
from imagegate.release.start import Push
from imagegate.workflow.reasons import Pusher

CLOUDTRAIL = "AWS API Call via CloudTrail"
IMAGE_ACTION = "ECR Image Action"


class _Incoming(BaseModel):
    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=lambda name: name.replace("_", "-")
    )


class _ImageDetail(_Incoming):
    repository_name: str = Field(min_length=1)
    image_digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")

    @property
    def image(self) -> ImageRef:
        return ImageRef.of(self.repository_name, self.image_digest)


class ImageActionDetail(_ImageDetail):
    """`detail` of "ECR Image Action". The tag and the media types may be missing, also for tagged pushes."""

    result: str
    action_type: str
    image_tag: str | None = None
    manifest_media_type: str | None = None
    artifact_media_type: str | None = None


class ImageScanDetail(_ImageDetail):
    """`detail` of "ECR Image Scan" (basic scanning). It only says when to look: the result is read from ECR."""

    scan_status: str
    finding_severity_counts: dict[str, int] = Field(default_factory=dict)
    image_tags: list[str] = Field(default_factory=list)


class ReplicationDetail(_ImageDetail):
    """`detail` of "ECR Replication Action". ECR sends it in the destination's account and Region."""

    result: str
    image_tag: str | None = None


class PullThroughCacheDetail(_ImageDetail):
    """`detail` of "ECR Pull Through Cache Action"."""

    sync_status: str
    image_tag: str | None = None


class Inspector2ScanDetail(_Incoming):
    """`detail` of "Inspector2 Scan" (enhanced scanning). The repository is an ARN or a name."""

    repository_name: str = Field(min_length=1)
    image_digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    scan_status: str

    @property
    def image(self) -> ImageRef:
        return ImageRef.of(self.repository_name.rpartition(":repository/")[2], self.image_digest)


class _Event(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    account: str
    region: str
    time: datetime


class EcrImageAction(_Event):
    detail_type: Literal["ECR Image Action"] = Field(alias="detail-type")
    detail: ImageActionDetail


class _Recorded(BaseModel):
    """A part of a CloudTrail record, which has names in camel case."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class _ImageId(_Recorded):
    image_digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


class _StoredImage(_Recorded):
    repository_name: str = Field(min_length=1)
    image_id: _ImageId


class _Stored(_Recorded):
    image: _StoredImage


class _Identity(_Recorded):
    arn: str = Field(min_length=1)


class PutImageCall(_Recorded):
    """`detail` of "AWS API Call via CloudTrail" for PutImage. A call that was refused has no response elements."""

    event_name: Literal["PutImage"]
    user_identity: _Identity
    response_elements: _Stored | None = None


class CloudTrailPutImage(_Event):
    """A recorded call of PutImage (AWS CloudTrail user guide, "Amazon ECR log file entries")."""

    detail_type: Literal["AWS API Call via CloudTrail"] = Field(alias="detail-type")
    detail: PutImageCall

    @property
    def pusher(self) -> Pusher | None:
        """Return the image and the ARN of the principal who pushed it, or None if the call stored nothing."""
        if self.detail.response_elements is None:
            return None
        image = self.detail.response_elements.image
        reference = ImageRef.of(image.repository_name, image.image_id.image_digest)
        return Pusher(reference, self.detail.user_identity.arn)


class EcrReplication(_Event):
    detail_type: Literal["ECR Replication Action"] = Field(alias="detail-type")
    detail: ReplicationDetail


class EcrPullThroughCache(_Event):
    detail_type: Literal["ECR Pull Through Cache Action"] = Field(alias="detail-type")
    detail: PullThroughCacheDetail


class Inspector2Scan(_Event):
    detail_type: Literal["Inspector2 Scan"] = Field(alias="detail-type")
    detail: Inspector2ScanDetail


class EcrImageScan(_Event):
    detail_type: Literal["ECR Image Scan"] = Field(alias="detail-type")
    detail: ImageScanDetail


# The events by which an image arrives in a repository, by detail-type.
_ARRIVALS: dict[str, type[EcrImageAction | EcrReplication | EcrPullThroughCache]] = {
    "ECR Image Action": EcrImageAction,
    "ECR Replication Action": EcrReplication,
    "ECR Pull Through Cache Action": EcrPullThroughCache,
}
_SCANS: dict[str, type[EcrImageScan | Inspector2Scan | EcrImageAction]] = {
    "ECR Image Scan": EcrImageScan,
    "Inspector2 Scan": Inspector2Scan,
    "ECR Image Action": EcrImageAction,
}


def parse_arrival(event: dict[str, Any]) -> Push:
    """Return how and when an image arrived. Raises `InvalidEventError`."""
    arrived = parse(_ARRIVALS.get(event.get("detail-type", ""), EcrImageAction), event)
    detail = arrived.detail
    if isinstance(arrived, EcrReplication):
        return Push(detail.image, arrived.time, arrived.detail.result, detail.image_tag, Arrival.REPLICATION)
    if isinstance(arrived, EcrPullThroughCache):
        result = arrived.detail.sync_status
        return Push(detail.image, arrived.time, result, detail.image_tag, Arrival.PULL_THROUGH_CACHE)
    return Push(detail.image, arrived.time, arrived.detail.result, detail.image_tag)


def parse_put_image(event: dict[str, Any]) -> Pusher | None:
    """Return who pushed an image, or None if the event is not of CloudTrail.

    Raises `InvalidEventError` if the recorded call stored nothing.
    """
    if event.get("detail-type") != CLOUDTRAIL:
        return None
    pusher = parse(CloudTrailPutImage, event).pusher
    if pusher is None:
        raise InvalidEventError("this call of PutImage stored nothing")
    return pusher


def parse_deletion(event: dict[str, Any]) -> ImageRef | None:
    """Return the image of an "ECR Image Action", or None if the event is another one. Raises `InvalidEventError`."""
    if event.get("detail-type") != IMAGE_ACTION:
        return None
    return parse(EcrImageAction, event).detail.image


def parse_scan(event: dict[str, Any]) -> ImageRef:
    """Return the image whose scan ended, or that was deleted. Raises `InvalidEventError`."""
    return parse(_SCANS.get(event.get("detail-type", ""), EcrImageScan), event).detail.image
