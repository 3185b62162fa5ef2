"""The formats of scanner reports. A format is detected from the content of a file, never from its name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from imagegate.text import list_some
from imagegate_cli.scanners.document import ScannerFileError, load, name_of
from imagegate_cli.scanners.fields import MalformedError
from imagegate_cli.scanners.report import ScannerReport
from imagegate_cli.scanners.supported import FORMATS, ReportFormat

# Some tools write a list with a report for each project.
_READ_LISTS = ("asff", "snyk")
_KEYS_SHOWN = 8


def read(path: Path) -> ScannerReport:
    """Read a scanner's file, or standard input for `-`. Raise `ScannerFileError` if it cannot be read."""
    return report_of(load(path), name_of(path))


def report_of(document: Any, name: str) -> ScannerReport:
    """Read a report from a JSON value; messages call its file `name`. Raise `ScannerFileError`."""
    report_format = _format_of(document, name)
    read_document: Callable[[Any], ScannerReport] = parser_of(report_format).read
    try:
        return read_document(document)
    except MalformedError as error:
        raise ScannerFileError(f"{name}: {report_format.name}, but {error}") from error
    except RecursionError as error:
        raise ScannerFileError(f"{name}: {report_format.name}, but its JSON is nested too deeply") from error


def parser_of(report_format: ReportFormat) -> ModuleType:
    """Import the parser of a format. One that is tried later than the right one is never imported."""
    return import_module(f"imagegate_cli.scanners.parsers.{report_format.parser}")


def _format_of(document: Any, name: str) -> ReportFormat:
    for one in FORMATS:
        is_possible = isinstance(document, dict) or (isinstance(document, list) and one.parser in _READ_LISTS)
        if is_possible and parser_of(one).is_report(document):
            return one
    formats = "; ".join(map(str, FORMATS))
    raise ScannerFileError(
        f"{name}: not a report that is supported ({describe(document)}). Supported: {formats}"
    )


def describe(document: Any) -> str:
    """Describe in a few words what a document has instead."""
    if isinstance(document, dict):
        keys = [ascii(key)[1:-1][:40] for key in document]
        return f"it has {list_some(keys[:_KEYS_SHOWN], len(keys)) or 'nothing in it'}"
    return "it is a list" if isinstance(document, list) else "it is no JSON object"
