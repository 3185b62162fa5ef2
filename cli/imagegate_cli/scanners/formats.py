"""Which scanner wrote a file: told by what is in it, never by its name."""

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
    """Read a scanner's file, or standard input for `-`. Raises `ScannerFileError` for whatever cannot be read."""
    return report_of(load(path), name_of(path))


def report_of(document: Any, name: str) -> ScannerReport:
    """What a JSON value says; `name` is what messages call its file. Raises `ScannerFileError`."""
    what, read_document = _format_of(document, name)
    try:
        return read_document(document)
    except MalformedError as error:
        raise ScannerFileError(f"{name}: {what}, but {error}") from error
    except RecursionError as error:
        raise ScannerFileError(f"{name}: {what}, but its JSON is nested too deeply") from error


def _format_of(document: Any, name: str) -> tuple[str, Callable[[Raw], ScannerReport]]:
    for what, format_ in _FORMATS:
        if isinstance(document, dict) and format_.is_report(document):
            return what, format_.read
    understood = "; ".join(what for what, _ in _FORMATS)
    raise ScannerFileError(
        f"{name}: no report that is understood ({seen(document)}). Understood: {understood}"
    )


def seen(document: Any) -> str:
    """What is there instead, in a few words."""
    if isinstance(document, dict):
        keys = [ascii(key)[1:-1][:40] for key in document]
        more = f" and {len(keys) - _KEYS_SHOWN} more" if len(keys) > _KEYS_SHOWN else ""
        return f"it has {', '.join(keys[:_KEYS_SHOWN]) or 'nothing in it'}{more}"
    return "it is a list" if isinstance(document, list) else "it is no JSON object"
