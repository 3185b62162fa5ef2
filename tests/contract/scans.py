"""Findings for tests of the scanners, and readers of their results."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.scanner import findings
from tests.contract.registry_sandbox import Repository, Sandbox
from tests.patience import eventually

EVERY = [{"filter": "*", "filterType": "WILDCARD"}]


def finding(severity: str, number: int = 0, **fields: Any) -> dict[str, Any]:
    name = f"CVE-2026-{number:04}"
    return {"name": name, "severity": severity, "uri": "https://example.invalid"} | fields


def response(*found: dict[str, Any]) -> dict[str, Any]:
    return {"imageScanFindings": {"findings": list(found)}}


def configure(sandbox: Sandbox, reference: str, document: Any, *options: str) -> int:
    file = sandbox.settings.state / "given.json"
    file.write_text(json.dumps(document))
    return findings.main([reference, str(file), "--state", str(sandbox.settings.state), *options])


def describe(repo: Repository, ecr: Any, **options: Any) -> Any:
    wanted = {"repositoryName": repo.name, "imageId": {"imageTag": "v1"}}
    return ecr.describe_image_scan_findings(**wanted | options)


def active(repo: Repository, ecr: Any) -> Any:
    """Return the answer of DescribeImageScanFindings when the enhanced scan is really over."""

    def found() -> Any:
        answer = describe(repo, ecr)
        return answer if "imageScanCompletedAt" in answer.get("imageScanFindings", {}) else None

    return eventually(found)


def refusal(call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **options)
    return str(caught.value.response["Error"]["Code"])
