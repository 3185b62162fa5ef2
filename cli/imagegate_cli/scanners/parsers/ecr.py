"""Answers of `aws ecr describe-image-scan-findings`, for basic and for enhanced scanning."""

from __future__ import annotations

from typing import Any

from imagegate.findings.ecr import parse_basic_finding, parse_enhanced_finding
from imagegate.findings.finding import Finding, Severity, count_severities
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import is_digest
from imagegate_cli.scanners.report import ScannerReport, knows

# Amazon ECR API reference, ImageScanStatus.status: COMPLETE ends a basic scan, ACTIVE an enhanced one.
_ENDED = ("COMPLETE", "ACTIVE")

# The members of the answer (botocore, DescribeImageScanFindings).
_ANSWER = frozenset({"imageId", "imageScanStatus", "imageScanFindings", "ResponseMetadata"})
_FINDINGS = frozenset({"findings", "enhancedFindings", "findingSeverityCounts"})
_COVERAGE = (
    "whether Inspector has looked at the image since it was pushed is not in an answer of ECR; the pipeline asks"
    " Inspector (ListCoverage)"
)


def is_report(document: Raw) -> bool:
    return "imageScanFindings" in document or "imageScanStatus" in document


def read(document: Raw) -> ScannerReport:
    """Read an answer of ECR. Raise `MalformedError`; a scan that has not ended is no error: see `status` and `why`."""
    refuse_pages(document)
    status = fields.optional(document, "imageScanStatus", "status")
    description = fields.optional(document, "imageScanStatus", "description") or ""
    scan_result = fields.inner(document, "imageScanFindings")
    try:
        scanner = _scanner(scan_result, status)
        findings = fields.each(scan_result, "findings", read=read_basic)
        findings += fields.each(scan_result, "enhancedFindings", read=read_enhanced)
        counts = _counts(scan_result)
        completed_at = fields.moment(scan_result, "imageScanCompletedAt")
    except MalformedError as error:
        raise error.within("imageScanFindings") from error
    digest = fields.optional(document, "imageId", "imageDigest")
    unread = fields.unread_sections(document, _ANSWER) | fields.unread_sections(scan_result, _FINDINGS)
    return ScannerReport(
        scanner=scanner,
        findings=findings,
        knows=knows(scanner),
        target=_target(document),
        digest=digest if digest and is_digest(digest) else None,
        completed_at=completed_at,
        status=status,
        description=description,
        counts=counts,
        has_counts="findingSeverityCounts" in scan_result,
        why=_why_incomplete(status, description)
        or _why_unfinished(scan_result)
        or _why_short(findings, counts),
        notes=(*fields.unread_notes(unread, "ECR"), *((_COVERAGE,) if scanner == "enhanced" else ())),
    )


def refuse_pages(document: Raw) -> None:
    """Raise `MalformedError` if more pages follow (`nextToken` of the service, `NextToken` of the AWS CLI)."""
    for name in ("nextToken", "NextToken"):
        if document.get(name):
            problem = (
                "one page of several; write all pages into one file (without --max-items, --no-paginate)"
            )
            raise MalformedError(problem, name)


def _scanner(scan_result: Raw, status: str | None) -> str:
    lists_basic, lists_enhanced = scan_result.get("findings"), scan_result.get("enhancedFindings")
    if lists_basic and lists_enhanced:
        raise MalformedError("no scan gives both these and findings", "enhancedFindings")
    if lists_basic or lists_enhanced:
        return "enhanced" if lists_enhanced else "basic"
    return "enhanced" if status == "ACTIVE" else "basic"


def read_basic(raw: Raw) -> Finding:
    fields.text(raw, "name")
    fields.text(raw, "severity")
    fields.optional(raw, "uri")
    fields.each(raw, "attributes", read=_check_attribute)
    return parse_basic_finding({**raw, "attributes": fields.elements(raw, "attributes")})


def read_enhanced(raw: Raw) -> Finding:
    """Read an element of `enhancedFindings`, or of Inspector's `findings`."""
    fields.text(raw, "severity")
    for name in ("fixAvailable", "exploitAvailable", "findingArn"):
        fields.optional(raw, name)
    fields.number(raw, "epss", "score", highest=1)
    _check_details(raw)
    return parse_enhanced_finding(raw)


def _check_attribute(raw: Raw) -> None:
    fields.text(raw, "key")
    fields.optional(raw, "value")


def _check_details(raw: Raw) -> None:
    details = "packageVulnerabilityDetails"
    if fields.optional(raw, details, "vulnerabilityId") is None and fields.optional(raw, "title") is None:
        raise MalformedError("missing", details, "vulnerabilityId")
    fields.optional(raw, details, "sourceUrl")
    fields.texts(raw, details, "relatedVulnerabilities")
    fields.day_or_moment(raw, details, "vendorCreatedAt")
    fields.each(raw, details, "vulnerablePackages", read=_check_package)


def _check_package(raw: Raw) -> None:
    fields.text(raw, "name")
    for name in ("version", "release", "packageManager", "fixedInVersion", "sourceLayerHash", "filePath"):
        fields.optional(raw, name)
    fields.number(raw, "epoch", highest=2**31)


def _counts(scan_result: Raw) -> dict[Severity, int]:
    raw: dict[str, Any] = fields.inner(scan_result, "findingSeverityCounts")
    for level, number in raw.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise MalformedError("not a number of findings", "findingSeverityCounts", ascii(level[:40])[1:-1])
    return count_severities(raw)


def _target(document: Raw) -> str | None:
    name = fields.optional(document, "repositoryName")
    digest = fields.optional(document, "imageId", "imageDigest")
    tag = fields.optional(document, "imageId", "imageTag")
    if name is None:
        return digest or tag
    return f"{name}@{digest}" if digest else f"{name}:{tag}" if tag else name


def _why_incomplete(status: str | None, description: str) -> str:
    if status is None:
        return (
            "it does not say that the scan is over (imageScanStatus); write the whole answer, without --query"
        )
    if status in _ENDED:
        return ""
    return f"the scan's status is {status}" + (f" ({description})" if description else "")


def _why_unfinished(scan_result: Raw) -> str:
    """Say why a finished status is not enough: without a date and counts, findings are still to come.

    Source: aws-sdk issue 289, aws-cli issue 6759.
    """
    missing = [
        name for name in ("imageScanCompletedAt", "findingSeverityCounts") if scan_result.get(name) is None
    ]
    if not missing:
        return ""
    return f"it has no {' and no '.join(missing)}: the scan is not done, whatever its status says"


def _why_short(findings: list[Finding], counts: dict[Severity, int]) -> str:
    """Say that findings are missing if the summary counts more than the list has, else return an empty text."""
    severities = [finding.severity for finding in findings]
    short = {severity: number for severity, number in counts.items() if severities.count(severity) < number}
    if not short:
        return ""
    listed_counts = ", ".join(
        f"{severities.count(severity)} of {number} {severity}" for severity, number in short.items()
    )
    return f"it lists only {listed_counts} findings that the scan counts; write all pages into one file"
