"""The findings of future scans: files that are validated when they come in and read at scan time."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import botocore.session
import urllib3
from botocore.utils import parse_timestamp
from botocore.validate import ParamValidator

from sandbox.images.references import InvalidSandboxReferenceError, SandboxReference
from sandbox.session import NoSandboxError, default_state, require_running


class InvalidFindingsError(ValueError):
    """The file is not in the form of a DescribeImageScanFindings response."""


@dataclass(frozen=True, slots=True)
class Findings:
    """One scan's result: its findings in one of the two forms, and how many there are of each severity."""

    findings: list[dict[str, Any]]
    counts: dict[str, int]
    is_enhanced: bool = False


CLEAN = Findings([], {})
_BOTH = ("INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL")
# ECR's own scanner (FindingSeverity) and Inspector (Severity) differ in their last value.
_LEVELS = {"findings": (*_BOTH, "UNDEFINED"), "enhancedFindings": (*_BOTH, "UNTRIAGED")}


@lru_cache(maxsize=4)  # platforms of an index share a file, and checking thousands of findings is slow
def parse(text: str) -> Findings:
    """Parse the whole response or its `imageScanFindings`. Raises `InvalidFindingsError`, which names the fault."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidFindingsError(f"not JSON: {error}") from error
    if isinstance(document, dict):
        document = document.get("imageScanFindings", document)
    if not isinstance(document, dict) or not {*_LEVELS, "findingSeverityCounts"} & set(document):
        raise InvalidFindingsError('expected {"imageScanFindings": {"findings": [...]}}')
    form = "enhancedFindings" if "enhancedFindings" in document else "findings"
    _validate(document, form)
    found = document.get(form, [])
    counted = dict(Counter(finding["severity"] for finding in found))
    counts = document.get("findingSeverityCounts", counted)
    return Findings(_parse_times(found), counts, is_enhanced=form == "enhancedFindings")


def _validate(document: dict[str, Any], form: str) -> None:
    shape = _shape()
    if unknown := sorted(set(document) - set(shape.members)):
        raise InvalidFindingsError(f"unknown key: {', '.join(unknown)}")
    if set(_LEVELS) <= set(document):
        raise InvalidFindingsError("either findings or enhancedFindings: no scan gives both")
    report = ParamValidator().validate(document, shape)
    if report.has_errors():
        raise InvalidFindingsError(report.generate_report())
    for position, finding in enumerate(document.get(form, [])):
        if finding.get("severity") not in _LEVELS[form]:
            what = f"{form}[{position}].severity is {finding.get('severity')!r}"
            raise InvalidFindingsError(f"{what}, not one of {', '.join(_LEVELS[form])}")


def _parse_times(value: Any, key: str = "") -> Any:
    """Convert times once, because converting them for each answer would be slow."""
    if isinstance(value, dict):
        return {name: _parse_times(member, name) for name, member in value.items()}
    if isinstance(value, list):
        return [_parse_times(member) for member in value]
    return parse_timestamp(value) if key.endswith("At") else value


def _shape() -> Any:
    model = botocore.session.get_session().get_service_model("ecr")
    return model.shape_for("ImageScanFindings")


def file_for(state: Path, reference: str) -> Path:
    """Return the file for REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST."""
    return state / "findings" / f"{quote(reference, safe='')}.json"


def read(state: Path, repository: str, digest: str, tags: Iterable[str]) -> Findings:
    """Return the findings of the most specific file; without a file the scan is clean.

    In this order: digest, tag, repository, then the findings of the same digest in another repository.
    """
    of_image = [f"{repository}@{digest}", *(f"{repository}:{tag}" for tag in tags)]
    for reference in [*of_image, repository, f"@{digest}"]:
        file = file_for(state, reference)
        if file.exists():
            text = file.read_text()
            if reference in of_image:
                _keep_for_digest(state, digest, text)
            return parse(text)
    return CLEAN


def _keep_for_digest(state: Path, digest: str, text: str) -> None:
    """Keep the findings for copies of the image in other repositories: a scanner finds the same in the same bytes."""
    file = file_for(state, f"@{digest}")
    partial = file.with_suffix(f".{uuid.uuid4().hex}")
    partial.write_text(text)
    partial.replace(file)


def main(argv: Sequence[str]) -> int:
    """Run `python -m sandbox findings`; return 0, or 2 after one line that says what is wrong."""
    arguments = _parser().parse_args(argv)
    try:
        reference = SandboxReference.parse(arguments.reference)
        require_running(arguments.state)
        findings = _write(arguments.state, reference, arguments.file)
        print(f"{reference}: the next scan finds {_describe_counts(findings)}")
        if arguments.rescan:
            print(_rescan(arguments.state, reference))
    except (InvalidSandboxReferenceError, InvalidFindingsError, NoSandboxError, OSError) as error:
        print(f"findings: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox findings",
        description="Configure the findings that the sandbox's scanner will report for an image.",
    )
    parser.add_argument(
        "reference",
        metavar="REPOSITORY[:TAG|@DIGEST]",
        help="of a multi-platform image: the digest of a platform, or the repository",
    )
    parser.add_argument("file", type=Path, help="in DescribeImageScanFindings response form")
    parser.add_argument("--rescan", action="store_true", help="scan images that are there, now")
    parser.add_argument("--state", type=Path, default=default_state(), help="the sandbox's folder")
    return parser


def _write(state: Path, reference: SandboxReference, file: Path) -> Findings:
    try:
        text = file.read_text()
        findings = parse(text)
    except (InvalidFindingsError, UnicodeDecodeError) as error:
        raise InvalidFindingsError(f"{file}: {error}") from error
    target = file_for(state, str(reference))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return findings


def _describe_counts(findings: Findings) -> str:
    return ", ".join(f"{count} {level}" for level, count in findings.counts.items()) or "nothing"


def _rescan(state: Path, reference: SandboxReference) -> str:
    url = f"http://{require_running(state)['IMAGEGATE_REGISTRY']}/sandbox-api/rescan"
    answer = urllib3.request("POST", url, json=asdict(reference), retries=False, timeout=60)
    if answer.status != 200:
        raise InvalidSandboxReferenceError(f"{reference}: the sandbox has no such image")
    return f"scanning {', '.join(answer.json()['digests']) or 'nothing'} again"
