"""The members of a zip file: the same content is the same file, and files of others are read within bounds."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from imagegate_cli.faults import CannotTellError

# The errors of a file that is missing or no zip file, or that needs a password or an unknown feature.
UNREADABLE = (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
_MOST_FILES = 2_000
_MOST_BYTES = 512 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_members(path: Path | BinaryIO, members: Mapping[str, bytes]) -> None:
    """Write the members in their order, without times. Raises `CannotTellError` if the file cannot be written."""
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    except OSError as error:
        raise CannotTellError(f"{path}: {error.strerror}") from error


def read_members(path: Path | BinaryIO) -> dict[str, bytes]:
    """Return the members by name.

    Raises one of `UNREADABLE`, or `ValueError` for an archive that is damaged, too large or ambiguous. It is ambiguous
    if a name is there twice, or if a member is not an ordinary file.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > _MOST_FILES or sum(entry.file_size for entry in entries) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_FILES} files or {_MOST_BYTES >> 20} MiB")
        members: dict[str, bytes] = {}
        for entry in entries:
            if entry.filename in members:
                raise ValueError(f"{entry.filename} is there twice")
            members[entry.filename] = _content(archive, entry)
    return members


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    is_ordinary = stat.S_IFMT(entry.external_attr >> 16) in (0, stat.S_IFREG)
    if not is_ordinary or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is no ordinary file")
    try:
        with archive.open(entry) as file:
            # The size in the archive's index is only a claim.
            content = file.read(entry.file_size + 1)
    except (zlib.error, EOFError) as error:
        raise ValueError(f"{entry.filename} is damaged: {error}") from error
    if len(content) > entry.file_size:
        raise ValueError(f"{entry.filename} is larger than it says")
    return content
