"""Blobs on disk, by digest; the index knows which repository has which blob."""

from __future__ import annotations

import hashlib
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

CHUNK = 1024 * 1024
SHA256 = re.compile(r"sha256:[a-f0-9]{64}")


class Upload:
    """A blob while it is uploaded. It is hashed as it arrives, so finishing costs one rename."""

    def __init__(self, folder: Path) -> None:
        self.id = str(uuid.uuid4())
        self.size = 0
        self._path = folder / self.id
        self._hash: Any = hashlib.sha256()
        self._path.touch()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def append(self, stream: IO[bytes], length: int | None = None) -> None:
        """Append `length` bytes of the stream, or all of it."""
        with self._path.open("ab") as file:
            for chunk in chunks(stream, length):
                file.write(chunk)
                self._hash.update(chunk)
                self.size += len(chunk)

    def move_to(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path.replace(path)

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)


class Blobs:
    """The files. A blob is stored once, however many repositories have it."""

    def __init__(self, state: Path) -> None:
        self._root = state / "blobs"
        self._incoming = state / "uploads"
        for folder in (self._root, self._incoming):
            # The index is in memory: after a restart nothing refers to these files.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)

    def upload(self) -> Upload:
        return Upload(self._incoming)

    def finish(self, upload: Upload) -> str:
        upload.move_to(self.path(upload.digest))
        return upload.digest

    def path(self, digest: str) -> Path:
        if not SHA256.fullmatch(digest):
            raise ValueError(f"not a sha256 digest: {digest!r}")
        algorithm, _, value = digest.partition(":")
        return self._root / algorithm / value


def chunks(stream: IO[bytes], length: int | None = None) -> Iterator[bytes]:
    """Yield at most `length` bytes of the stream, a piece at a time."""
    left = length
    while left is None or left > 0:
        chunk = stream.read(CHUNK if left is None else min(CHUNK, left))
        if not chunk:
            return
        left = None if left is None else left - len(chunk)
        yield chunk
