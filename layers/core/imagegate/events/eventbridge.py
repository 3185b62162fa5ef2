"""What comes in from outside, as pydantic models: EventBridge events and the state machine's requests.

Unknown extra fields are fine, missing ones are not. Sources: Amazon ECR user guide, "Sample events from Amazon
ECR" (`ecr-eventbridge.html`); samples in `events/`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from imagegate.errors import InvalidEventError
from imagegate.evidence.sbom import Export
from imagegate.findings.scan import Waited
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Arrival
from imagegate.release.release import Outcome, ReleaseId, StartReason
from imagegate.release.start import Push

Model = TypeVar("Model", bound=BaseModel)
# Of `start_release`: what EventBridge sends it never comes by this one.
REQUESTS_ALIAS = "requests"
CLOUDTRAIL = "AWS API Call via CloudTrail"
IMAGE_ACTION = "ECR Image Action"


def parse(model: type[Model], event: object) -> Model:
    """Raise `InvalidEventError` that names every field at fault."""
    try:
        return model.model_validate(event)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidEventError(f"not a valid {model.__name__}: {faults}") from error


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
    """`detail` of "ECR Image Action". Tag and media types may be absent, also on tagged pushes."""

    result: str
    action_type: str
    image_tag: str | None = None
    manifest_media_type: str | None = None
    artifact_media_type: str | None = None


class ImageScanDetail(_ImageDetail):
    """`detail` of "ECR Image Scan": basic scanning. Only a wake-up; what counts is read from ECR."""

    scan_status: str
    finding_severity_counts: dict[str, int] = Field(default_factory=dict)
    image_tags: list[str] = Field(default_factory=list)


class ReplicationDetail(_ImageDetail):
    """`detail` of "ECR Replication Action", sent where the image arrives."""

    result: str
    image_tag: str | None = None


class PullThroughCacheDetail(_ImageDetail):
    """`detail` of "ECR Pull Through Cache Action"."""

    sync_status: str
    image_tag: str | None = None


class Inspector2ScanDetail(_Incoming):
    """`detail` of "Inspector2 Scan": enhanced scanning. The repository is an ARN here, and may be a name."""

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
    """CloudTrail writes names in camel case."""

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
    """`detail` of "AWS API Call via CloudTrail" for PutImage. Whoever was refused has stored nothing."""

    event_name: Literal["PutImage"]
    user_identity: _Identity
    response_elements: _Stored | None = None


class CloudTrailPutImage(_Event):
    """AWS CloudTrail user guide, "Amazon ECR log file entries"."""

    detail_type: Literal["AWS API Call via CloudTrail"] = Field(alias="detail-type")
    detail: PutImageCall

    @property
    def pushed(self) -> tuple[ImageRef, str] | None:
        """The image, and the ARN of who pushed it; None: nothing was stored."""
        if self.detail.response_elements is None:
            return None
        image = self.detail.response_elements.image
        return ImageRef.of(image.repository_name, image.image_id.image_digest), self.detail.user_identity.arn


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


# What may have happened to an image, by detail-type.
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
    """How and when an image came in. Raises `InvalidEventError`."""
    arrived = parse(_ARRIVALS.get(event.get("detail-type", ""), EcrImageAction), event)
    detail = arrived.detail
    if isinstance(arrived, EcrReplication):
        return Push(detail.image, arrived.time, arrived.detail.result, detail.image_tag, Arrival.REPLICATION)
    if isinstance(arrived, EcrPullThroughCache):
        result = arrived.detail.sync_status
        return Push(detail.image, arrived.time, result, detail.image_tag, Arrival.PULL_THROUGH_CACHE)
    return Push(detail.image, arrived.time, arrived.detail.result, detail.image_tag)


def parse_pushed(event: dict[str, Any]) -> tuple[ImageRef, str] | None:
    """Who stored which image, where CloudTrail says that. Raises `InvalidEventError` where nothing was stored."""
    if event.get("detail-type") != CLOUDTRAIL:
        return None
    pushed = parse(CloudTrailPutImage, event).pushed
    if pushed is None:
        raise InvalidEventError("this call of PutImage has stored nothing")
    return pushed


def is_request(event: dict[str, Any], function_arn: str) -> bool:
    """Whether one of our own functions asks; by its alias for requests `start_release` takes them, and no events.

    Raises `InvalidEventError` for what comes by the wrong one: who may ask may not make up what happened.
    """
    asks = function_arn.endswith(f":{REQUESTS_ALIAS}")
    if asks is not ("request" in event):
        raise InvalidEventError(f"by {function_arn} come {'requests' if asks else 'events'} alone")
    return asks


def parse_scan(event: dict[str, Any]) -> ImageRef:
    """The image of which a scan ended, or which was deleted. Raises `InvalidEventError`."""
    return parse(_SCANS.get(event.get("detail-type", ""), EcrImageScan), event).detail.image


class _InternalRequest(BaseModel):
    """What our own state machine and functions send: versioned, and strict about extra fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ReleaseModel(_InternalRequest):
    repository: str
    digest: str
    attempt: int = Field(ge=1)

    @property
    def id(self) -> ReleaseId:
        return ReleaseId(ImageRef.of(self.repository, self.digest), self.attempt)


