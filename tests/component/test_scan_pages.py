"""Pages of findings are read past botocore's parser: the findings are the same, and a broken page is a fault."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from urllib3 import HTTPResponse

from benchmarks.judge import _finding
from imagegate.aws import clients as aws
from imagegate.aws.ecr.images import EcrImages
from imagegate.aws.ecr.scans import EcrScans
from imagegate.errors import ServiceUnavailableError
from imagegate.findings.finding import Finding
from imagegate.findings.scan import Basis
from imagegate.oci.image import Digest, ImageRef

IMAGE = ImageRef("shop-dev", Digest.of(b"image"))
OPERATION = "ecr.DescribeImageScanFindings"
# As the service writes them: times are numbers.
ENHANCED = [{**_finding(number), "firstObservedAt": 1764000000.5} for number in range(20)]
ENHANCED[3]["packageVulnerabilityDetails"]["vendorCreatedAt"] = 1764000000.0
ENHANCED[4]["packageVulnerabilityDetails"].pop("vulnerablePackages")
BASIC = [
    {"name": "CVE-2026-1", "severity": "HIGH", "attributes": [{"key": "package_name", "value": "zlib"}]},
    {"name": "CVE-2026-2", "severity": "LOW", "uri": "https://example.com"},
]

pytestmark = pytest.mark.usefixtures("aws_account")


def answered(body: bytes, basis: Basis) -> list[Finding]:
    def answer(request: Any, **_: Any) -> AWSResponse:
        headers: Any = {}
        content = HTTPResponse(io.BytesIO(body), preload_content=False)
        return AWSResponse(request.url, 200, headers, content)

    events = aws.client("ecr").meta.events
    events.register(f"before-send.{OPERATION}", answer, unique_id="answer")
    try:
        scans = EcrScans(EcrImages("123456789012.dkr.ecr.us-east-1.amazonaws.com"))
        return list(scans._findings(IMAGE, basis, scans._findings_page(IMAGE)))
    finally:
        events.unregister(f"before-send.{OPERATION}", answer, unique_id="answer")


@pytest.mark.parametrize(
    ("basis", "form", "findings"),
    [(Basis.ENHANCED, "enhancedFindings", ENHANCED), (Basis.BASIC, "findings", BASIC)],
)
def test_a_page_gives_the_findings_that_botocores_parser_gives(
    basis: Basis, form: str, findings: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps({"imageScanFindings": {form: findings}}).encode()
    read = answered(body, basis)
    assert len(read) == len(findings)
    monkeypatch.setattr(aws, "_READ_AS_JSON", {})
    aws.forget()
    assert read == answered(body, basis)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b'{"imageScanFindings": {"enhancedFindings": [1]}}']
)
def test_a_page_that_cannot_be_read_is_a_fault(body: bytes) -> None:
    with pytest.raises(ServiceUnavailableError, match="cannot be read"):
        answered(body, Basis.ENHANCED)
