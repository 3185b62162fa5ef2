"""The conversion between basic and enhanced findings: a file in either form serves both kinds of scanning.

Enhanced findings have Amazon Inspector's form in DescribeImageScanFindings (EnhancedImageScanFinding).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sandbox.scanner.findings import Findings

# Severities that only one of the two knows.
_TO_INSPECTOR = {"UNDEFINED": "UNTRIAGED"}
_TO_BASIC = {"UNTRIAGED": "UNDEFINED"}


def as_enhanced(findings: Findings, repo: Any, image: Any) -> Findings:
    """Return the findings as Inspector reports them for this image."""
    resource = _resource(repo, image)
    if findings.is_enhanced:
        return replace(
            findings, findings=[_complete(finding, repo, resource) for finding in findings.findings]
        )
    return _convert_all(findings, _TO_INSPECTOR, lambda finding: _enhanced(finding, repo, resource))


def as_basic(findings: Findings) -> Findings:
    """Return the findings as ECR's own scanner reports them."""
    return _convert_all(findings, _TO_BASIC, _basic) if findings.is_enhanced else findings


def _convert_all(
    findings: Findings, levels: dict[str, str], convert: Callable[[dict[str, Any]], dict[str, Any]]
) -> Findings:
    listed = [convert(f) | {"severity": levels.get(f["severity"], f["severity"])} for f in findings.findings]
    counts = {levels.get(level, level): count for level, count in findings.counts.items()}
    return Findings(listed, counts, is_enhanced=not findings.is_enhanced)


def _enhanced(finding: dict[str, Any], repo: Any, resource: dict[str, Any]) -> dict[str, Any]:
    name, package = finding.get("name", "unnamed"), _package(finding)
    details = {
        "vulnerabilityId": name,
        "source": "NVD",
        "sourceUrl": finding.get("uri", ""),
        "vulnerablePackages": [package],
    }
    own = {
        "description": finding.get("description", f"{name} in {package['name']}"),
        "packageVulnerabilityDetails": details,
        "title": f"{name} - {package['name']}",
        "fixAvailable": "NO",
        "exploitAvailable": "NO",
    }
    return _complete(own, repo, resource)


def _complete(finding: dict[str, Any], repo: Any, resource: dict[str, Any]) -> dict[str, Any]:
    """Add the members that Inspector always gives; keep the given ones."""
    details, now = finding.get("packageVulnerabilityDetails", {}), datetime.now(UTC)
    packages = [f"{p.get('name')} {p.get('version')}" for p in details.get("vulnerablePackages", ())]
    name = details.get("vulnerabilityId", finding.get("title", "unnamed"))
    key_hash = hashlib.sha256(" ".join([resource["id"], name, *packages]).encode()).hexdigest()[:32]
    region, account = repo.arn.split(":")[3:5]
    every = {
        "awsAccountId": account,
        "description": name,
        "findingArn": f"arn:aws:inspector2:{region}:{account}:finding/{key_hash}",
        "firstObservedAt": now,
        "lastObservedAt": now,
        "updatedAt": now,
        "remediation": {"recommendation": {"text": "None Provided"}},
        "resources": [resource],
        "status": "ACTIVE",
        "type": "PACKAGE_VULNERABILITY",
    }
    return every | finding


def _package(finding: dict[str, Any]) -> dict[str, Any]:
    attributes = {entry["key"]: entry.get("value", "") for entry in finding.get("attributes", ())}
    return {
        "name": attributes.get("package_name", "unknown"),
        "version": attributes.get("package_version", "0"),
        "epoch": 0,
        "packageManager": "OS",
        "fixedInVersion": "NotAvailable",
    }


def _resource(repo: Any, image: Any) -> dict[str, Any]:
    details = {
        "imageHash": image.image_digest,
        "imageTags": list(image.image_tags),
        "pushedAt": image.image_pushed_at,
        "registry": repo.registry_id,
        "repositoryName": repo.name,
    }
    return {
        "id": f"{repo.arn}/{image.image_digest}",
        "type": "AWS_ECR_CONTAINER_IMAGE",
        "tags": {},
        "details": {"awsEcrContainerImage": details},
    }


def _basic(finding: dict[str, Any]) -> dict[str, Any]:
    details = finding.get("packageVulnerabilityDetails", {})
    package: dict[str, Any] = next(iter(details.get("vulnerablePackages", ())), {})
    attributes = {"package_name": package.get("name"), "package_version": package.get("version")}
    return {
        "name": details.get("vulnerabilityId", finding.get("title", "unnamed")),
        "description": finding.get("description", ""),
        "uri": details.get("sourceUrl", ""),
        "attributes": [{"key": key, "value": value} for key, value in attributes.items() if value],
    }
