"""Amazon ECR: images and their scans. Manifests are read as bytes and checked by digest; tags are only looked up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from imagegate.aws.clients import client, translated
from imagegate.aws.inspector import Inspector
from imagegate.canonical_json import timestamp
from imagegate.errors import (
    AccessRefusedError,
    FindingsChangedError,
    ImageGateError,
    ImageNotFoundError,
    RejectedInputError,
    ScanRefusedError,
    UnsupportedImageError,
)
from imagegate.findings.ecr import lists_other_findings, read_findings, read_status
from imagegate.findings.scan import Basis, Scanning, ScanProgress, ScanStatus
from imagegate.oci.image import MANIFEST_MEDIA_TYPES, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.policy import Scanner
from imagegate.policy.replication import Replica, ReplicaStatus
from imagegate.ports.images import ScanReading
from imagegate.release.release import EcrImage

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.literals import TagStatusType
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

    from imagegate.findings.finding import Finding

_FINDINGS_A_PAGE = 1000
_IMAGES_A_CALL = 100  # Amazon ECR API reference, BatchGetImage.imageIds
# The most that DescribeRepositories and DescribeImages list at once (Amazon ECR API reference).
_LARGE_PAGES: Any = {"PageSize": 1000}
_GONE: Mapping[str, type[ImageGateError]] = {
    "ImageNotFoundException": ImageNotFoundError,
    "RepositoryNotFoundException": ImageNotFoundError,
}
# BatchGetImage answers 200 with failures in it (Amazon ECR API reference, ImageFailure.failureCode).
_ABSENT = frozenset({"ImageNotFound", "ImageTagDoesNotMatchDigest"})
_DENIED: Mapping[str, type[ImageGateError]] = {"AccessDeniedException": AccessRefusedError}
# If Inspector scans, ECR calls it with the permissions of its own caller (user guide, "Enhanced scanning").
_NEEDED = (
    "this role may not read the scan; it needs ecr:DescribeImageScanFindings and, where the registry is scanned by"
    " Inspector, inspector2:ListFindings and inspector2:ListCoverage on *"
)
_ENHANCED_BY_ITSELF = frozenset({"CONTINUOUS_SCAN", "SCAN_ON_PUSH"})
# Errors of StartImageScan that no later call avoids. To have used up the daily scan of an image is none.
_REFUSED: Mapping[str, type[ImageGateError]] = {
    **_GONE,
    "ImageArchivedException": ScanRefusedError,
    "UnsupportedImageTypeException": UnsupportedImageError,
    "ValidationException": ScanRefusedError,
}


class Ecr:
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

    # images

    def facts(self, image: ImageRef) -> EcrImage:
        with translated(_GONE, subject=str(image)):
            response = self._client.describe_images(
                repositoryName=image.repository, imageIds=[{"imageDigest": str(image.digest)}]
            )
        if not response["imageDetails"]:
            raise ImageNotFoundError(f"{image}: ECR describes no such image")
        return _facts(image, response["imageDetails"][0])

    def replicas(self, image: ImageRef) -> list[Replica]:
        with translated(_GONE, subject=str(image)):
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
        found: dict[Digest, Manifest] = {}
        wanted = list(dict.fromkeys(digests))
        for start in range(0, len(wanted), _IMAGES_A_CALL):
            with translated(_GONE, subject=repository):
                response = self._client.batch_get_image(
                    repositoryName=repository,
                    imageIds=[{"imageDigest": str(digest)} for digest in wanted[start:][:_IMAGES_A_CALL]],
                    acceptedMediaTypes=list(MANIFEST_MEDIA_TYPES),
                )
            for described in response.get("images", ()):
                with suppress(RejectedInputError):
                    manifest = _manifest(described)
                    found[manifest.digest] = manifest
        return found

    def _get(self, repository: str, wanted: ImageIdentifierTypeDef) -> Any:
        name = f"{repository} {' '.join(map(str, wanted.values()))}"
        with translated(_GONE, subject=name):
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
        with translated(_GONE, subject=repository):
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

    # scans

    def status(self, image: ImageRef) -> ScanStatus:
        """Return the status. Raises `ImageNotFoundError`, or `AccessRefusedError` if a permission is missing.

        The registry's configuration and Inspector's coverage are read before the result, so the result is not older.
        """
        return self._first_page(image, 1)[0]

    def progress(self, image: ImageRef) -> ScanProgress:
        return ScanProgress.of(self._head(image, 1).get("imageScanStatus", {}).get("status"))

    def read(self, image: ImageRef, pushed_at: datetime | None = None) -> ScanReading:
        """Return status and findings. The first page has both, so that they agree if there is no other page."""
        status, page = self._first_page(image, _FINDINGS_A_PAGE, pushed_at)
        return ScanReading(status, self._findings(image, status.basis, page), not page.get("nextToken"))

    def _first_page(
        self, image: ImageRef, size: int, pushed_at: datetime | None = None
    ) -> tuple[ScanStatus, Any]:
        basis = self._basis()
        coverage = Inspector().coverage(self._arn(image)) if basis is Basis.ENHANCED else ()
        page = self._head(image, size)
        status = replace(read_status(image.digest, page, basis), coverage=coverage)
        if status.says_it_is_over:
            status = replace(status, pushed_at=timestamp(pushed_at or self.facts(image).pushed_at))
        return status, page

    def _head(self, image: ImageRef, size: int) -> Any:
        """Return the first page of the findings, or `{}` until a first scan has begun."""
        try:
            return self._findings_page(image, maxResults=size)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ScanNotFoundException":
                raise
            return {}

    def _basis(self) -> Basis:
        with translated({}, subject="the registry's scanning configuration"):
            response = self._client.get_registry_scanning_configuration()
        is_enhanced = response["scanningConfiguration"].get("scanType") == "ENHANCED"
        return Basis.ENHANCED if is_enhanced else Basis.BASIC

    def _arn(self, image: ImageRef) -> str:
        """Return the ARN by which Inspector names an image."""
        account, here = self._registry.partition(".")[0], self._client.meta
        where = f"{here.partition}:ecr:{here.region_name}:{account}"
        return f"arn:{where}:repository/{image.repository}/{image.digest}"

    def _findings(self, image: ImageRef, basis: Basis, page: Any) -> Iterator[Finding]:
        """Yield every finding. Raises `FindingsChangedError` if the pages belong to more than one scan.

        That is so if the image was scanned again meanwhile, or by another scanner, whose findings have another form.
        """
        while True:
            findings = page.get("imageScanFindings", {})
            if lists_other_findings(findings, basis):
                raise FindingsChangedError(f"{image}: it lists the findings of another scanner")
            yield from read_findings(findings, basis)
            token = page.get("nextToken")
            if not token:
                return
            with translated({"InvalidParameterException": FindingsChangedError}, str(image)):
                page = self._findings_page(image, maxResults=_FINDINGS_A_PAGE, nextToken=token)

    def _findings_page(self, image: ImageRef, **paging: Any) -> Any:
        with translated(_GONE, subject=str(image)), translated(_DENIED, subject=f"{image}: {_NEEDED}"):
            return self._client.describe_image_scan_findings(
                repositoryName=image.repository, imageId={"imageDigest": str(image.digest)}, **paging
            )

    def scanning(self, repository: str) -> Scanning:
        """Say how images are scanned. Raises `ImageNotFoundError` if there is no such repository."""
        with translated(_GONE, subject=repository):
            registry = self._client.get_registry_scanning_configuration()
            response = self._client.batch_get_repository_scanning_configuration(repositoryNames=[repository])
        configurations = response.get("scanningConfigurations")
        if not configurations:
            raise ImageNotFoundError(f"{repository}: ECR knows no scanning configuration of it")
        frequency = configurations[0].get("scanFrequency")
        if registry["scanningConfiguration"].get("scanType") == "ENHANCED":
            return Scanning.BY_ITSELF if frequency in _ENHANCED_BY_ITSELF else Scanning.NEVER
        on_push = configurations[0].get("scanOnPush") or frequency == "SCAN_ON_PUSH"
        return Scanning.BY_ITSELF if on_push else Scanning.ON_REQUEST

    def is_continuous(self, repository: str) -> bool:
        with translated(_GONE, subject=repository):
            response = self._client.batch_get_repository_scanning_configuration(repositoryNames=[repository])
        configurations = response.get("scanningConfigurations", ())
        return any(one.get("scanFrequency") == "CONTINUOUS_SCAN" for one in configurations)

    def scanner(self) -> Scanner:
        return Scanner.ENHANCED if self._basis() is Basis.ENHANCED else Scanner.BASIC

    def start(self, image: ImageRef) -> bool:
        """Start a scan. Raises `ScanRefusedError` if ECR cannot scan such an image, or if Inspector scans here."""
        try:
            with translated(_REFUSED, subject=f"{image} cannot be scanned"):
                self._client.start_image_scan(
                    repositoryName=image.repository, imageId={"imageDigest": str(image.digest)}
                )
        except ClientError as error:
            # One basic scan per image in 24 hours: there is one, running or done.
            if error.response["Error"]["Code"] != "LimitExceededException":
                raise
            return False
        return True


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
