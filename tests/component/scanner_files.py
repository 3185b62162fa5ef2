"""Scanner files for tests, and how tests read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imagegate.findings.finding import Severity
from imagegate_cli.scanners import formats
from imagegate_cli.scanners.document import ScannerFileError
from imagegate_cli.scanners.report import ScannerReport

FIXTURES = Path(__file__).parent / "fixtures" / "scanners"
NAMES = sorted(path.name for path in FIXTURES.glob("*.json"))
IMAGE = "sha256:a6a8a1d6d4c25185f3d7e68eb410d164402f74eeb60cbd4f98a5cd8777eb6b82"
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
DEBIAN = "sha256:d5b48f299dff1110bbdd78db49f0eb46b1d5c4735338cf0bd69e3ea84310b204"
LOG4J = "org.apache.logging.log4j:log4j-core"
Json = dict[str, Any]


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text())


def parsed(content: Any) -> ScannerReport:
    """Parse a report as `read` does, without a file."""
    return formats.report_of(content, "report")


def parsed_or_refused(content: Any) -> tuple[ScannerReport | None, str]:
    try:
        return parsed(content), ""
    except ScannerFileError as error:
        return None, error.message


def refusal(content: Any) -> str:
    with pytest.raises(ScannerFileError) as raised:
        parsed(content)
    return raised.value.message


def severities(report: ScannerReport) -> list[Severity]:
    return [finding.severity for finding in report.findings]
