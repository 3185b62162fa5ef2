"""Events that EventBridge sends, as typed models. Unknown fields are ignored; a missing field is a fault.

Source: Amazon ECR user guide, "Sample events from Amazon ECR" (`ecr-eventbridge.html`); samples in `events/`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct, field

from imagegate.errors import InvalidEventError
from imagegate.events.step_requests import ExecutionInput
from imagegate.events.validation import parse
from imagegate.oci.image import ImageRef
from imagegate.policy.policy import Arrival
from imagegate.release.start import Push
from imagegate.workflow.reasons import Pusher

if TYPE_CHECKING:
    from imagegate.release.release import ReleaseId

CLOUDTRAIL = "AWS API Call via CloudTrail"
EXECUTION_STATUS = "Step Functions Execution Status Change"
IMAGE_ACTION = "ECR Image Action"
SCHEDULED = "Scheduled Event"


_Text = Annotated[str, Meta(min_length=1)]
_Digest = Annotated[str, Meta(pattern=r"\Asha256:[0-9a-f]{64}\Z")]


class _Incoming(Struct, frozen=True, kw_only=True, rename="kebab"):
    pass


class _ImageDetail(_Incoming, frozen=True, kw_only=True, rename="kebab"):
    repository_name: _Text
    image_digest: _Digest

    @property
    def image(self) -> ImageRef:
        return ImageRef.of(self.repository_name, self.image_digest)


class ImageActionDetail(_ImageDetail, frozen=True, kw_only=True, rename="kebab"):
    """`detail` of "ECR Image Action". The tag and the media types may be missing, also for tagged pushes."""

    result: str
    action_type: str
    image_tag: str | None = None
    manifest_media_type: str | None = None
    artifact_media_type: str | None = None


class ImageScanDetail(_ImageDetail, frozen=True, kw_only=True, rename="kebab"):
    """`detail` of "ECR Image Scan" (basic scanning). It only says when to look: the result is read from ECR."""

    scan_status: str
    finding_severity_counts: dict[str, int] = field(default_factory=dict)
    image_tags: list[str] = field(default_factory=list)


class ReplicationDetail(_ImageDetail, frozen=True, kw_only=True, rename="kebab"):
    """`detail` of "ECR Replication Action". ECR sends it in the destination's account and Region."""

    result: str
    image_tag: str | None = None


class PullThroughCacheDetail(_ImageDetail, frozen=True, kw_only=True, rename="kebab"):
    """`detail` of "ECR Pull Through Cache Action"."""

    sync_status: str
    image_tag: str | None = None


class Inspector2ScanDetail(_Incoming, frozen=True, kw_only=True, rename="kebab"):
    """`detail` of "Inspector2 Scan" (enhanced scanning). The repository is an ARN or a name."""

    repository_name: _Text
    image_digest: _Digest
    scan_status: str

    @property
    def image(self) -> ImageRef:
        return ImageRef.of(self.repository_name.rpartition(":repository/")[2], self.image_digest)


class _Event(Struct, frozen=True, kw_only=True):
    account: str
    region: str
    time: datetime


class EcrImageAction(_Event, frozen=True, kw_only=True):
    detail_type: Literal["ECR Image Action"] = field(name="detail-type")
    detail: ImageActionDetail


