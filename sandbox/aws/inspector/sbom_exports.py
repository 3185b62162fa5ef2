"""Inspector's exports of SBOMs, which moto lacks: after some time the files are in the bucket, or none are.

Rules where AWS's guides are silent: a second export at a time is refused with ValidationException; the keys below the
prefix are those that users have reported; one value of a criterion must match. Also reported by users: an export for a
repository that is not scanned continuously succeeds and writes nothing. Unknown criteria are refused instead of
ignored.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult
from moto.inspector2 import urls
from moto.inspector2.responses import Inspector2Response
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from sandbox.aws.iam import used_statements
from sandbox.aws.iam.policies import Statement, applying_statements
from sandbox.aws.iam.resource_policies import statements_on
from sandbox.aws.inspector.errors import InspectorError, ReportNotFoundError
from sandbox.later import later
from sandbox.registry import scanning
from sandbox.registry.store import store
from sandbox.scanner import sboms, scans
from sandbox.settings import ACCOUNT, REGION, Settings

_SERVICE = "inspector2.amazonaws.com"
_ID = re.compile(r"[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}")
_FORMATS = ("CYCLONEDX_1_4", "SPDX_2_3")
_CRITERIA = ("resourceId", "ecrRepositoryName")
_MOST_VALUES = 10


@dataclass(slots=True)
class _Report:
    id: str
    format: str
    destination: dict[str, str]
    criteria: dict[str, list[dict[str, str]]]
    status: str = "IN_PROGRESS"
    error: str = ""
    message: str = ""

    def as_json(self) -> dict[str, Any]:
        document = {
            "reportId": self.id,
            "format": self.format,
            "status": self.status,
            "s3Destination": self.destination,
            "filterCriteria": self.criteria,
        }
        return document | ({"errorCode": self.error, "errorMessage": self.message} if self.error else {})

    def fail(self, error: str, message: str) -> None:
        self.status, self.error, self.message = "FAILED", error, message

    def key(self, repository: Any, image: Any) -> str:
        """Return the object's key as users have reported it: with the digest's colon, without the ARN's slashes."""
        prefix = self.destination.get("keyPrefix", "").rstrip("/")
        folder = f"{self.format}_outputs_{self.id}/account={ACCOUNT}/resource=AWS_ECR_CONTAINER_IMAGE"
        resource = f"{repository.arn}_{image.image_digest}".replace(":repository/", ":repository_")
        return f"{prefix}/{folder}/{resource}_{self.format}.json".lstrip("/")


_reports: dict[str, _Report] = {}
_lock = threading.Lock()


class SbomExportOperations(Inspector2Response):
    """Operations of SBOM exports, one method each."""

    def create_sbom_export(self) -> ActionResult:
        format_, destination = self._get_param("reportFormat"), self._get_param("s3Destination") or {}
        criteria = self._get_param("resourceFilterCriteria") or {}
        if format_ not in _FORMATS:
            raise InspectorError(f"reportFormat must be one of {', '.join(_FORMATS)}")
        if not destination.get("bucketName") or not destination.get("kmsKeyArn"):
            raise InspectorError("s3Destination needs bucketName and kmsKeyArn")
        _check(criteria)
        with _lock:
            if any(report.status == "IN_PROGRESS" for report in _reports.values()):
                raise InspectorError("another report is in progress")
            report = _Report(str(uuid.uuid4()), format_, destination, criteria)
            _reports[report.id] = report
        quirks = store().settings.quirks
        later(quirks.export_seconds, lambda: quirks.hold_exports, _write, report)
        return ActionResult({"reportId": report.id})

    def get_sbom_export(self) -> ActionResult:
        return ActionResult(self._report().as_json())

    def cancel_sbom_export(self) -> ActionResult:
        report = self._report()
        with _lock:
            if report.status == "IN_PROGRESS":
                report.status = "CANCELLED"
        return ActionResult({"reportId": report.id})

    def _report(self) -> _Report:
        name = self._get_param("reportId") or ""
        if not _ID.fullmatch(name):
            raise InspectorError("reportId is not the id of a report")
        if name not in _reports:
            raise ReportNotFoundError(f"report {name} does not exist")
        return _reports[name]