class StartRequestModel(_InternalRequest):
    """Our own call of `start_release`. It proves nothing, and names nobody: the reason is looked up."""

    repository: str
    digest: str
    tags: list[str] = Field(min_length=1)
    reason: StartReason

    @property
    def image(self) -> ImageRef:
        return ImageRef.of(self.repository, self.digest)


class StartEnvelope(_InternalRequest):
    schema_: Literal[1] = Field(alias="schema")
    request: StartRequestModel


def parse_request(event: dict[str, Any]) -> tuple[ImageRef, list[str], StartReason]:
    request = parse(StartEnvelope, event).request
    return request.image, request.tags, request.reason


class AwaitScanRequest(_InternalRequest):
    schema_: Literal[1] = Field(alias="schema")
    release: ReleaseModel
    token: str = Field(min_length=1)


class JudgeRequest(_InternalRequest):
    schema_: Literal[1] = Field(alias="schema")
    release: ReleaseModel
    # Executions that were begun under an earlier state machine send these; nobody believes them.
    waited: Waited | None = None
    why: str = ""


class SignRequest(_InternalRequest):
    """`sign_image` takes a decision digest and nothing else: all the rest it reads and checks itself."""

    schema_: Literal[1] = Field(alias="schema")
    decision: str

    @property
    def digest(self) -> Digest:
        return Digest.parse(self.decision)


class ExportModel(_InternalRequest):
    """An export of SBOMs that was asked for: its report, or an empty text where Inspector refused to begin."""

    report: str
    status: str
    why: str
    batch: int = Field(ge=0)
    polls: int = 0  # how often the state machine has looked at it

    @property
    def export(self) -> Export:
        return Export(self.report, self.status, self.why, self.batch)


class AttachSbomRequest(_InternalRequest):
    """`export`: what has ended; None: nothing was exported yet."""

    schema_: Literal[1] = Field(alias="schema")
    release: ReleaseModel
    export: ExportModel | None


class PromoteRequest(_InternalRequest):
    schema_: Literal[1] = Field(alias="schema")
    release: ReleaseModel


class AnnounceRequest(_InternalRequest):
    """`error` and `cause`: of an execution that failed. How all else ends, the ledger says."""

    schema_: Literal[1] = Field(alias="schema")
    release: ReleaseModel
    outcome: Outcome
    error: str = ""
    cause: str = ""


class CustomResourceRequest(BaseModel):
    """CloudFormation user guide, "Custom resource request objects"."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    RequestType: Literal["Create", "Update", "Delete"]
    ResponseURL: str
    StackId: str
    RequestId: str
    LogicalResourceId: str
    PhysicalResourceId: str | None = None
    ResourceProperties: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_an_id_after_creation(self) -> Self:
        if self.RequestType != "Create" and not self.PhysicalResourceId:
            raise ValueError("PhysicalResourceId is missing")
        return self
