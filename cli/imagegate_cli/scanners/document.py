"""Loading of scanner files: size, encoding and JSON syntax are checked before a format reads them."""

from __future__ import annotations

import codecs
import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from imagegate_cli.faults import CANNOT_TELL

# Larger than the report of any real image, and small enough for the memory of a CI runner.
MAX_BYTES = 100 * 1024 * 1024
STDIN = "-"
_CONVERT = "convert it, for example by iconv -f UTF-16LE -t UTF-8"


class ScannerFileError(click.ClickException):
    """A scanner's file that cannot be read; the message says which, where and why."""

    exit_code = CANNOT_TELL


def load(path: Path) -> Any:
    """Return the JSON value in a file, or on standard input for `-`. Raise `ScannerFileError` if it is not JSON."""
    name = name_of(path)
    try:
        return json.loads(decode(content_of(path), name), parse_constant=_refuse_constant)
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


def content_of(path: Path, most: int | None = None) -> bytes:
    """Return the bytes of a file, or of standard input for `-`. Raise `ScannerFileError` if there are too many.

    It reads at most one byte more than the limit, because pipes and devices do not tell their size.
    """
    name, most = name_of(path), most or MAX_BYTES
    try:
        if str(path) == STDIN:
            content = read_standard_input(most + 1)
        else:
            if path.stat().st_size > most:
                _refuse_size(name, most)
            with path.open("rb") as file:
                content = file.read(most + 1)
    except (OSError, ValueError) as error:
        # ValueError: a null character in the name.
        raise ScannerFileError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > most:
        _refuse_size(name, most)
    return content


def _refuse_size(name: str, most: int) -> NoReturn:
    raise ScannerFileError(f"{name}: larger than {most // 1024**2} MiB")


def read_standard_input(most: int) -> bytes:
    """Return at most so many bytes of standard input. Raise `ScannerFileError` if it is closed."""
    # None where the caller has closed it (`<&-`, some services): Python's documentation of `sys.stdin`.
    if sys.stdin is None:
        raise ScannerFileError(f"{name_of(Path(STDIN))}: closed; name a file instead of {STDIN}")
    return sys.stdin.buffer.read(most)


def decode(content: bytes, name: str) -> str:
    """Return the text in UTF-8, or in UTF-16 with a byte order mark, as `>` of PowerShell writes it.

    Raise `ScannerFileError` if it is empty or in another encoding.
    """
    if not content.strip():
        raise ScannerFileError(f"{name}: empty; did the scanner fail?")
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        name_of_encoding = "UTF-16" if is_utf_16 else "UTF-8"
        raise ScannerFileError(f"{name}: not {name_of_encoding} (byte {error.start}); {_CONVERT}") from error


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