def _check(criteria: dict[str, list[dict[str, str]]]) -> None:
    for name, values in criteria.items():
        if name not in _CRITERIA:
            raise InspectorError(
                f"the sandbox does not filter resources by {name}, only by {', '.join(_CRITERIA)}"
            )
        if not 1 <= len(values) <= _MOST_VALUES:
            raise InspectorError(f"{name} must have between 1 and {_MOST_VALUES} members")
        if any(value.get("comparison") != "EQUALS" or not value.get("value") for value in values):
            raise InspectorError(f"{name}: the sandbox knows EQUALS with a value only")


def _write(report: _Report) -> None:
    with _lock:
        if report.status != "IN_PROGRESS":
            return
        bucket, key = report.destination["bucketName"], report.destination["kmsKeyArn"]
        if bucket not in s3_backends[ACCOUNT]["aws"].buckets:
            report.fail("BUCKET_NOT_FOUND", f"there is no bucket {bucket}")
        elif key.rpartition("/")[2] not in kms_backends[ACCOUNT][REGION].keys:
            report.fail("MALFORMED_KMS_KEY", f"there is no key {key}")
        elif missing := _missing_permission(report, bucket, key):
            report.fail("INVALID_PERMISSIONS", f"Inspector may not {missing}")
        else:
            for repository, image in _images_to_export(report.criteria):
                _put(report, repository, image)
            report.status = "SUCCEEDED"


def _put(report: _Report, repository: Any, image: Any) -> None:
    scan = scans.current_scan(image)
    packages = sboms.packages(scan.findings if scan else ())
    content = sboms.document(report.format, f"{repository.arn}/{image.image_digest}", packages)
    s3_backends[ACCOUNT]["aws"].put_object(
        report.destination["bucketName"],
        report.key(repository, image),
        content,
        encryption="aws:kms",
        kms_key_id=report.destination["kmsKeyArn"],
    )


def _images_to_export(criteria: dict[str, list[dict[str, str]]]) -> Iterator[tuple[Any, Any]]:
    """Yield images with a finished enhanced scan, of repositories that are scanned continuously."""
    values_of = {name: {value["value"] for value in values} for name, values in criteria.items()}
    for repository in list(store().backend.repositories.values()):
        is_requested = repository.name in values_of.get("ecrRepositoryName", {repository.name})
        if not is_requested or scanning.configuration(repository)["scanFrequency"] != "CONTINUOUS_SCAN":
            continue
        for image in list(repository.images):
            scan, arn = scans.current_scan(image), f"{repository.arn}/{image.image_digest}"
            is_known = scan is not None and scan.kind == "ENHANCED" and scan.completed is not None
            if is_known and arn in values_of.get("resourceId", {arn}):
                yield repository, image


def _missing_permission(report: _Report, bucket: str, key: str) -> str:
    """Return the permission that the policies of bucket and key deny to the service, or an empty text."""
    prefix = report.destination.get("keyPrefix", "")
    needs = [
        ("s3:PutObject", f"arn:aws:s3:::{bucket}/{prefix}/x"),
        ("kms:GenerateDataKey", key),
        ("kms:Decrypt", key),
    ]
    context = {
        "aws:SourceAccount": ACCOUNT,
        "aws:SourceArn": f"arn:aws:inspector2:{REGION}:{ACCOUNT}:report/{report.id}",
        "aws:PrincipalIsAWSService": "true",
        "aws:SecureTransport": "true",
    }
    for action, resource in needs:
        attached = [one for one in statements_on(resource) if _is_named_by(one)]
        statements = applying_statements(attached, action, resource, context)
        used_statements.record_use(resource, statements)
        if {one["Effect"] for one in statements} != {"Allow"}:
            return f"{action} on {resource}"
    return ""


def _is_named_by(statement: Statement) -> bool:
    principal = statement.get("Principal")
    services = principal.get("Service", []) if isinstance(principal, dict) else principal
    return bool({"*", _SERVICE} & set([services] if isinstance(services, str) else services or []))


def install(_settings: Settings) -> None:
    """Patch the operations. Needs the store that ECR's patch opens."""
    _reports.clear()
    for operation in ("create", "get", "cancel"):
        urls.url_paths[f"{{0}}/sbomexport/{operation}$"] = SbomExportOperations.dispatch
