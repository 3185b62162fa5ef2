"""Loading of scanner files: size, encoding and JSON syntax are checked before a format reads them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from imagegate_cli.faults import CANNOT_TELL

# Larger than the report of any real image, and small enough for the memory of a CI runner.
MAX_BYTES = 100 * 1024 * 1024
STDIN = "-"


class ScannerFileError(click.ClickException):
    """A scanner's file that cannot be read; the message says which, where and why."""

    exit_code = CANNOT_TELL


def load(path: Path) -> Any:
    """Return the JSON value in a file, or on standard input for `-`. Raise `ScannerFileError` if it is not JSON."""
    name = name_of(path)
    try:
        return json.loads(_decoded(_content(path, name), name), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ScannerFileError(f"{name}: not JSON: {error.msg} ({where})") from error
    except RecursionError as error:
        raise ScannerFileError(f"{name}: not a scanner's report: its JSON is nested too deeply") from error
    except ValueError as error:
        # NaN and Infinity, and integers with more digits than Python converts.
        raise ScannerFileError(f"{name}: not JSON that can be read: {error}") from error


def name_of(path: Path) -> str:
    return "standard input" if str(path) == STDIN else str(path)


def _content(path: Path, name: str) -> bytes:
    """Read at most one byte more than the limit: pipes and devices do not tell their size."""
    try:
        if str(path) == STDIN:
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            if path.stat().st_size > MAX_BYTES:
                _refuse_size(name)
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        # ValueError: a null character in the name.
        raise ScannerFileError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > MAX_BYTES:
        _refuse_size(name)
    return content


def _refuse_size(name: str) -> NoReturn:
    raise ScannerFileError(f"{name}: larger than {MAX_BYTES // 1024**2} MiB: not a report about one image")


def _decoded(content: bytes, name: str) -> str:
    if not content.strip():
        raise ScannerFileError(f"{name}: empty; did the scanner fail?")
    try:
        # With a byte order mark, as PowerShell writes UTF-8.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScannerFileError(f"{name}: not UTF-8 (byte {error.start})") from error


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
