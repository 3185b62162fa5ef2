"""Findings of AWS Security Hub in the AWS Security Finding Format (`aws securityhub get-findings`) about one image.

Source: botocore, securityhub, AwsSecurityFinding. Inspector and other scanners send their findings to Security Hub.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from imagegate.findings.ecr import parse_enhanced_finding
from imagegate.findings.finding import Finding, Severity
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import is_digest
from imagegate_cli.scanners.parsers.ecr import refuse_pages
from imagegate_cli.scanners.report import ScannerReport, knows
from imagegate_cli.scanners.severities import worst

_IMAGE = "AwsEcrContainerImage"
_ANSWER = frozenset({"Findings", "NextToken", "ResponseMetadata"})
# Severity.Normalized, where there is no label (AWS Security Hub User Guide, Severity).
_NORMALIZED = ((90, Severity.CRITICAL), (70, Severity.HIGH), (40, Severity.MEDIUM), (1, Severity.LOW))
_PACKAGE_FIELDS = {
    "name": "Name",
    "version": "Version",
    "release": "Release",
    "packageManager": "PackageManager",
    "fixedInVersion": "FixedInVersion",
    "sourceLayerHash": "SourceLayerHash",
    "filePath": "FilePath",
}
_EMPTY = "Security Hub lists no findings, and does not say whether any scanner looked at the image"


def is_report(document: Any) -> bool:
    if isinstance(document, dict):
        findings = document.get("Findings")
        if findings == []:
            return set(document) <= _ANSWER
    else:
        findings = document
    if not isinstance(findings, list):
        return False
    return any(isinstance(one, dict) and "ProductArn" in one and "SchemaVersion" in one for one in findings)


def read(document: Any) -> ScannerReport:
    """Read findings. Raise `MalformedError`, also if they are about more than one image."""
    raw: Raw = document if isinstance(document, dict) else {"Findings": document}
    refuse_pages(raw)
    listed = fields.each(raw, "Findings", read=_findings)
    images = sorted({image for images in fields.each(raw, "Findings", read=_images) for image in images})
    if len(images) > 1:
        raise MalformedError(f"of {len(images)} images; filter by one (ResourceId)", "Findings")
    target, digest = images[0] if images else (None, "")
    return ScannerReport(
        scanner="asff",
        findings=[finding for findings in listed for finding in findings],
        knows=knows("asff"),
        target=target,
        digest=digest or None,
        why="" if listed else _EMPTY,
        notes=tuple(_notes(raw)),
    )


def _findings(raw: Raw) -> list[Finding]:
    """Return a finding for each vulnerability; a finding without vulnerabilities counts under its title."""
    severity = _severity(raw)
    details = fields.each(raw, "Vulnerabilities", read=_vulnerability)
    if not details:
        return [Finding(fields.text(raw, "Title"), severity)]
    return [replace(detail, severity=severity, arn=fields.text(raw, "Id")) for detail in details]


def _vulnerability(raw: Raw) -> Finding:
    """Convert a vulnerability to the form of Inspector, which has the same members."""
    packages = fields.each(raw, "VulnerablePackages", read=_package)
    return replace(
        parse_enhanced_finding(
            {
                "severity": "UNTRIAGED",
                "fixAvailable": fields.optional(raw, "FixAvailable"),
                "exploitAvailable": fields.optional(raw, "ExploitAvailable"),
                "packageVulnerabilityDetails": {
                    "vulnerabilityId": fields.text(raw, "Id"),
                    "relatedVulnerabilities": fields.texts(raw, "RelatedVulnerabilities"),
                    "sourceUrl": fields.optional(raw, "Vendor", "Url"),
                    "vulnerablePackages": packages,
                },
            }
        ),
        epss=fields.number(raw, "EpssScore", highest=1),
        published=fields.day_or_moment(raw, "Vendor", "VendorCreatedAt"),
    )


def _package(raw: Raw) -> Raw:
    package: Raw = {name: fields.optional(raw, key) for name, key in _PACKAGE_FIELDS.items()}
    fields.text(raw, "Name")
    epoch = fields.optional(raw, "Epoch")
    # Security Hub writes it as a text; without it and with 0 it is the same.
    return {**package, "epoch": int(epoch) if epoch and epoch.isdecimal() and len(epoch) < 10 else None}


def _severity(raw: Raw) -> Severity:
    """Return the worse of the scanner's severity and the current one, which rules of Security Hub can lower."""
    own = fields.inner(raw, "Severity")
    of_provider = fields.inner(raw, "FindingProviderFields", "Severity")
    labels = [fields.optional(one, "Label") for one in (own, of_provider)]
    known = [Severity.parse(label) for label in labels if label]
    if known:
        return worst(known)
    score = fields.number(own, "Normalized", highest=100)
    if score is None:
        raise MalformedError("missing", "Severity", "Label")
    return next((severity for least, severity in _NORMALIZED if score >= least), Severity.INFORMATIONAL)


def _images(raw: Raw) -> list[tuple[str, str]]:
    return fields.each(raw, "Resources", read=_image)


def _image(resource: Raw) -> tuple[str, str]:
    """Return the name and the digest of the image that a finding is about."""
    kind = fields.text(resource, "Type")
    if kind != _IMAGE:
        raise MalformedError(f"{kind[:40]!a} is no container image", "Type")
    arn = fields.text(resource, "Id")
    name, _, last = arn.partition("repository/")[2].rpartition("/")
    digest = fields.optional(resource, "Details", _IMAGE, "ImageDigest") or last
    name = fields.optional(resource, "Details", _IMAGE, "RepositoryName") or name or arn
    return (f"{name}@{digest}", digest) if is_digest(digest) else (name, "")


def _notes(raw: Raw) -> list[str]:
    """Note findings that are closed in Security Hub, which count: that is no proof of a fix."""
    states = Counter(
        state for states in fields.each(raw, "Findings", read=_states) for state in states if state
    )
    return [
        f"{states[state]} findings that are {state} in Security Hub count like all others"
        for state in ("ARCHIVED", "SUPPRESSED", "RESOLVED")
        if state in states
    ]


def _states(raw: Raw) -> tuple[str | None, str | None]:
    return fields.optional(raw, "RecordState"), fields.optional(raw, "Workflow", "Status")
