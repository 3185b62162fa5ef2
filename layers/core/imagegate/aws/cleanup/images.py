"""Images of Amazon ECR with all that a clean-up needs, and how they are deleted and archived."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from imagegate.aws.clients import client, translated
from imagegate.aws.ecr.images import EcrImages
from imagegate.errors import AccessRefusedError, ImageGateError, ImageNotFoundError
from imagegate.lifecycle.stored_image import StorageStatus, StoredImage
from imagegate.oci.image import INDEX_MEDIA_TYPES, Digest, ImageRef

_ABSENT: Mapping[str, type[ImageGateError]] = {
    "RepositoryNotFoundException": ImageNotFoundError,
    "AccessDeniedException": AccessRefusedError,
}
# Amazon ECR API reference: the most images in a page of DescribeImages, and in a call with imageIds.
_LARGE_PAGES: Any = {"PageSize": 1000}
_IMAGES_A_CALL = 100


class EcrStoredImages(EcrImages):
    """The account's own registry in this Region, for clean-ups."""

    def stored(self, repository: str, digests: Collection[Digest] = ()) -> list[StoredImage]:
        with translated(_ABSENT, subject=repository):
            details = self._some(repository, list(digests)) if digests else self._all(repository)
            return [_stored(detail) for detail in details]

    def _all(self, repository: str) -> Iterator[Any]:
        pages = self._client.get_paginator("describe_images").paginate(
            repositoryName=repository, filter={"imageStatus": "ANY"}, PaginationConfig=_LARGE_PAGES
        )
        for page in pages:
            yield from page["imageDetails"]

    def _some(self, repository: str, digests: list[Digest]) -> Iterator[Any]:
        """Describe images by their digests, also archived ones.

        By default ECR describes active images only, and it refuses a list with a digest that is gone. So each digest
        without an answer is looked for alone, in any status.
        """
        for start in range(0, len(digests), _IMAGES_A_CALL):
            wanted = digests[start:][:_IMAGES_A_CALL]
            details = self._describe(repository, wanted)
            yield from details
            known = {detail["imageDigest"] for detail in details}
            for digest in wanted:
                if str(digest) not in known:
                    yield from self._describe(repository, [digest], filter={"imageStatus": "ANY"})

    def _describe(self, repository: str, digests: Sequence[Digest], **more: Any) -> Sequence[Any]:
        """Describe some images, or none if ECR does not find one of them."""
        identifiers: Any = [{"imageDigest": str(digest)} for digest in digests]
        try:
            response = self._client.describe_images(repositoryName=repository, imageIds=identifiers, **more)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ImageNotFoundException":
                raise
            return ()
        return response["imageDetails"]

    def server_time(self) -> datetime | None:
        headers = client("sts").get_caller_identity()["ResponseMetadata"].get("HTTPHeaders", {})
        return parsedate_to_datetime(headers["date"]) if "date" in headers else None

    def reads_are_pulls(self) -> bool:
        """Say whether the caller's role is missing in the list of those whose pulls are not recorded."""
        return self._caller not in self._excluded

    @cached_property
    def _caller(self) -> str:
        """The ARN of the user or role that calls; of a session, that of its role without path."""
        arn: str = client("sts").get_caller_identity()["Arn"]
        if ":assumed-role/" not in arn:
            return arn
        account, role = arn.split(":")[4], arn.split("/")[1]
        return f"arn:{arn.split(':')[1]}:iam::{account}:role/{role}"

    @cached_property
    def _excluded(self) -> frozenset[str]:
        """The principals of the list, roles without their paths; empty if it may not be read."""
        principals: list[str] = []
        request: dict[str, Any] = {}
        while True:
            try:
                response = self._client.list_pull_time_update_exclusions(**request)
            except ClientError:
                return frozenset()  # so that reads count as pulls: they may
            principals += response.get("pullTimeUpdateExclusions", ())
            if not response.get("nextToken"):
                return frozenset(_without_path(arn) for arn in principals)
            request["nextToken"] = response["nextToken"]

    def delete(self, repository: str, digests: Sequence[Digest]) -> dict[Digest, str]:
        failed: dict[Digest, str] = {}
        for start in range(0, len(digests), _IMAGES_A_CALL):
            some = digests[start:][:_IMAGES_A_CALL]
            with translated(_ABSENT, subject=repository):
                response = self._client.batch_delete_image(
                    repositoryName=repository, imageIds=[{"imageDigest": str(digest)} for digest in some]
                )
            failed |= _left(some, response)
        return failed

    def archive(self, image: ImageRef) -> str:
        try:
            with translated(_ABSENT, subject=str(image)):
                self._client.update_image_storage_class(
                    repositoryName=image.repository,
                    imageId={"imageDigest": str(image.digest)},
                    targetStorageClass="ARCHIVE",
                )
        except ClientError as error:
            refusal = error.response["Error"]
            if refusal["Code"] not in (
                "ImageNotFoundException",
                "ImageStorageClassUpdateNotSupportedException",
            ):
                raise
            return f"{refusal['Code']}: {refusal['Message']}"
        return ""


def _left(digests: Sequence[Digest], response: Mapping[str, Any]) -> dict[Digest, str]:
    """Return why images were not deleted. ECR answers with 200 then, too; silence about an image is no deletion."""
    gone = {one.get("imageDigest") for one in response.get("imageIds", ())}
    reasons: dict[str, str] = {}
    for failure in response.get("failures", ()):
        digest, code = failure.get("imageId", {}).get("imageDigest"), failure.get("failureCode", "")
        if code == "ImageNotFound":
            gone.add(digest)
        else:
            reasons[digest] = f"{code}: {failure.get('failureReason', '')}"
    silence = "ECR does not say that it was deleted"
    return {
        digest: reasons.get(str(digest), silence)
        for digest in digests
        if str(digest) in reasons or str(digest) not in gone
    }


def _stored(detail: Any) -> StoredImage:
    subject = detail.get("subjectManifestDigest")
    return StoredImage(
        digest=Digest.parse(detail["imageDigest"]),
        tags=frozenset(detail.get("imageTags", ())),
        pushed_at=detail["imagePushedAt"],
        pulled_at=detail.get("lastRecordedPullTime"),
        archived_at=detail.get("lastArchivedAt"),
        activated_at=detail.get("lastActivatedAt"),
        status=StorageStatus(detail.get("imageStatus", "ACTIVE")),
        size=detail.get("imageSizeInBytes", 0),
        is_index=detail.get("imageManifestMediaType") in INDEX_MEDIA_TYPES,
        subject=Digest.parse(subject) if subject else None,
    )


def _without_path(arn: str) -> str:
    head, slash, path = arn.partition(":role/")
    return f"{head}{slash}{path.rpartition('/')[2]}" if slash else arn