class _Recorded(Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of a CloudTrail record, which has names in camel case."""


class _ImageId(_Recorded, frozen=True, kw_only=True, rename="camel"):
    image_digest: _Digest


class _StoredImage(_Recorded, frozen=True, kw_only=True, rename="camel"):
    repository_name: _Text
    image_id: _ImageId


class _Stored(_Recorded, frozen=True, kw_only=True, rename="camel"):
    image: _StoredImage


class _Identity(_Recorded, frozen=True, kw_only=True, rename="camel"):
    arn: _Text


class PutImageCall(_Recorded, frozen=True, kw_only=True, rename="camel"):
    """`detail` of "AWS API Call via CloudTrail" for PutImage. A call that was refused has no response elements."""

    event_name: Literal["PutImage"]
    user_identity: _Identity
    response_elements: _Stored | None = None


class CloudTrailPutImage(_Event, frozen=True, kw_only=True):
    """A recorded call of PutImage (AWS CloudTrail user guide, "Amazon ECR log file entries")."""

    detail_type: Literal["AWS API Call via CloudTrail"] = field(name="detail-type")
    detail: PutImageCall

    @property
    def pusher(self) -> Pusher | None:
        """Return the image and the ARN of the principal who pushed it, or None if the call stored nothing."""
        if self.detail.response_elements is None:
            return None
        image = self.detail.response_elements.image
        reference = ImageRef.of(image.repository_name, image.image_id.image_digest)
        return Pusher(reference, self.detail.user_identity.arn)


class EcrReplication(_Event, frozen=True, kw_only=True):
    detail_type: Literal["ECR Replication Action"] = field(name="detail-type")
    detail: ReplicationDetail


class EcrPullThroughCache(_Event, frozen=True, kw_only=True):
    detail_type: Literal["ECR Pull Through Cache Action"] = field(name="detail-type")
    detail: PullThroughCacheDetail


class Inspector2Scan(_Event, frozen=True, kw_only=True):
    detail_type: Literal["Inspector2 Scan"] = field(name="detail-type")
    detail: Inspector2ScanDetail


class EcrImageScan(_Event, frozen=True, kw_only=True):
    detail_type: Literal["ECR Image Scan"] = field(name="detail-type")
    detail: ImageScanDetail


class _FoundImage(_Recorded, frozen=True, kw_only=True, rename="camel"):
    repository_name: _Text
    image_hash: _Digest


class _ResourceDetails(_Recorded, frozen=True, kw_only=True, rename="camel"):
    aws_ecr_container_image: _FoundImage | None = None


class _FindingResource(_Recorded, frozen=True, kw_only=True, rename="camel"):
    details: _ResourceDetails


class FindingDetail(_Recorded, frozen=True, kw_only=True, rename="camel"):
    """`detail` of "Inspector2 Finding". It only says when to look, because it comes again without news."""

    resources: list[_FindingResource]


class Inspector2Finding(_Event, frozen=True, kw_only=True):
    """Amazon Inspector user guide, "EventBridge event schema for Amazon Inspector events"."""

    detail_type: Literal["Inspector2 Finding"] = field(name="detail-type")
    detail: FindingDetail


class ExecutionDetail(_Recorded, frozen=True, kw_only=True, rename="camel"):
    """`detail` of "Step Functions Execution Status Change". The input is text; EventBridge leaves out long ones."""

    status: str
    input: _Text


class ExecutionStatusChange(_Event, frozen=True, kw_only=True):
    """Step Functions guide, "Automating Step Functions event delivery with EventBridge"."""

    detail_type: Literal["Step Functions Execution Status Change"] = field(name="detail-type")
    detail: ExecutionDetail


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
    arrived = parse(_ARRIVALS.get(str(event.get("detail-type")), EcrImageAction), event)
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


def parse_execution(event: dict[str, Any]) -> ReleaseId:
    """Return the release of the execution. Raises `InvalidEventError`."""
    try:
        started_with = json.loads(parse(ExecutionStatusChange, event).detail.input)
    except ValueError as error:
        raise InvalidEventError(f"the input of the execution is no JSON: {error}") from error
    return ExecutionInput.parse(started_with).release.id


def parse_scan(event: dict[str, Any]) -> ImageRef:
    """Return the image whose scan ended, or that was deleted. Raises `InvalidEventError`."""
    return parse(_SCANS.get(str(event.get("detail-type")), EcrImageScan), event).detail.image


def parse_finding(event: dict[str, Any]) -> list[ImageRef] | None:
    """Return the images of an "Inspector2 Finding", or None for a schedule. Raises `InvalidEventError`."""
    if event.get("detail-type") == SCHEDULED:
        return None
    details = [
        one.details.aws_ecr_container_image for one in parse(Inspector2Finding, event).detail.resources
    ]
    return [ImageRef.of(one.repository_name, one.image_hash) for one in details if one]
