"""SBOMs as Inspector writes them: CycloneDX 1.4 and SPDX 2.3, with the packages that are known of an image.

These are the packages that its findings name; the real Inspector knows all of them. Shapes: Amazon Inspector user
guide, "Exporting SBOMs". Unverified: `imageId` is the digest of the manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

Packages = list[tuple[str, str]]  # name, version


def packages(findings: Iterable[dict[str, Any]]) -> Packages:
    """Return the packages of findings in the enhanced form, each once, in order."""
    named = (
        (str(package.get("name")), str(package.get("version", "")))
        for finding in findings
        for package in finding.get("packageVulnerabilityDetails", {}).get("vulnerablePackages", ())
    )
    return sorted(set(named))


def document(format_: str, arn: str, packages: Packages) -> bytes:
    make = {"CYCLONEDX_1_4": _cyclonedx, "SPDX_2_3": _spdx}[format_]
    return json.dumps(make(arn, packages), indent=2).encode()


def _cyclonedx(arn: str, packages: Packages) -> dict[str, Any]:
    described = {
        "imageId": _digest(arn),
        "accountId": _account(arn),
        "resourceType": "AWS_ECR_CONTAINER_IMAGE",
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.4",
        "version": 1,
        "metadata": {
            "timestamp": _now(),
            "component": None,
            "properties": [{"name": name, "value": value} for name, value in described.items()],
        },
        "components": [
            {
                "type": "library",
                "name": name,
                "version": version,
                "purl": f"pkg:generic/{name}@{version}",
                "bom-ref": _ref(name, version),
            }
            for name, version in packages
        ],
    }


def _spdx(arn: str, packages: Packages) -> dict[str, Any]:
    return {
        "SPDXID": "SPDXRef-DOCUMENT",
        "spdxVersion": "SPDX-2.3",
        "name": arn,
        "documentNamespace": f"AWS_ECR_CONTAINER_IMAGE://{arn}",
        "creationInfo": {
            "created": _now(),
            "creators": [f"Organization: {_account(arn)}", "Tool: Amazon Inspector SBOM Generator"],
        },
        "packages": [
            {
                "SPDXID": f"SPDXRef-Package-{_ref(name, version)}",
                "name": name,
                "versionInfo": version,
                "downloadLocation": "NOASSERTION",
                "filesAnalyzed": False,
            }
            for name, version in packages
        ],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relatedSpdxElement": f"SPDXRef-Package-{_ref(name, version)}",
                "relationshipType": "DESCRIBES",
            }
            for name, version in packages
        ],
    }


def _digest(arn: str) -> str:
    return arn.rpartition("/")[2]


def _account(arn: str) -> str:
    return arn.split(":")[4]


def _ref(name: str, version: str) -> str:
    return hashlib.sha256(f"{name} {version}".encode()).hexdigest()[:32]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
