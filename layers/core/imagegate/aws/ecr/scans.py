"""Scans of Amazon ECR: basic ones by ECR itself, enhanced ones by Amazon Inspector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from imagegate.aws.clients import client, translated
from imagegate.aws.ecr.images import GONE, EcrImages
from imagegate.aws.inspector import Inspector
from imagegate.canonical_json import timestamp
from imagegate.errors import (
    AccessRefusedError,
    FindingsChangedError,
    ImageGateError,
    ImageNotFoundError,
    ScanRefusedError,
    UnsupportedImageError,
)
from imagegate.findings.ecr import lists_other_findings, read_findings, read_status
from imagegate.findings.scan import Basis, Scanning, ScanProgress, ScanStatus
from imagegate.policy.policy import Scanner
from imagegate.ports.images import ScanReading

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_ecr import ECRClient

    from imagegate.findings.finding import Finding
    from imagegate.oci.image import ImageRef

_FINDINGS_A_PAGE = 1000
_DENIED: Mapping[str, type[ImageGateError]] = {"AccessDeniedException": AccessRefusedError}
# If Inspector scans, ECR calls it with the permissions of its own caller (user guide, "Enhanced scanning").
_NEEDED = (
    "this role may not read the scan; it needs ecr:DescribeImageScanFindings and, where the registry is scanned by"
    " Inspector, inspector2:ListFindings and inspector2:ListCoverage on *"
)
_ENHANCED_BY_ITSELF = frozenset({"CONTINUOUS_SCAN", "SCAN_ON_PUSH"})
# Errors of StartImageScan that no later call avoids. To have used up the daily scan of an image is none.
_REFUSED: Mapping[str, type[ImageGateError]] = {
    **GONE,
    "ImageArchivedException": ScanRefusedError,
    "UnsupportedImageTypeException": UnsupportedImageError,
    "ValidationException": ScanRefusedError,
}


class EcrScans:
    """The scans of the account's own registry in this Region."""

    def __init__(self, images: EcrImages) -> None:
        self._images = images

    @property
    def _client(self) -> ECRClient:
        ecr: ECRClient = client("ecr")
        return ecr

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
            status = replace(status, pushed_at=timestamp(pushed_at or self._images.facts(image).pushed_at))
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
        account, here = self._images.registry.partition(".")[0], self._client.meta
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
            if page.get("nextToken") == token:
                raise FindingsChangedError(f"{image}: a page of its findings leads to itself")

    def _findings_page(self, image: ImageRef, **paging: Any) -> Any:
        with translated(GONE, subject=str(image)), translated(_DENIED, subject=f"{image}: {_NEEDED}"):
            return self._client.describe_image_scan_findings(
                repositoryName=image.repository, imageId={"imageDigest": str(image.digest)}, **paging
            )

    def scanning(self, repository: str) -> Scanning:
        """Say how images are scanned. Raises `ImageNotFoundError` if there is no such repository."""
        with translated(GONE, subject=repository):
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
        with translated(GONE, subject=repository):
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
