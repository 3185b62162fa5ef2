"""What the scanner is to find: files of findings, validated when they come in and read at scan time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import botocore.session
from botocore.validate import ParamValidator


class InvalidFindingsError(ValueError):
    """The file is not in the form of a DescribeImageScanFindings response."""


@dataclass(frozen=True, slots=True)
class Findings:
    """One scan's result: its findings, and how many there are of each severity."""

    findings: list[dict[str, Any]]
    counts: dict[str, int]


CLEAN = Findings([], {})


def parse(text: str) -> Findings:
    """Accept the whole response or its `imageScanFindings`; say where it is wrong."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidFindingsError(f"not JSON: {error}") from error
    if isinstance(document, dict):
        document = document.get("imageScanFindings", document)
    if not isinstance(document, dict) or not {"findings", "findingSeverityCounts"} & set(document):
        raise InvalidFindingsError('expected {"imageScanFindings": {"findings": [...]}}')
    _validate(document)
    found = document.get("findings", [])
    counted = dict(Counter(finding["severity"] for finding in found))
    return Findings(found, document.get("findingSeverityCounts", counted))


def _validate(document: dict[str, Any]) -> None:
    shape = _shape()
    if unknown := sorted(set(document) - set(shape.members)):
        raise InvalidFindingsError(f"unknown key: {', '.join(unknown)}")
    if "enhancedFindings" in document:
        raise InvalidFindingsError("enhancedFindings: this scanner does basic scanning only")
    report = ParamValidator().validate(document, shape)
    if report.has_errors():
        raise InvalidFindingsError(report.generate_report())
    levels = shape.members["findings"].member.members["severity"].enum
    for position, finding in enumerate(document.get("findings", [])):
        if finding.get("severity") not in levels:
            what = f"findings[{position}].severity is {finding.get('severity')!r}"
            raise InvalidFindingsError(f"{what}, not one of {', '.join(levels)}")


def _shape() -> Any:
    model = botocore.session.get_session().get_service_model("ecr")
    return model.shape_for("ImageScanFindings")


def file_for(state: Path, reference: str) -> Path:
    """`reference` is REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST."""
    return state / "findings" / f"{quote(reference, safe='')}.json"


def read(state: Path, repository: str, digest: str, tags: Iterable[str]) -> Findings:
    """The most specific file wins: digest, then tag, then repository; none means a clean scan."""
    references = [f"{repository}@{digest}", *(f"{repository}:{tag}" for tag in tags), repository]
    for reference in references:
        file = file_for(state, reference)
        if file.exists():
            return parse(file.read_text())
    return CLEAN
