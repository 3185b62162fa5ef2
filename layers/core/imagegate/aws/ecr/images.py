"""Images of Amazon ECR. Manifests are read as bytes and checked by digest; tags are only looked up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from imagegate.aws.clients import client, translated
from imagegate.errors import (
    ImageGateError,
    ImageNotFoundError,
    RejectedInputError,
)
from imagegate.oci.image import MANIFEST_MEDIA_TYPES, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.replication import Replica, ReplicaStatus
from imagegate.release.release import EcrImage

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.literals import TagStatusType
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef


_IMAGES_A_CALL = 100  # Amazon ECR API reference, BatchGetImage.imageIds
# The most that DescribeRepositories and DescribeImages list at once (Amazon ECR API reference).
_LARGE_PAGES: Any = {"PageSize": 1000}
GONE: Mapping[str, type[ImageGateError]] = {
    "ImageNotFoundException": ImageNotFoundError,
    "RepositoryNotFoundException": ImageNotFoundError,
}
# BatchGetImage answers 200 with failures in it (Amazon ECR API reference, ImageFailure.failureCode).
_ABSENT = frozenset({"ImageNotFound", "ImageTagDoesNotMatchDigest"})


class EcrImages:
    """The account's own registry in this Region."""

    def __init__(self, registry: str) -> None:
        self._registry = registry

    @property
    def registry(self) -> str:
        return self._registry

    @property
    def _client(self) -> ECRClient:
        ecr: ECRClient = client("ecr")
        return ecr

    def facts(self, image: ImageRef) -> EcrImage:
        with translated(GONE, subject=str(image)):
            response = self._client.describe_images(
                repositoryName=image.repository, imageIds=[{"imageDigest": str(image.digest)}]
            )
        if not response["imageDetails"]:
            raise ImageNotFoundError(f"{image}: ECR describes no such image")
        return _facts(image, response["imageDetails"][0])

    def replicas(self, image: ImageRef) -> list[Replica]:
        with translated(GONE, subject=str(image)):
            response = self._client.describe_image_replication_status(
                repositoryName=image.repository, imageId={"imageDigest": str(image.digest)}
            )
        return [
            Replica(one["region"], ReplicaStatus(one["status"]), one.get("failureCode", ""))
            for one in response.get("replicationStatuses", ())
        ]

    def digest_of(self, repository: str, tag: str) -> Digest | None:
        try:
            image = self._get(repository, {"imageTag": tag})
        except ImageNotFoundError:
            return None
        return Digest.parse(image["imageId"].get("imageDigest"))

    def manifest(self, image: ImageRef) -> Manifest:
        described = self._get(image.repository, {"imageDigest": str(image.digest)})
        image.digest.check(described["imageManifest"].encode(), str(image))
        return _manifest(described)

    def read_manifests(self, repository: str, digests: Collection[Digest]) -> dict[Digest, Manifest]:
        manifests: dict[Digest, Manifest] = {}
        wanted = list(dict.fromkeys(digests))
        for start in range(0, len(wanted), _IMAGES_A_CALL):
            with translated(GONE, subject=repository):
                response = self._client.batch_get_image(
                    repositoryName=repository,
                    imageIds=[{"imageDigest": str(digest)} for digest in wanted[start:][:_IMAGES_A_CALL]],
                    acceptedMediaTypes=list(MANIFEST_MEDIA_TYPES),
                )
            for described in response.get("images", ()):
                with suppress(RejectedInputError):
                    manifest = _manifest(described)
                    manifests[manifest.digest] = manifest
        return manifests

    def _get(self, repository: str, wanted: ImageIdentifierTypeDef) -> Any:
        name = f"{repository} {' '.join(map(str, wanted.values()))}"
        with translated(GONE, subject=name):
            response = self._client.batch_get_image(
                repositoryName=repository, imageIds=[wanted], acceptedMediaTypes=list(MANIFEST_MEDIA_TYPES)
            )
        if response.get("images"):
            return response["images"][0]
        failures = response.get("failures", [])
        codes = {failure.get("failureCode", "") for failure in failures}
        if codes <= _ABSENT:
            raise ImageNotFoundError(f"{name}: there is no such image")
        raise RejectedInputError(
            f"{name}: {failures[0].get('failureCode')}: {failures[0].get('failureReason')}"
        )

    def repositories(self) -> Iterator[str]:
        pages = self._client.get_paginator("describe_repositories").paginate(PaginationConfig=_LARGE_PAGES)
        with translated({}):
            for page in pages:
                yield from (repository["repositoryName"] for repository in page["repositories"])

    def tagged(self, repository: str) -> Iterator[EcrImage]:
        """Yield the images. ECR neither filters nor sorts them by time."""
        yield from self._listed(repository, "TAGGED")

    def all_images(self, repository: str) -> Iterator[EcrImage]:
        yield from self._listed(repository, "ANY")

    def _listed(self, repository: str, status: TagStatusType) -> Iterator[EcrImage]:
        pages = self._client.get_paginator("describe_images").paginate(
            repositoryName=repository, filter={"tagStatus": status}, PaginationConfig=_LARGE_PAGES
        )
        with translated(GONE, subject=repository):
            for page in pages:
                for detail in page["imageDetails"]:
                    yield _facts(ImageRef.of(repository, detail["imageDigest"]), detail)

    def push_manifest(self, repository: str, manifest: Manifest, tag: str) -> None:
        try:
            self._client.put_image(
                repositoryName=repository,
                imageManifest=manifest.content.decode(),
                imageManifestMediaType=manifest.media_type,
                imageTag=tag,
            )
        except self._client.exceptions.ImageAlreadyExistsException:
            return


def _manifest(described: Any) -> Manifest:
    return Manifest.parse(described["imageManifest"].encode(), described.get("imageManifestMediaType"))


def _facts(image: ImageRef, detail: Any) -> EcrImage:
    return EcrImage(
        image=image,
        tags=frozenset(detail.get("imageTags", ())),
        pushed_at=detail["imagePushedAt"],
        media_type=detail.get("imageManifestMediaType", ""),
        artifact_type=detail.get("artifactMediaType"),
        size=detail.get("imageSizeInBytes", 0),
    )
