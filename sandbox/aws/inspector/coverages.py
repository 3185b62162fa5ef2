"""Inspector's ListCoverage: for each image, whether Inspector has scanned it, while scanning is enhanced.

Rules where AWS's guides are silent: an image has no record if no filter of the registry matches its repository, or if
no scan of it began; an image that is scanned only on push is INACTIVE. Records of repositories are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult
from moto.inspector2 import urls
from moto.inspector2.responses import Inspector2Response

from sandbox.aws.inspector import filters
from sandbox.aws.inspector.errors import InspectorError
from sandbox.registry.errors import EcrError
from sandbox.registry.paging import page
from sandbox.registry.store import store
from sandbox.scanner import scans
from sandbox.scanner.scan import Scan
from sandbox.settings import Settings

LARGEST_PAGE = 200
_ACTIVE = ("SUCCESSFUL", "PENDING_INITIAL_SCAN", "PENDING_REVIVAL_SCAN", "SCAN_IN_PROGRESS")


@dataclass(frozen=True, slots=True)
class _Covered:
    account: str
    arn: str
    repository: str
    tags: list[str]
    scan: Scan

    @property
    def code(self) -> str:
        return "ACTIVE" if self.scan.coverage in _ACTIVE else "INACTIVE"

    def record(self) -> dict[str, Any]:
        answer = {
            "accountId": self.account,
            "resourceId": self.arn,
            "resourceType": "AWS_ECR_CONTAINER_IMAGE",
            "scanType": "PACKAGE",
            "scanStatus": {"statusCode": self.code, "reason": self.scan.coverage},
            "resourceMetadata": {"ecrImage": {"tags": self.tags}},
        }
        return answer | ({"lastScannedAt": self.scan.looked} if self.scan.looked else {})


_CRITERIA: Mapping[str, Callable[[_Covered], str | None]] = {
    "accountId": lambda covered: covered.account,
    "ecrRepositoryName": lambda covered: covered.repository,
    "resourceId": lambda covered: covered.arn,
    "resourceType": lambda _: "AWS_ECR_CONTAINER_IMAGE",
    "scanStatusCode": lambda covered: covered.code,
    "scanStatusReason": lambda covered: covered.scan.coverage,
    "scanType": lambda _: "PACKAGE",
}


class Coverages(Inspector2Response):
    """The operation that moto lacks."""

    def list_coverage(self) -> ActionResult:
        criteria, size = self._get_param("filterCriteria") or {}, self._get_param("maxResults")
        size = LARGEST_PAGE if size is None else size
        if not 1 <= size <= LARGEST_PAGE:
            raise InspectorError(f"maxResults must be between 1 and {LARGEST_PAGE}")
        records = filters.filter_items(_image_records(), criteria, _CRITERIA, ("EQUALS", "NOT_EQUALS"))
        try:
            listed, token = page(records, self._get_param("nextToken"), size)
        except EcrError as error:
            raise InspectorError("Invalid next token") from error
        answer = {"coveredResources": [covered.record() for covered in listed]}
        return ActionResult(answer | ({"nextToken": token} if token else {}))


def _image_records() -> Iterator[_Covered]:
    for repo in list(store().backend.repositories.values()):
        for image in list(repo.images):
            scan = scans.current_scan(image)
            if scan and scan.kind == "ENHANCED":
                arn = f"{repo.arn}/{image.image_digest}"
                yield _Covered(repo.registry_id, arn, repo.name, list(image.image_tags), scan)


def install(_settings: Settings) -> None:
    """Patch the operation. Needs the store that ECR's patch opens."""
    urls.url_paths["{0}/coverage/list$"] = Coverages.dispatch
