"""The formats of scanner reports. A format is detected from the content of a file, never from its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from imagegate_cli.scanners import ecr, grype, inspector, sarif, trivy
from imagegate_cli.scanners.document import ScannerFileError, load, name_of
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.report import ScannerReport

_FORMATS = (
    ("an answer of ECR (aws ecr describe-image-scan-findings)", ecr),
    ("a report of Trivy (trivy image --format json)", trivy),
    ("a report of Grype (grype -o json)", grype),
    ("SARIF 2.1.0", sarif),
    ("an answer of Inspector (aws inspector2 list-findings)", inspector),
)
_KEYS_SHOWN = 8


def read(path: Path) -> ScannerReport:
    """Read a scanner's file, or standard input for `-`. Raise `ScannerFileError` if it cannot be read."""
    return report_of(load(path), name_of(path))


def report_of(document: Any, name: str) -> ScannerReport:
    """Read a report from a JSON value; messages call its file `name`. Raise `ScannerFileError`."""
    format_name, read_document = _format_of(document, name)
    try:
        return read_document(document)
    except MalformedError as error:
        raise ScannerFileError(f"{name}: {format_name}, but {error}") from error
    except RecursionError as error:
        raise ScannerFileError(f"{name}: {format_name}, but its JSON is nested too deeply") from error


def _format_of(document: Any, name: str) -> tuple[str, Callable[[Raw], ScannerReport]]:
    for format_name, format_ in _FORMATS:
        if isinstance(document, dict) and format_.is_report(document):
            return format_name, format_.read
    formats = "; ".join(format_name for format_name, _ in _FORMATS)
    raise ScannerFileError(
        f"{name}: no report that is understood ({describe(document)}). Understood: {formats}"
    )


def describe(document: Any) -> str:
    """Describe in a few words what a document has instead."""
    if isinstance(document, dict):
        keys = [ascii(key)[1:-1][:40] for key in document]
        more = f" and {len(keys) - _KEYS_SHOWN} more" if len(keys) > _KEYS_SHOWN else ""
        return f"it has {', '.join(keys[:_KEYS_SHOWN]) or 'nothing in it'}{more}"
    return "it is a list" if isinstance(document, list) else "it is no JSON object"
